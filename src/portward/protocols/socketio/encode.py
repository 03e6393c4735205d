"""Converts replies and pushes to events and acknowledgements of a workspace, before they become packets."""

from collections.abc import Callable
from typing import Any, Final

from portward.model import replies as say
from portward.model.channel import Channel
from portward.model.replies import Push, Reply
from portward.protocols.socketio import payloads
from portward.protocols.socketio.packets import ROOT

MESSAGE: Final = "message"
"""The event of a publication without a type, and of a message to one connection."""


def nsp_of(channel: Channel) -> str:
    """The Socket.IO namespace of a channel: `/x` for `/x` and for the room `/x,room`."""
    name = channel.name
    return name.partition(",")[0] if name.startswith("/") else ROOT


def answer(reply: Reply) -> Any:
    """The one argument of an acknowledgement; None when there is nothing to acknowledge."""
    make = _ANSWERS.get(type(reply))
    return None if make is None else make(reply)


def event(push: Push) -> tuple[str, Any] | None:
    """The name and the data of an event; None when the protocol has no event for the push."""
    make = _EVENTS.get(type(push))
    return None if make is None else make(push)


def _milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else int(seconds * 1000)


def _acted(reply: say.Acted) -> Any:
    return {"ok": True} if reply.result is None else {"ok": True, "result": reply.result}


def _sharing(reply: say.Sharing) -> Any:
    if reply.accepted:
        return {"ok": True, "version": reply.version}
    return {"error": "CONFLICT", "version": reply.version, "value": reply.value}


def _refreshed(reply: say.Refreshed) -> Any:
    return {"ok": True, "expiresAt": _milliseconds(reply.expires_at)}


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
    say.Acted: _acted,
    say.Decided: lambda _: {"ok": True},
    say.Sharing: _sharing,
}

_EVENTS: Final[dict[type[Push], Callable[[Any], tuple[str, Any] | None]]] = {
    say.Expiring: lambda push: (
        "token_expiring",
        {"expiresAt": _milliseconds(push.expires_at)},
    ),
    say.Removed: _removed,
    say.ShuttingDown: lambda push: ("shutdown", {"retryMs": push.retry}),
    say.SharedChanged: _changed,
    say.Asked: lambda push: (payloads.REQUESTED, payloads.requested(push.approval)),
    say.Parting: lambda push: (
        "error",
        payloads.ending_error(payloads.ending_code(push.ending), push.retry),
    ),
    say.Told: lambda push: (MESSAGE, push.data),
}
