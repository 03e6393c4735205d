"""Converts replies and pushes to events and acknowledgements of a workspace, before they become packets."""

from collections.abc import Callable
from typing import Any, Final

import portward.protocols.workspaces.payloads as payloads
from portward.model import replies as say
from portward.model.replies import Push, Reply
from portward.protocols.message import milliseconds
from portward.protocols.socketio import codes
from portward.protocols.socketio.commands import nsp_of
from portward.protocols.socketio.packets import ROOT
from portward.protocols.socketio.protocol import MESSAGE
from portward.protocols.workspaces.commands import Acted, Asked, Decided, Sharing


def answer(reply: Reply) -> Any:
    """The one argument of an acknowledgement; None when there is nothing to acknowledge."""
    make = _ANSWERS.get(type(reply))
    return None if make is None else make(reply)


def event(push: Push) -> tuple[str, Any] | None:
    """The name and the data of an event; None when the protocol has no event for the push."""
    make = _EVENTS.get(type(push))
    return None if make is None else make(push)


def _acted(reply: Acted) -> Any:
    return {"ok": True} if reply.result is None else {"ok": True, "result": reply.result}


def _sharing(reply: Sharing) -> Any:
    if reply.accepted:
        return {"ok": True, "version": reply.version}
    return {"error": "CONFLICT", "version": reply.version, "value": reply.value}


def _refreshed(reply: say.Refreshed) -> Any:
    return {"ok": True, "expiresAt": milliseconds(reply.expires_at)}


def _removed(push: say.Removed) -> tuple[str, Any] | None:
    if nsp_of(push.channel) != ROOT:
        return None
    return "room_left", {"room": payloads.room(push.channel), "reason": push.reason}


def _changed(push: say.SharedChanged) -> tuple[str, Any]:
    return "state_changed", {"key": push.key, "value": push.value, "version": push.version}


_ANSWERS: Final[dict[type[Reply], Callable[[Any], Any]]] = {
    say.Subscribed: lambda reply: {"joined": payloads.room(reply.channel)},
    say.Unsubscribed: lambda reply: {"left": payloads.room(reply.channel)},
    say.Refreshed: _refreshed,
    Acted: _acted,
    Decided: lambda _: {"ok": True},
    Sharing: _sharing,
}

_EVENTS: Final[dict[type[Push], Callable[[Any], tuple[str, Any] | None]]] = {
    say.Expiring: lambda push: (
        "token_expiring",
        {"expiresAt": milliseconds(push.expires_at)},
    ),
    say.Removed: _removed,
    say.ShuttingDown: lambda push: ("shutdown", {"retryMs": push.retry}),
    say.SharedChanged: _changed,
    Asked: lambda push: (payloads.REQUESTED, payloads.requested(push.approval)),
    say.Parting: lambda push: (
        "error",
        codes.ending_error(codes.ending_code(push.ending), push.retry),
    ),
    say.Told: lambda push: (MESSAGE, push.data),
}
