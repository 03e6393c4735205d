"""Commands, replies and pushes of workspaces alone."""

from typing import Any

import msgspec

from portward.model.approval import Approval, Decision
from portward.model.commands import Command
from portward.model.replies import Push, Reply


class Act(Command, frozen=True):
    """Do an action in the workspace of the user; a role must allow it."""

    action: str
    payload: Any = None


class Decide(Command, frozen=True):
    """Decide on a request for approval."""

    request: str
    decision: Decision
    comment: str | None = None


class Share(Command, frozen=True):
    """Set a value shared by all connections of the user; with `version`, only if that version is current."""

    key: str
    value: Any
    version: int | None = None


class Acted(Reply, frozen=True):
    """The action was done. `result` is what the handler of the application returned, if there is one."""

    result: Any = None


class Decided(Reply, frozen=True):
    """The decision was accepted; it was the first one."""


class Sharing(Reply, frozen=True):
    """The value that is stored now; not `accepted` means that another version was current."""

    accepted: bool
    version: int
    value: Any = None


class Asked(Push, frozen=True):
    """A request for approval, for subscribers of its channel."""

    approval: Approval


class ActionInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A requested action. `payload` is any JSON value, at most 10,000 characters of JSON."""

    workspace: str
    user: str
    action: str
    payload: Any
    connection: str
