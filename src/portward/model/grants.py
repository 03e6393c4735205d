"""Grants: commands that the policy has allowed. The node executes nothing else.

Only `security.policy` makes grants; the architecture test checks this.
"""

from typing import Generic, TypeVar, final

from portward.model.commands import Command
from portward.model.rights import Right

C = TypeVar("C", bound=Command)


@final
class Grant(Generic[C]):
    """Proof that `command` was authorized, with the rights of the session."""

    __slots__ = ("command", "rights")

    command: C
    rights: Right

    def __init__(self, *_: object) -> None:
        raise TypeError("grants are made by security.policy alone")


def mint(command: C, rights: Right) -> Grant[C]:
    """Make a grant. Only `security.policy` may call this."""
    grant: Grant[C] = Grant.__new__(Grant)
    grant.command = command
    grant.rights = rights
    return grant
