"""Encoder of the rooms protocol: replies, errors and pushes, as envelopes with fixed keys."""

from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec
from msgspec import UNSET, UnsetType

import portward.protocols.rooms.messages as wire
from portward.model import replies as say
from portward.model.commands import Command
from portward.model.errors import CommandError
from portward.model.position import Position
from portward.model.publication import Publication
from portward.model.replies import Push, Reply
from portward.node.sessions import ClientProtocol
from portward.protocols.message import Sent, StreamPosition, json_details, milliseconds, optional
from portward.protocols.rooms.messages import CODES, TEXTS

_encode = msgspec.json.Encoder().encode


def _envelope(kind: str, data: Sent, now: int, identifier: str | int | None = None) -> bytes:
    return _encode(wire.RoomsEnvelope(kind, data, now, UNSET if identifier is None else identifier))


def _position(position: Position) -> StreamPosition:
    return StreamPosition(offset=position.offset, epoch=position.epoch)


class RoomsEncoder(ClientProtocol):
    """Encodes all messages. Without `expose_email` the key `email` never has the address of another user."""

    def __init__(self, *, expose_email: bool) -> None:
        self._expose_email = expose_email
        self._replies: dict[type[Reply], tuple[str, Callable[[Any, int], Sent]]] = {
            say.Authenticated: ("auth_success", _authenticated),
            say.Refreshed: ("refresh_success", _refreshed),
            say.Pong: (
                "heartbeat_response",
                lambda _, now: wire.RoomsHeartbeatResponse(server_time=now),
            ),
            say.Subscribed: ("room_joined", self._subscribed),
            say.SubscribedEach: ("joined", _joined),
            say.Unsubscribed: (
                "room_left",
                lambda reply, _: wire.RoomsRoomLeft(room_id=reply.channel.name),
            ),
            say.HistoryRead: ("history", self._history),
            say.PresenceRead: ("presence", _presence),
        }
        self._pushes: dict[type[Push], tuple[str, Callable[[Any, int], Sent]]] = {
            say.Welcome: ("handshake", _welcome),
            say.Delivery: ("message", self._delivery),
            say.Joined: ("user_joined", self._moved),
            say.Signalled: ("typing", _signalled),
            say.Expiring: ("token_expiring", _expiring),
            say.Removed: ("room_left", _removed),
            say.ShuttingDown: ("shutdown", lambda push, _: wire.RoomsShutdown(retry_ms=push.retry)),
        }

    def reply(self, command: Command, reply: Reply, now: int) -> bytes | None:
        """Encode the answer to a command. A message without an `id` and a signal get no answer."""
        if isinstance(reply, say.Published):
            if command.id is None:
                return None
            offset, epoch = reply.position.offset, reply.position.epoch
            ack = wire.RoomsAck(message_id=reply.publication_id, offset=offset, epoch=epoch)
            return _encode(wire.RoomsEnvelope("ack", ack, now, command.id))
        if isinstance(reply, say.Done):
            return (
                None if command.id is None else _envelope("done", wire.RoomsDone(), now, command.id)
            )
        kind, build = self._replies[type(reply)]
        return _envelope(kind, build(reply, now), now, command.id)

    def reply_error(self, fault: CommandError, now: int) -> bytes:
        """Encode the error envelope of a refused command."""
        kind = fault.kind
        data = wire.RoomsError(
            message=TEXTS.get(kind, kind.text),
            code=CODES.get(kind, kind.code),
            retry_after_ms=optional(fault.retry_after),
            details=json_details(fault.details),
            room_id=optional(fault.part),
        )
        return _envelope("error", data, now, fault.command_id)

    def push(self, push: Push, now: int) -> bytes | None:
        """Encode a push. A client that may come back gets a time to wait, before the close."""
        if isinstance(push, say.Parting):
            closing = _closing(push)
            return None if closing is None else _envelope("closing", closing, now)
        if isinstance(push, say.Left):
            return _envelope(_LEFT[push.reason], self._moved(push, now), now)
        word = self._pushes.get(type(push))
        if word is None:
            return None
        kind, build = word
        return _encode(wire.RoomsEnvelope(kind, build(push, now), now))

    def _email(self, email: str | None) -> str | UnsetType:
        return email if self._expose_email and email is not None else UNSET

    def _message(
        self, room: str, publication: Publication, suppressed: int = 0
    ) -> wire.RoomsMessage:
        signature = publication.signature
        return wire.RoomsMessage(
            id=publication.id,
            type=publication.type or "chat_message",
            room_id=room,
            content=publication.data,
            user_id=publication.user,
            email=UNSET if publication.email is None else self._email(publication.email),
            timestamp=publication.time,
            offset=publication.offset,
            signature=UNSET if signature is None else signature,
            suppressed=suppressed or UNSET,
        )

    def _messages(self, room: str, publications: Iterable[Publication]) -> list[wire.RoomsMessage]:
        return [self._message(room, each) for each in publications]

    def _delivery(self, push: say.Delivery, _: int) -> Sent:
        room = push.channel.partition(":")[2]
        return self._message(room, push.publication, push.suppressed)

    def _subscribed(self, reply: say.Subscribed, _: int) -> Sent:
        room = reply.channel.name
        recovered, snapshot = reply.recovered, reply.snapshot
        return wire.RoomsRoomJoined(
            room_id=room,
            participants=reply.participants,
            position=_position(reply.position),
            recovered=optional(recovered),
            messages=UNSET if recovered is None else self._messages(room, reply.publications),
            snapshot=UNSET if snapshot is None else self._messages(room, snapshot),
        )

    def _history(self, reply: say.HistoryRead, _: int) -> Sent:
        room = reply.channel.name
        return wire.RoomsHistory(
            room_id=room,
            messages=self._messages(room, reply.publications),
            position=_position(reply.position),
        )

    def _moved(self, push: say.Joined | say.Left, _: int) -> Sent:
        return wire.RoomsMoved(
            user_id=push.user, email=self._email(push.email), room_id=push.channel.name
        )


_LEFT: Final = {
    say.LeaveReason.LEFT: "user_left",
    say.LeaveReason.DISCONNECTED: "user_disconnected",
}


def _authenticated(reply: say.Authenticated, _: int) -> Sent:
    who = reply.identity
    return wire.RoomsAuthSuccess(
        ws_token=reply.session_token,
        user=wire.RoomsUser(user_id=who.subject, email=who.email, roles=sorted(who.roles)),
        expires_at=milliseconds(reply.expires_at),
        resumed=reply.resumed,
    )


def _joined(reply: say.SubscribedEach, _: int) -> Sent:
    return wire.RoomsJoined(
        rooms=[channel.name for channel in reply.channels],
        failed=[_failure(each) for each in reply.failed],
    )


def _failure(failure: say.Failure) -> wire.RoomsFailure:
    kind = failure.fault.kind
    return wire.RoomsFailure(
        room_id=failure.about,
        code=CODES.get(kind, kind.code),
        retry_after_ms=optional(failure.fault.retry_after),
    )


def _refreshed(reply: say.Refreshed, _: int) -> Sent:
    return wire.RoomsRefreshSuccess(
        expires_at=milliseconds(reply.expires_at), ws_token=reply.session_token
    )


def _presence(reply: say.PresenceRead, _: int) -> Sent:
    participants = [
        wire.RoomsParticipant(user_id=each.user, connections=each.connections)
        for each in reply.participants
    ]
    return wire.RoomsPresence(room_id=reply.channel.name, participants=participants)


def _welcome(push: say.Welcome, now: int) -> Sent:
    return wire.RoomsHandshake(connection_id=push.connection_id, server_time=now)


def _closing(push: say.Parting) -> Sent | None:
    if push.retry is None or push.told:
        return None
    return wire.RoomsClosing(reason=push.ending.name.lower(), retry_ms=push.retry)


def _signalled(push: say.Signalled, _: int) -> Sent:
    return wire.RoomsTyping(room_id=push.channel.name, user_id=push.user, active=push.active)


def _expiring(push: say.Expiring, _: int) -> Sent:
    return wire.RoomsTokenExpiring(expires_at=milliseconds(push.expires_at))


def _removed(push: say.Removed, _: int) -> Sent:
    return wire.RoomsRoomLeft(room_id=push.channel.name, reason=push.reason)
