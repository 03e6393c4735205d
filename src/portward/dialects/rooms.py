"""The rooms dialect: chat, collaboration and notifications in JSON envelopes.

Both ways an envelope is `{"type", "data", "timestamp"}`; a client may add an `id`, which comes back with
the answer. See docs/endpoints/rooms.md for the whole conversation.
"""

from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from portward.dialects import intake
from portward.dialects.rooms_words import Speech
from portward.model import commands as ask
from portward.model.channel import Channel
from portward.model.commands import Command, Wanted
from portward.model.endings import Ending
from portward.model.faults import Fault, FaultKind
from portward.model.limits import JOINED_AT_ONCE
from portward.model.position import Position
from portward.model.room import RoomPermissions

MAX_CONTENT: Final = 4000
_ENVELOPE_KEYS: Final = frozenset({"type", "data", "timestamp", "id"})
_MAX_ID: Final = 64

Offset = Annotated[int, Meta(ge=0)]
Limit = Annotated[int, Meta(ge=0)]


class _Data(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A client message's `data`: unknown keys are refused."""


class _Nothing(_Data, frozen=True):
    pass


class _Auth(_Data, frozen=True):
    token: str | UnsetType = UNSET
    wsToken: str | UnsetType = UNSET  # noqa: N815 - the word on the wire


class _Token(_Data, frozen=True):
    token: str | UnsetType = UNSET


class _Since(_Data, frozen=True):
    offset: Offset
    epoch: Annotated[str, Meta(max_length=64)]


class _Room(_Data, frozen=True):
    roomId: str  # noqa: N815 - the word on the wire


class _JoinOne(_Room, frozen=True):
    since: _Since | None = None


class _Join(_Data, frozen=True):
    roomId: str | UnsetType = UNSET  # noqa: N815 - the word on the wire
    since: _Since | UnsetType | None = UNSET
    rooms: Annotated[list[_JoinOne], Meta(max_length=JOINED_AT_ONCE)] | UnsetType = UNSET


class _Message(_Room, frozen=True):
    content: str


class _History(_Room, frozen=True):
    limit: Limit | None = None
    before: Offset | None = None
    since: Offset | _Since | None = None


class _Typing(_Room, frozen=True):
    active: bool


class _Kick(_Room, frozen=True):
    userId: Annotated[str, Meta(min_length=1, max_length=128)]  # noqa: N815 - the word on the wire


class _SetPermissions(_Room, frozen=True):
    permissions: RoomPermissions


class RoomsDialect:
    """Implements `dialects.port.Dialect`. A room `general` is the channel `<namespace>:general`."""

    name = "rooms"
    binary = False
    resumable = True
    closes: ClassVar[Mapping[Ending, tuple[int, str]]] = {
        Ending.AUTH_TIMEOUT: (1008, "Authentication timeout"),
        Ending.IDLE: (1008, "Connection timeout"),
    }

    def __init__(self, namespace: str, *, expose_email: bool) -> None:
        self._namespace = namespace
        speech = Speech(expose_email=expose_email)
        self.reply = speech.reply
        self.fault = speech.fault
        self.push = speech.push
        self._readers: dict[str, tuple[type[_Data], Callable[[Any, str | None], Command]]] = {
            "auth": (_Auth, self._auth),
            "refresh": (_Token, self._refresh),
            "join": (_Join, self._join),
            "leave": (_Room, self._leave),
            "message": (_Message, self._message),
            "history": (_History, self._history),
            "presence": (_Room, self._presence),
            "heartbeat": (_Nothing, self._heartbeat),
            "typing": (_Typing, self._typing),
            "kick": (_Kick, self._kick),
            "set_permissions": (_SetPermissions, self._set_permissions),
        }

    def decode(self, payload: bytes, binary: bool) -> Command:  # noqa: ARG002 - text only, see `binary`
        """Read one envelope. See `Dialect.decode`."""
        envelope = intake.parse(payload)
        identifier = _identifier(envelope)
        try:
            return self._decode(envelope, identifier)
        except msgspec.ValidationError:
            raise Fault(FaultKind.INVALID_STRUCTURE, command_id=identifier) from None
        except Fault as fault:
            fault.command_id = identifier
            raise

    def _decode(self, envelope: Any, identifier: str | None) -> Command:
        if not _well_formed(envelope, identifier):
            raise Fault(FaultKind.INVALID_STRUCTURE)
        schema, build = self._readers.get(envelope["type"], (None, None))
        if schema is None or build is None:
            raise Fault(FaultKind.UNKNOWN_TYPE)
        return build(msgspec.convert(envelope["data"], schema), identifier)

    def _channel(self, room: str) -> Channel:
        try:
            return Channel.parse(f"{self._namespace}:{room}")
        except ValueError:
            raise Fault(FaultKind.INVALID_CHANNEL) from None

    def _auth(self, data: _Auth, identifier: str | None) -> Command:
        if isinstance(data.token, str) and data.wsToken is UNSET and data.token:
            return ask.Authenticate(id=identifier, token=data.token)
        if isinstance(data.wsToken, str) and data.token is UNSET and data.wsToken:
            return ask.Resume(id=identifier, session_token=data.wsToken)
        both = bool(data.token) and bool(data.wsToken)
        raise Fault(FaultKind.INVALID_STRUCTURE if both else FaultKind.TOKEN_REQUIRED)

    def _refresh(self, data: _Token, identifier: str | None) -> Command:
        if not data.token:
            raise Fault(FaultKind.TOKEN_REQUIRED)
        return ask.Refresh(id=identifier, token=data.token)

    def _join(self, data: _Join, identifier: str | None) -> Command:
        if isinstance(data.rooms, list) and data.roomId is UNSET and data.since is UNSET:
            return self._join_each(data.rooms, identifier)
        if isinstance(data.roomId, UnsetType) or data.rooms is not UNSET:
            raise Fault(FaultKind.INVALID_STRUCTURE)
        since = _position(data.since or None)
        return ask.Subscribe(id=identifier, channel=self._channel(data.roomId), since=since)

    def _join_each(self, rooms: list[_JoinOne], identifier: str | None) -> Command:
        """Each room once, as it was named first; whether an id can be one is judged with the rest."""
        wanted: dict[str, Wanted] = {}
        for room in rooms:
            if room.roomId not in wanted:
                channel = self._perhaps_channel(room.roomId)
                wanted[room.roomId] = Wanted(room.roomId, channel, _position(room.since))
        return ask.SubscribeEach(id=identifier, wanted=tuple(wanted.values()))

    def _perhaps_channel(self, room: str) -> Channel | None:
        try:
            return self._channel(room)
        except Fault:
            return None

    def _leave(self, data: _Room, identifier: str | None) -> Command:
        return ask.Unsubscribe(id=identifier, channel=self._channel(data.roomId))

    def _message(self, data: _Message, identifier: str | None) -> Command:
        channel = self._channel(data.roomId)
        content = data.content.strip()
        if len(content) > MAX_CONTENT:
            raise Fault(FaultKind.TOO_LONG)
        if not content or intake.has_control(content):
            raise Fault(FaultKind.INVALID_STRUCTURE)
        return ask.Publish(id=identifier, channel=channel, data=content)

    def _history(self, data: _History, identifier: str | None) -> Command:
        since = data.since.offset if isinstance(data.since, _Since) else data.since
        epoch = data.since.epoch if isinstance(data.since, _Since) else None
        if since is not None and data.before is not None:
            raise Fault(FaultKind.INVALID_STRUCTURE)
        return ask.ReadHistory(
            id=identifier,
            channel=self._channel(data.roomId),
            limit=data.limit,
            since=since,
            epoch=epoch,
            before=data.before,
            reverse=since is None,
        )

    def _presence(self, data: _Room, identifier: str | None) -> Command:
        return ask.ReadPresence(id=identifier, channel=self._channel(data.roomId))

    def _heartbeat(self, _: _Nothing, identifier: str | None) -> Command:
        return ask.Ping(id=identifier)

    def _typing(self, data: _Typing, identifier: str | None) -> Command:
        channel = self._channel(data.roomId)
        return ask.Signal(id=identifier, channel=channel, name="typing", active=data.active)

    def _kick(self, data: _Kick, identifier: str | None) -> Command:
        return ask.Kick(id=identifier, channel=self._channel(data.roomId), user=data.userId)

    def _set_permissions(self, data: _SetPermissions, identifier: str | None) -> Command:
        channel = self._channel(data.roomId)
        return ask.SetPermissions(id=identifier, channel=channel, permissions=data.permissions)


def _position(since: _Since | None) -> Position | None:
    return None if since is None else Position(since.offset, since.epoch)


def _identifier(envelope: Any) -> str | None:
    """The client's own id, when the envelope has a usable one."""
    if not isinstance(envelope, dict):
        return None
    identifier = envelope.get("id")
    return identifier if isinstance(identifier, str) and len(identifier) <= _MAX_ID else None


def _well_formed(envelope: Any, identifier: str | None) -> bool:
    return (
        isinstance(envelope, dict)
        and _ENVELOPE_KEYS.issuperset(envelope)
        and isinstance(envelope.get("type"), str)
        and isinstance(envelope.get("data"), dict)
        and isinstance(envelope.get("timestamp"), int | float)
        and not isinstance(envelope["timestamp"], bool)
        and ("id" not in envelope or identifier is not None)
    )
