"""A command that policy has allowed: the only thing the node acts upon.

`security.policy` is the one place that mints grants; the architecture test holds it to that.
"""

from typing import Generic, TypeVar, final

from portward.model.commands import Command
from portward.model.rights import Right

C = TypeVar("C", bound=Command)

_MINT = object()


@final
class Grant(Generic[C]):
    """Proof that `command` was judged and allowed, and with which rights."""

    __slots__ = ("command", "rights")

    def __init__(self, command: C, rights: Right, *, mint: object) -> None:
        if mint is not _MINT:
            raise TypeError("grants are made by security.policy alone")
        self.command = command
        self.rights = rights


def mint(command: C, rights: Right) -> Grant[C]:
    """Make a grant. Called by `security.policy` and nowhere else."""
    return Grant(command, rights, mint=_MINT)
