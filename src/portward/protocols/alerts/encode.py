"""Encoder of the alerts protocol: answers, errors and pushes, each `{"type", "payload"}`."""

from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec
from msgspec import UNSET
from msgspec.structs import asdict

import portward.protocols.alerts.messages as wire
import portward.protocols.alerts.record as record
from portward.model import replies as say
from portward.model.channel import Channel
from portward.model.commands import Command
from portward.model.errors import CommandError, ErrorKind
from portward.model.replies import Push, Reply
from portward.protocols.alerts.call_ids import CallIds
from portward.protocols.alerts.messages import CODES, TEXTS
from portward.protocols.alerts.record import Alert
from portward.protocols.message import Sent, StreamPosition, json_details, milliseconds, optional

RETRY: Final = 1000
"""Milliseconds after which to subscribe again to a call whose subscription was lost."""
_SESSION_ID: Final = 24
"""Characters of a connection's id that its client gets."""

_encode = msgspec.json.Encoder().encode


def _message(kind: str, payload: Any, identifier: str | int | None = None) -> bytes:
    given = UNSET if identifier is None else identifier
    return _encode(wire.AlertsEnvelope(kind, payload, given))


def reply(command: Command, reply: Reply, now: int, ids: CallIds) -> bytes | None:
    """Encode the answer to a command."""
    found = _REPLIES.get(type(reply))
    if found is None:
        return None
    kind, build = found
    return _message(kind, build(reply, now, ids), command.id)


def reply_error(fault: CommandError, now: int) -> bytes:  # noqa: ARG001 - the port's
    """Encode the command error."""
    kind = fault.kind
    text = TEXTS.get(kind, kind.text)
    if kind is ErrorKind.UNKNOWN_TYPE:
        text = f"{text}: {fault.about or ''}"
    payload = wire.AlertsError(
        message=text,
        code=CODES.get(kind, kind.code),
        retry_ms=optional(fault.retry_after),
        details=json_details(fault.details),
    )
    return _message("error", payload, fault.command_id)


def push(push: Push, ids: CallIds) -> bytes | None:
    """Encode a push; None when this protocol has no message for it."""
    if isinstance(push, say.Parting):
        closing = _closing(push)
        return None if closing is None else _message("closing", closing)
    found = _PUSHES.get(type(push))
    if found is None:
        return None
    kind, build = found
    return _message(kind, build(push, ids))


def _calls(channels: Iterable[Channel], ids: CallIds) -> list[str]:
    return [ids.decode(channel) for channel in channels]


def _subscribed(reply: say.SubscribedMany, _: int, ids: CallIds) -> Sent:
    recovered = reply.recovered
    return wire.AlertsSubscribed(
        call_ids=_calls(reply.channels, ids),
        denied=_calls(reply.denied, ids) if reply.denied else UNSET,
        recovered=UNSET
        if recovered is None
        else {ids.decode(channel): whole for channel, whole in recovered.items()},
    )


def _unsubscribed(reply: say.UnsubscribedMany, _: int, ids: CallIds) -> Sent:
    return wire.AlertsUnsubscribed(call_ids=_calls(reply.channels, ids))


def _history(reply: say.HistoriesRead, _: int, ids: CallIds) -> Sent:
    positions = reply.positions
    return wire.AlertsHistory(
        alerts=[_alert(each, ids) for each in reply.deliveries],
        positions=UNSET
        if positions is None
        else {
            ids.decode(channel): StreamPosition(offset=position.offset, epoch=position.epoch)
            for channel, position in positions.items()
        },
    )


def _refreshed(reply: say.Refreshed, _: int, __: CallIds) -> Sent:
    return wire.AlertsRefreshed(expires_at=milliseconds(reply.expires_at))


def _pong(_: say.Pong, now: int, __: CallIds) -> Sent:
    return wire.AlertsPong(timestamp=now)


def _alert(push: say.Delivery, _: CallIds) -> Alert:
    alert = record.read(push.channel, push.publication, push.epoch)
    if not push.suppressed and not push.late:
        return alert
    return wire.AlertsAlert(**asdict(alert), suppressed=push.suppressed, late=push.late)


def _welcome(push: say.Welcome, _: CallIds) -> Sent:
    session = f"sess_{push.connection_id[:_SESSION_ID]}"
    return wire.AlertsHandshake(session_id=session, message="Connected to alert server")


def _expiring(push: say.Expiring, _: CallIds) -> Sent:
    return wire.AlertsExpiring(expires_at=milliseconds(push.expires_at))


def _removed(push: say.Removed, ids: CallIds) -> Sent:
    away = push.reason in {ErrorKind.UNAVAILABLE.code, say.INSUFFICIENT_STATE}
    return wire.AlertsError(
        message=ErrorKind.UNAVAILABLE.text if away else "Subscription withdrawn",
        code=ErrorKind.UNAVAILABLE.code if away else ErrorKind.PERMISSION_DENIED.code,
        call_id=ids.decode(push.channel),
        retry_ms=RETRY if away else UNSET,
    )


def _closing(push: say.Parting) -> Sent | None:
    if push.retry is None or push.told:
        return None
    return wire.AlertsClosing(reason=push.ending.name.lower(), retry_ms=push.retry)


def _shutdown(push: say.ShuttingDown, _: CallIds) -> Sent:
    return wire.AlertsShutdown(
        message="Server shutting down", reconnect_url=push.address or UNSET, retry_ms=push.retry
    )


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
