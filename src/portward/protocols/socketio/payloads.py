"""Data of the events of workspaces, and the codes of their errors."""

import re
from typing import Any, Final

from portward.model.approval import Approval
from portward.model.channel import Channel
from portward.model.disconnects import Disconnect
from portward.model.errors import RATE_FAULTS, CommandError, ErrorKind
from portward.model.publication import Publication

ROOM: Final = "workspace:"
"""Prefix of a room's name before the name of its channel."""
DASHBOARD: Final = "dashboard"
APPROVALS: Final = "approvals"
"""Kinds of rooms to which the gateway itself publishes."""

UPDATE: Final = "dashboard_update"
REQUESTED: Final = "approval_requested"
RESOLVED: Final = "approval_resolved"

_ENDINGS: Final = {
    Disconnect.AUTH_FAILED: "INVALID_TOKEN",
    Disconnect.AUTH_TIMEOUT: "AUTH_REQUIRED",
    Disconnect.CONNECTION_LIMIT: "TOO_MANY_CONNECTIONS",
    Disconnect.TOO_MANY_REQUESTS: "RATE_LIMITED",
}
_AT_THE_DOOR: Final = {
    Disconnect.EXPIRED: "INVALID_TOKEN",
    Disconnect.REVOKED: "INVALID_TOKEN",
    Disconnect.INTERNAL: "UNAVAILABLE",
}
_FAULTS: Final = {
    ErrorKind.TOKEN_REQUIRED: "AUTH_REQUIRED",
    ErrorKind.NOT_AUTHENTICATED: "AUTH_REQUIRED",
    ErrorKind.AUTHENTICATION_FAILED: "INVALID_TOKEN",
    ErrorKind.TOKEN_REVOKED: "INVALID_TOKEN",
    ErrorKind.UNKNOWN_CHANNEL: "ACCESS_DENIED",
    ErrorKind.UNKNOWN_ROOM: "ACCESS_DENIED",
    ErrorKind.ALREADY_DECIDED: "ALREADY_DECIDED",
    ErrorKind.LIMIT_EXCEEDED: "LIMIT_EXCEEDED",
    ErrorKind.CHANNEL_FULL: "LIMIT_EXCEEDED",
    ErrorKind.UNAVAILABLE: "UNAVAILABLE",
    ErrorKind.INTERNAL: "INTERNAL_ERROR",
}
REFUSALS: Final = {
    "AUTH_REQUIRED": "Authentication required",
    "INVALID_TOKEN": "Invalid token",
    "TOO_MANY_CONNECTIONS": "Too many connections",
    "RATE_LIMITED": "Too many requests",
    "UNAVAILABLE": "Temporarily unavailable",
}
"""Texts for people who read an error instead of its code."""
VALIDATION_ERROR: Final = "VALIDATION_ERROR"


_WORKSPACE: Final = re.compile(r"[^:/][^:]{0,63}\Z")
"""A name with a slash at the start would share its channels with a Socket.IO namespace."""
_KIND: Final = re.compile(r"[^:]{1,64}\Z")


def channel(namespace: str, workspace: str, kind: str) -> Channel:
    """The channel of a room of a workspace.

    Raises:
        ValueError: there can be no such room: a workspace has 1 to 64 of the characters of channel names,
            none of them a colon, and does not begin with a slash.
    """
    if not _WORKSPACE.match(workspace) or not _KIND.match(kind):
        raise ValueError("not the name of a workspace's room")
    return Channel.parse(f"{namespace}:{workspace}:{kind}")


def room(channel: Channel) -> str:
    """The room name of a channel, as clients have it."""
    return ROOM + channel.name


def ending_code(ending: Disconnect) -> str:
    """The code for a disconnect."""
    return _ENDINGS.get(ending, ending.name)


def ending_error(code: str, retry: int | None) -> dict[str, Any]:
    """The data of the event `error` before a disconnect; `retry` is in milliseconds."""
    return {"code": code} if retry is None else {"code": code, "retryMs": retry}


def door_code(ending: Disconnect) -> str:
    """The code for a client that is not admitted."""
    return _AT_THE_DOOR.get(ending) or ending_code(ending)


def fault_code(fault: CommandError) -> str:
    """The code for a refused command."""
    if fault.kind is ErrorKind.PERMISSION_DENIED and fault.about is not None:
        return "ACCESS_DENIED"
    return code_of(fault.kind)


def code_of(kind: ErrorKind) -> str:
    """The code of a kind of command error, where it is not about a room."""
    if kind in RATE_FAULTS:
        return "RATE_LIMITED"
    if kind is ErrorKind.PERMISSION_DENIED:
        return "PERMISSION_DENIED"
    return _FAULTS.get(kind, VALIDATION_ERROR)


def refusal(fault: CommandError) -> dict[str, Any]:
    """The acknowledgement of a refused command."""
    said: dict[str, Any] = {"error": fault_code(fault)}
    if said["error"] == VALIDATION_ERROR:
        said["details"] = fault.details or fault.hint or fault.kind.text
    if fault.retry_after is not None:
        said["retryMs"] = fault.retry_after
    return said


def requested(approval: Approval) -> dict[str, Any]:
    """The data of `approval_requested`."""
    return {
        "requestId": approval.id,
        "title": approval.title,
        "data": approval.data,
        "expiresAt": int(approval.expires_at * 1000),
    }


def resolved(approval: Approval) -> dict[str, Any]:
    """The data of `approval_resolved`; the approval has its verdict."""
    verdict = approval.verdict
    if verdict is None:
        return {"requestId": approval.id}
    said = {"requestId": approval.id, "decision": verdict.decision.value, "userId": verdict.user}
    return said if verdict.comment is None else {**said, "comment": verdict.comment}


def updated(action: str, payload: Any, user: str) -> dict[str, Any]:
    """The data of `dashboard_update` after an action of a user."""
    return {"action": action, "payload": payload, "userId": user}


def request_of(publication: Publication) -> str | None:
    """The id of the request in a publication, None when it is no request for approval."""
    data = publication.data
    if publication.type != REQUESTED or not isinstance(data, dict):
        return None
    return data.get("requestId")
