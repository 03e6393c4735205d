"""Grants: commands that the policy has allowed. The node executes nothing else.

Only `security.policy` makes grants; the architecture test checks this.
"""

from typing import Generic, TypeVar, final

from portward.model.commands import Command
from portward.model.rights import Right

C = TypeVar("C", bound=Command)

_MINT = object()


@final
class Grant(Generic[C]):
    """Proof that `command` was authorized, with the rights of the session."""

    __slots__ = ("command", "rights")

    def __init__(self, command: C, rights: Right, *, mint: object) -> None:
        if mint is not _MINT:
            raise TypeError("grants are made by security.policy alone")
        self.command = command
        self.rights = rights


def mint(command: C, rights: Right) -> Grant[C]:
    """Make a grant. Only `security.policy` may call this."""
    return Grant(command, rights, mint=_MINT)
