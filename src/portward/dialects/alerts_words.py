"""What the alerts dialect says: answers, errors and pushes, each `{"type", "payload"}`."""

from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec
from msgspec.structs import asdict

from portward.dialects import alert_record
from portward.dialects.call_ids import CallIds
from portward.model import replies as say
from portward.model.alert import Alert
from portward.model.channel import Channel
from portward.model.commands import Command
from portward.model.faults import Fault, FaultKind
from portward.model.replies import Push, Reply

TEXTS: Final = {
    FaultKind.INVALID_FORMAT: "Invalid JSON",
    FaultKind.INVALID_STRUCTURE: "Invalid message",
    FaultKind.UNKNOWN_CHANNEL: FaultKind.PERMISSION_DENIED.text,
    FaultKind.UNKNOWN_ROOM: FaultKind.PERMISSION_DENIED.text,
}
"""The words of this dialect where they differ from the default text of a fault."""

CODES: Final = {
    FaultKind.INVALID_FORMAT: "invalid_json",
    FaultKind.INVALID_STRUCTURE: "invalid_message",
    FaultKind.UNKNOWN_CHANNEL: FaultKind.PERMISSION_DENIED.code,
    FaultKind.UNKNOWN_ROOM: FaultKind.PERMISSION_DENIED.code,
}

RETRY: Final = 1000
"""Milliseconds after which to subscribe again to a call that was lost on the way here."""
_SESSION_ID: Final = 24
"""Characters of a connection's id that its client is told."""

_encode = msgspec.json.Encoder().encode


class _Told(Alert, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """An alert after some of its kind that one session was spared, or one that a cooldown held back."""

    suppressed: int = 0
    late: bool = False


def _message(kind: str, payload: Any, identifier: str | int | None = None) -> bytes:
    message = {"type": kind, "payload": payload}
    if identifier is not None:
        message["id"] = identifier
    return _encode(message)


def reply(command: Command, reply: Reply, now: int, ids: CallIds) -> bytes | None:
    """The answer to a command."""
    found = _REPLIES.get(type(reply))
    if found is None:
        return None
    kind, build = found
    return _message(kind, build(reply, now, ids), command.id)


def fault(fault: Fault, now: int) -> bytes:  # noqa: ARG001 - the port's
    """The error that answers a refused command."""
    kind = fault.kind
    text = TEXTS.get(kind, kind.text)
    if kind is FaultKind.UNKNOWN_TYPE:
        text = f"{text}: {fault.about or ''}"
    payload: dict[str, Any] = {"message": text, "code": CODES.get(kind, kind.code)}
    if fault.retry_after is not None:
        payload["retryMs"] = fault.retry_after
    if fault.details is not None:
        payload["details"] = fault.details
    return _message("error", payload, fault.command_id)


def push(push: Push, ids: CallIds) -> bytes | None:
    """Words nobody asked for. What is no word of this dialect is not said."""
    found = _PUSHES.get(type(push))
    if found is None:
        return None
    kind, build = found
    return _message(kind, build(push, ids))


def _calls(channels: Iterable[Channel], ids: CallIds) -> list[str]:
    return [ids.decode(channel) for channel in channels]


def _subscribed(reply: say.SubscribedMany, _: int, ids: CallIds) -> dict[str, Any]:
    payload: dict[str, Any] = {"callIds": _calls(reply.channels, ids)}
    if reply.denied:
        payload["denied"] = _calls(reply.denied, ids)
    if reply.recovered is not None:
        recovered = reply.recovered.items()
        payload["recovered"] = {ids.decode(channel): whole for channel, whole in recovered}
    return payload


def _unsubscribed(reply: say.UnsubscribedMany, _: int, ids: CallIds) -> dict[str, Any]:
    return {"callIds": _calls(reply.channels, ids)}


def _history(reply: say.HistoriesRead, _: int, ids: CallIds) -> dict[str, Any]:
    payload: dict[str, Any] = {"alerts": [_alert(each, ids) for each in reply.deliveries]}
    if reply.positions is not None:
        payload["positions"] = {
            ids.decode(channel): {"offset": position.offset, "epoch": position.epoch}
            for channel, position in reply.positions.items()
        }
    return payload


def _refreshed(reply: say.Refreshed, _: int, __: CallIds) -> dict[str, Any]:
    return {"expiresAt": None if reply.expires_at is None else int(reply.expires_at * 1000)}


def _pong(_: say.Pong, now: int, __: CallIds) -> dict[str, Any]:
    return {"timestamp": now}


def _alert(push: say.Delivery, _: CallIds) -> Alert:
    alert = alert_record.read(push.channel, push.publication, push.epoch)
    if not push.suppressed and not push.late:
        return alert
    return _Told(**asdict(alert), suppressed=push.suppressed, late=push.late)


def _welcome(push: say.Welcome, _: CallIds) -> dict[str, Any]:
    session = f"sess_{push.connection_id[:_SESSION_ID]}"
    return {"sessionId": session, "message": "Connected to alert server"}


def _expiring(push: say.Expiring, _: CallIds) -> dict[str, Any]:
    return {"expiresAt": int(push.expires_at * 1000)}


def _removed(push: say.Removed, ids: CallIds) -> dict[str, Any]:
    away = push.reason in {FaultKind.UNAVAILABLE.code, say.INSUFFICIENT_STATE}
    payload = {
        "message": FaultKind.UNAVAILABLE.text if away else "Subscription withdrawn",
        "code": FaultKind.UNAVAILABLE.code if away else FaultKind.PERMISSION_DENIED.code,
        "callId": ids.decode(push.channel),
    }
    return {**payload, "retryMs": RETRY} if away else payload


def _shutdown(push: say.ShuttingDown, _: CallIds) -> dict[str, Any]:
    payload: dict[str, Any] = {"message": "Server shutting down"}
    if push.address:
        payload["reconnectUrl"] = push.address
    return {**payload, "retryMs": push.retry}


_REPLIES: Final[dict[type[Reply], tuple[str, Callable[[Any, int, CallIds], Any]]]] = {
    say.SubscribedMany: ("subscribed", _subscribed),
    say.UnsubscribedMany: ("unsubscribed", _unsubscribed),
    say.HistoriesRead: ("history", _history),
    say.Refreshed: ("refreshed", _refreshed),
    say.Pong: ("pong", _pong),
}
_PUSHES: Final[dict[type[Push], tuple[str, Callable[[Any, CallIds], Any]]]] = {
    say.Welcome: ("handshake", _welcome),
    say.Delivery: ("alert", _alert),
    say.Expiring: ("expiring", _expiring),
    say.Removed: ("error", _removed),
    say.ShuttingDown: ("shutdown", _shutdown),
}
