"""The rooms protocol: chat, collaboration and notifications in JSON envelopes.

In both directions an envelope is `{"type", "data", "timestamp"}`; a client may add an `id`, which is sent
back with the answer. docs/endpoints/rooms.md describes all messages.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, ClassVar, Final

import msgspec
from msgspec import UNSET, UnsetType

import portward.protocols.rooms.messages as wire
from portward.model import commands as ask
from portward.model.channel import Channel
from portward.model.commands import Command, Wanted
from portward.model.disconnects import Disconnect
from portward.model.errors import CommandError, ErrorKind
from portward.model.position import Position
from portward.protocols.message import MAX_ID, SincePosition
from portward.protocols.rooms.encode import RoomsEncoder
from portward.security import strict_json

MAX_CONTENT: Final = 4000
PARSED: Final = 4096
"""Channels of room ids that are kept, so that an id is parsed once while it is in use."""
_ENVELOPE_KEYS: Final = frozenset({"type", "data", "timestamp", "id"})


class RoomsProtocol(RoomsEncoder):
    """A room `general` is the channel `<namespace>:general`."""

    name = "rooms"
    resumable = True
    closes: ClassVar[Mapping[Disconnect, tuple[int, str]]] = {
        Disconnect.AUTH_TIMEOUT: (1008, "Authentication timeout"),
        Disconnect.IDLE: (1008, "Connection timeout"),
    }

    def __init__(self, namespace: str, *, expose_email: bool) -> None:
        self._namespace = namespace
        self._parse: Callable[[str], Channel] = lru_cache(maxsize=PARSED)(Channel.parse)
        super().__init__(expose_email=expose_email)
        self._readers: dict[str, tuple[type[Any], Callable[[Any, str | None], Command]]] = {
            "auth": (wire.RoomsAuth, self._auth),
            "refresh": (wire.RoomsRefresh, self._refresh),
            "join": (wire.RoomsJoin, self._join),
            "leave": (wire.RoomsLeave, self._leave),
            "message": (wire.RoomsSend, self._read_message),
            "history": (wire.RoomsReadHistory, self._read_history),
            "presence": (wire.RoomsReadPresence, self._presence),
            "heartbeat": (wire.RoomsHeartbeat, self._heartbeat),
            "typing": (wire.RoomsSetTyping, self._typing),
            "kick": (wire.RoomsKick, self._kick),
            "set_permissions": (wire.RoomsSetPermissions, self._set_permissions),
        }

    def decode(self, payload: bytes, binary: bool) -> Command:  # noqa: ARG002 - text only, see `binary`
        """Decode one envelope. See `ClientProtocol.decode`."""
        envelope = strict_json.parse(payload)
        identifier, well_formed = _inspect(envelope)
        try:
            if not well_formed:
                raise CommandError(ErrorKind.INVALID_STRUCTURE)  # noqa: TRY301 - gets its id below
            schema, build = self._readers.get(envelope["type"], _UNKNOWN)
            return build(msgspec.convert(envelope["data"], schema), identifier)
        except msgspec.ValidationError:
            raise CommandError(ErrorKind.INVALID_STRUCTURE, command_id=identifier) from None
        except CommandError as fault:
            fault.command_id = identifier
            raise

    def _channel(self, room: str) -> Channel:
        try:
            return self._parse(f"{self._namespace}:{room}")
        except ValueError:
            raise CommandError(ErrorKind.INVALID_CHANNEL) from None

    def _auth(self, data: wire.RoomsAuth, identifier: str | None) -> Command:
        if isinstance(data.token, str) and data.ws_token is UNSET and data.token:
            return ask.Authenticate(id=identifier, token=data.token)
        if isinstance(data.ws_token, str) and data.token is UNSET and data.ws_token:
            return ask.Resume(id=identifier, session_token=data.ws_token)
        both = bool(data.token) and bool(data.ws_token)
        raise CommandError(ErrorKind.INVALID_STRUCTURE if both else ErrorKind.TOKEN_REQUIRED)

    def _refresh(self, data: wire.RoomsRefresh, identifier: str | None) -> Command:
        if not data.token:
            raise CommandError(ErrorKind.TOKEN_REQUIRED)
        return ask.Refresh(id=identifier, token=data.token)

    def _join(self, data: wire.RoomsJoin, identifier: str | None) -> Command:
        if isinstance(data.rooms, list) and data.room_id is UNSET and data.since is UNSET:
            return self._join_each(data.rooms, identifier)
        if isinstance(data.room_id, UnsetType) or data.rooms is not UNSET:
            raise CommandError(ErrorKind.INVALID_STRUCTURE)
        since = _position(data.since or None)
        return ask.Subscribe(id=identifier, channel=self._channel(data.room_id), since=since)

    def _join_each(self, rooms: list[wire.RoomsJoinOne], identifier: str | None) -> Command:
        """Each room once, by its first entry; an invalid id is reported with the other results."""
        wanted: dict[str, Wanted] = {}
        for room in rooms:
            if room.room_id not in wanted:
                channel = self._perhaps_channel(room.room_id)
                wanted[room.room_id] = Wanted(room.room_id, channel, _position(room.since))
        return ask.SubscribeEach(id=identifier, wanted=tuple(wanted.values()))

    def _perhaps_channel(self, room: str) -> Channel | None:
        try:
            return self._channel(room)
        except CommandError:
            return None

    def _leave(self, data: wire.RoomsRoom, identifier: str | None) -> Command:
        return ask.Unsubscribe(id=identifier, channel=self._channel(data.room_id))

    def _read_message(self, data: wire.RoomsSend, identifier: str | None) -> Command:
        channel = self._channel(data.room_id)
        content = data.content.strip()
        if len(content) > MAX_CONTENT:
            raise CommandError(ErrorKind.TOO_LONG)
        if not content or strict_json.CONTROL.search(content):
            raise CommandError(ErrorKind.INVALID_STRUCTURE)
        return ask.Publish(id=identifier, channel=channel, data=content)

    def _read_history(self, data: wire.RoomsReadHistory, identifier: str | None) -> Command:
        since = data.since.offset if isinstance(data.since, SincePosition) else data.since
        epoch = data.since.epoch if isinstance(data.since, SincePosition) else None
        if since is not None and data.before is not None:
            raise CommandError(ErrorKind.INVALID_STRUCTURE)
        return ask.ReadHistory(
            id=identifier,
            channel=self._channel(data.room_id),
            limit=data.limit,
            since=since,
            epoch=epoch,
            before=data.before,
            reverse=since is None,
        )

    def _presence(self, data: wire.RoomsRoom, identifier: str | None) -> Command:
        return ask.ReadPresence(id=identifier, channel=self._channel(data.room_id))

    def _heartbeat(self, _: wire.RoomsHeartbeat, identifier: str | None) -> Command:
        return ask.Ping(id=identifier)

    def _typing(self, data: wire.RoomsSetTyping, identifier: str | None) -> Command:
        channel = self._channel(data.room_id)
        return ask.Signal(id=identifier, channel=channel, name="typing", active=data.active)

    def _kick(self, data: wire.RoomsKick, identifier: str | None) -> Command:
        return ask.Kick(id=identifier, channel=self._channel(data.room_id), user=data.user_id)

    def _set_permissions(self, data: wire.RoomsSetPermissions, identifier: str | None) -> Command:
        channel = self._channel(data.room_id)
        return ask.SetPermissions(id=identifier, channel=channel, permissions=data.permissions)


def _unknown_type(_: object, __: str | None) -> Command:
    raise CommandError(ErrorKind.UNKNOWN_TYPE)


_UNKNOWN: Final[tuple[type[Any], Callable[[Any, str | None], Command]]] = (dict, _unknown_type)


def _position(since: SincePosition | None) -> Position | None:
    return None if since is None else Position(since.offset, since.epoch)


def _inspect(envelope: Any) -> tuple[str | None, bool]:
    """Return the client's own id, when there is a usable one, and whether the envelope has its form."""
    if not isinstance(envelope, dict):
        return None, False
    identifier, timestamp = envelope.get("id"), envelope.get("timestamp")
    usable = isinstance(identifier, str) and len(identifier) <= MAX_ID
    well_formed = (
        (usable or "id" not in envelope)
        and _ENVELOPE_KEYS.issuperset(envelope)
        and isinstance(envelope.get("type"), str)
        and isinstance(envelope.get("data"), dict)
        and isinstance(timestamp, int | float)
        and not isinstance(timestamp, bool)
    )
    return identifier if usable else None, well_formed
