"""Rooms of workspaces, and the data of their events."""

import re
from typing import Any, Final

from portward.model.approval import Approval
from portward.model.channel import Channel
from portward.model.publication import Publication

ROOM: Final = "workspace:"
"""Prefix of a room's name before the name of its channel."""
DASHBOARD: Final = "dashboard"
APPROVALS: Final = "approvals"
"""Kinds of rooms to which the gateway itself publishes."""

UPDATE: Final = "dashboard_update"
REQUESTED: Final = "approval_requested"
RESOLVED: Final = "approval_resolved"

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
    data = {"requestId": approval.id, "decision": verdict.decision.value, "userId": verdict.user}
    return data if verdict.comment is None else {**data, "comment": verdict.comment}


def updated(action: str, payload: Any, user: str) -> dict[str, Any]:
    """The data of `dashboard_update` after an action of a user."""
    return {"action": action, "payload": payload, "userId": user}


def request_of(publication: Publication) -> str | None:
    """The id of the request in a publication, None when it is no request for approval."""
    data = publication.data
    if publication.type != REQUESTED or not isinstance(data, dict):
        return None
    return data.get("requestId")
