"""What the rooms dialect says: replies, errors and pushes, as envelopes with fixed keys."""

from collections.abc import Callable
from typing import Any, Final

import msgspec

from portward.model import replies as say
from portward.model.commands import Command
from portward.model.faults import Fault, FaultKind
from portward.model.position import Position
from portward.model.publication import Publication
from portward.model.replies import Push, Reply

TEXTS: Final = {
    FaultKind.PERMISSION_DENIED: "Insufficient permissions",
    FaultKind.UNKNOWN_CHANNEL: "Insufficient permissions",
    FaultKind.UNKNOWN_ROOM: "Insufficient permissions",
    FaultKind.CHANNEL_FULL: "Room is full",
    FaultKind.NOT_SUBSCRIBED: "Room not found",
    FaultKind.INVALID_CHANNEL: "Invalid room id",
    FaultKind.RATE_LIMITED: "Rate limit exceeded",
    FaultKind.AUTH_RATE_LIMITED: "Authentication rate limit exceeded",
    FaultKind.SUBSCRIBE_RATE_LIMITED: "Join rate limit exceeded",
    FaultKind.LIMIT_EXCEEDED: "Too many rooms",
}
"""The words of this dialect where they differ from the default text of a fault."""

CODES: Final = {
    FaultKind.UNKNOWN_CHANNEL: FaultKind.PERMISSION_DENIED.code,
    FaultKind.UNKNOWN_ROOM: FaultKind.PERMISSION_DENIED.code,
    FaultKind.NOT_SUBSCRIBED: "room_not_found",
    FaultKind.CHANNEL_FULL: "room_full",
    FaultKind.INVALID_CHANNEL: "invalid_room_id",
    FaultKind.SUBSCRIBE_RATE_LIMITED: "join_rate_limited",
    FaultKind.TOO_LONG: "message_too_long",
}

_encode = msgspec.json.Encoder().encode


def _envelope(
    kind: str, data: dict[str, Any], now: int, identifier: str | int | None = None
) -> bytes:
    envelope: dict[str, Any] = {"type": kind, "data": data, "timestamp": now}
    if identifier is not None:
        envelope["id"] = identifier
    return _encode(envelope)


def _milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else int(seconds * 1000)


def _position(position: Position) -> dict[str, Any]:
    return {"offset": position.offset, "epoch": position.epoch}


class Speech:
    """The saying half of the dialect. Without `expose_email` the key `email` never names another user."""

    def __init__(self, *, expose_email: bool) -> None:
        self._expose_email = expose_email
        self._replies: dict[type[Reply], tuple[str, Callable[[Any, int], dict[str, Any]]]] = {
            say.Authenticated: ("auth_success", _authenticated),
            say.Refreshed: ("refresh_success", _refreshed),
            say.Pong: ("heartbeat_response", lambda _, now: {"serverTime": now}),
            say.Subscribed: ("room_joined", self._subscribed),
            say.SubscribedEach: ("joined", _joined),
            say.Unsubscribed: ("room_left", lambda reply, _: {"roomId": reply.channel.name}),
            say.HistoryRead: ("history", self._history),
            say.PresenceRead: ("presence", _presence),
        }
        self._pushes: dict[type[Push], tuple[str, Callable[[Any, int], dict[str, Any]]]] = {
            say.Welcome: ("handshake", _welcome),
            say.Delivery: ("message", self._delivery),
            say.Joined: ("user_joined", self._moved),
            say.Signalled: ("typing", _signalled),
            say.Expiring: ("token_expiring", _expiring),
            say.Removed: ("room_left", _removed),
            say.ShuttingDown: ("shutdown", lambda push, _: {"retryMs": push.retry}),
        }

    def reply(self, command: Command, reply: Reply, now: int) -> bytes | None:
        """The answer to a command. A message without an `id` and a signal are answered with silence."""
        if isinstance(reply, say.Published):
            return self._ack(command, reply, now)
        if isinstance(reply, say.Done):
            return None if command.id is None else _envelope("done", {}, now, command.id)
        kind, build = self._replies[type(reply)]
        return _envelope(kind, build(reply, now), now, command.id)

    @staticmethod
    def _ack(command: Command, reply: say.Published, now: int) -> bytes | None:
        if command.id is None:
            return None
        data = {"messageId": reply.publication_id, **_position(reply.position)}
        return _envelope("ack", data, now, command.id)

    def fault(self, fault: Fault, now: int) -> bytes:
        """The error envelope of a refused command."""
        kind = fault.kind
        data: dict[str, Any] = {
            "message": TEXTS.get(kind, kind.text),
            "code": CODES.get(kind, kind.code),
        }
        if fault.retry_after is not None:
            data["retryAfterMs"] = fault.retry_after
        if fault.details is not None:
            data["details"] = fault.details
        if fault.part is not None:
            data["roomId"] = fault.part
        return _envelope("error", data, now, fault.command_id)

    def push(self, push: Push, now: int) -> bytes | None:
        """Words nobody asked for."""
        if isinstance(push, say.Left):
            return _envelope(_LEFT[push.reason], self._moved(push, now), now)
        word = self._pushes.get(type(push))
        if word is None:
            return None
        kind, build = word
        return _envelope(kind, build(push, now), now)

    def _person(self, user: str | None, email: str | None) -> dict[str, Any]:
        person: dict[str, Any] = {"userId": user}
        if self._expose_email and email is not None:
            person["email"] = email
        return person

    def _message(self, room: str, publication: Publication) -> dict[str, Any]:
        message = {
            "id": publication.id,
            "type": publication.type or "chat_message",
            "roomId": room,
            "content": publication.data,
            **self._person(publication.user, publication.email),
            "timestamp": publication.time,
            "offset": publication.offset,
        }
        if publication.signature is not None:
            message["signature"] = publication.signature
        return message

    def _delivery(self, push: say.Delivery, _: int) -> dict[str, Any]:
        message = self._message(push.channel.name, push.publication)
        if push.suppressed:
            message["suppressed"] = push.suppressed
        return message

    def _subscribed(self, reply: say.Subscribed, _: int) -> dict[str, Any]:
        room = reply.channel.name
        data: dict[str, Any] = {
            "roomId": room,
            "participants": reply.participants,
            "position": _position(reply.position),
        }
        if reply.recovered is not None:
            data["recovered"] = reply.recovered
            data["messages"] = [self._message(room, each) for each in reply.publications]
        if reply.snapshot is not None:
            data["snapshot"] = [self._message(room, each) for each in reply.snapshot]
        return data

    def _history(self, reply: say.HistoryRead, _: int) -> dict[str, Any]:
        room = reply.channel.name
        return {
            "roomId": room,
            "messages": [self._message(room, each) for each in reply.publications],
            "position": _position(reply.position),
        }

    def _moved(self, push: say.Joined | say.Left, _: int) -> dict[str, Any]:
        return {**self._person(push.user, push.email), "roomId": push.channel.name}


_LEFT: Final = {
    say.LeaveReason.LEFT: "user_left",
    say.LeaveReason.DISCONNECTED: "user_disconnected",
}


def _authenticated(reply: say.Authenticated, _: int) -> dict[str, Any]:
    who = reply.identity
    return {
        "wsToken": reply.session_token,
        "user": {"userId": who.subject, "email": who.email, "roles": sorted(who.roles)},
        "expiresAt": _milliseconds(reply.expires_at),
        "resumed": reply.resumed,
    }


def _joined(reply: say.SubscribedEach, _: int) -> dict[str, Any]:
    return {
        "rooms": [channel.name for channel in reply.channels],
        "failed": [_failure(each) for each in reply.failed],
    }


def _failure(failure: say.Failure) -> dict[str, Any]:
    kind, retry = failure.fault.kind, failure.fault.retry_after
    told: dict[str, Any] = {"roomId": failure.about, "code": CODES.get(kind, kind.code)}
    return told if retry is None else {**told, "retryAfterMs": retry}


def _refreshed(reply: say.Refreshed, _: int) -> dict[str, Any]:
    return {"expiresAt": _milliseconds(reply.expires_at), "wsToken": reply.session_token}


def _presence(reply: say.PresenceRead, _: int) -> dict[str, Any]:
    participants = [
        {"userId": each.user, "connections": each.connections} for each in reply.participants
    ]
    return {"roomId": reply.channel.name, "participants": participants}


def _welcome(push: say.Welcome, now: int) -> dict[str, Any]:
    return {"connectionId": push.connection_id, "serverTime": now}


def _signalled(push: say.Signalled, _: int) -> dict[str, Any]:
    return {"roomId": push.channel.name, "userId": push.user, "active": push.active}


def _expiring(push: say.Expiring, _: int) -> dict[str, Any]:
    return {"expiresAt": _milliseconds(push.expires_at)}


def _removed(push: say.Removed, _: int) -> dict[str, Any]:
    return {"roomId": push.channel.name, "reason": push.reason}
