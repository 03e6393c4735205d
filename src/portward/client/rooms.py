"""The rooms client: rooms on one connection, joined again after every break."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

import portward.client.decode as decode
from portward.client.channel import GetState
from portward.client.channels import ChannelsClient
from portward.client.clock import sleep
from portward.client.codec import Incoming, RoomsCodec
from portward.client.endpoint import EndpointOptions
from portward.client.errors import ConnectionLost, NoAnswer, RequestRefused
from portward.client.outgoing import OutgoingQueue
from portward.client.requests import RequestConnection
from portward.client.room import Room
from portward.client.rooms_auth import RoomsAuthentication
from portward.client.rooms_join import join_rooms
from portward.model.replies import INSUFFICIENT_STATE


class RoomClient(ChannelsClient[Room]):
    """Rooms of one gateway. Events: those of every endpoint."""

    PING = ("heartbeat", {})

    def __init__(self, options: EndpointOptions, session_token: str | None = None) -> None:
        super().__init__(options, RoomsCodec(options.connection.clock.time))
        self.user: str | None = None
        self._auth = RoomsAuthentication(options.tokens, session_token)
        self._handlers: dict[str, tuple[type, Callable[[Any], None]]] = {
            "auth_success": (decode.AuthSuccess, self._authenticated),
            "refresh_success": (decode.RefreshSuccess, self._refreshed),
            "room_joined": (decode.RoomJoined, self._room_joined),
            "room_left": (decode.RoomLeft, self._room_left),
            "message": (decode.RoomMessage, lambda said: self._in(said, Room.message)),
            "user_joined": (decode.MemberChange, lambda said: self._in(said, Room.member_joined)),
            "user_left": (decode.MemberChange, lambda said: self._gone(said, disconnected=False)),
            "user_disconnected": (
                decode.MemberChange,
                lambda said: self._gone(said, disconnected=True),
            ),
            "typing": (decode.TypingSignal, lambda said: self._in(said, Room.typed)),
        }

    # -- for applications

    def room(self, room_id: str, *, get_state: GetState | None = None) -> Room:
        """The room of this id; the same object each time. `get_state` counts the first time."""
        room = self._channels.get(room_id)
        if room is None:
            room = Room(room_id, self, self._clock, self._backoff, get_state)
            self._channels[room_id] = room
        return room

    @property
    def session_token(self) -> str | None:
        """The credential of the next connection; new after every use. As secret as a token."""
        return self._auth.session_token

    # -- for rooms

    @property
    def outgoing(self) -> OutgoingQueue:
        """Where messages wait to be written."""
        return self._reconnecting.outgoing

    async def ask(self, kind: str, data: Mapping[str, Any]) -> Incoming:
        """Send a request and wait for its answer."""
        return await self._request(kind, data)

    async def post(self, kind: str, data: Mapping[str, Any]) -> None:
        """Send a message that is not answered, if there is a connection."""
        connection = self._reconnecting.connection
        if connection is not None:
            connection.post(kind, data)

    # -- for the connection

    async def prepare(self) -> Mapping[str, str]:
        """Get a token."""
        await self._auth.prepare()
        return {}

    async def open(self, connection: RequestConnection) -> None:
        """Authenticate, and join every room again."""
        await self._auth.authenticate(connection)
        if self._wanted:
            await self._join(connection, list(self._wanted.values()))

    def receive(self, connection: RequestConnection, incoming: Incoming, answer: bool) -> None:
        """Take a message."""
        self._common(connection, incoming)
        self.observe(incoming, answer)
        if incoming.kind == "token_expiring":
            self._refresher.due(connection)
        elif incoming.kind == "room_joined" and incoming.data.get("roomId") not in self._wanted:
            # The room was left while it was being joined: this connection must leave it now.
            connection.post("leave", {"roomId": incoming.data.get("roomId")})
        kind, handler = self._handlers.get(incoming.kind, (None, None))
        if kind is not None and handler is not None:
            handler(msgspec.convert(incoming.data, kind))

    # -- joining

    def _leaving(self, channel: Room) -> tuple[str, dict[str, Any]]:
        return "leave", {"roomId": channel.id}

    async def _enter(self, connection: RequestConnection, channel: Room) -> None:
        try:
            await self._join(connection, [channel] if channel.state == "joining" else [])
        except NoAnswer as error:
            connection.drop(str(error))
        except ConnectionLost:
            return  # the next connection joins every room

    async def _join(self, connection: RequestConnection, rooms: list[Room]) -> None:
        if not rooms:
            return
        for room, error in await join_rooms(connection, {each.id: each.position for each in rooms}):
            self._refused(connection, self._channels[room], error)

    def _refused(self, connection: RequestConnection, room: Room, error: RequestRefused) -> None:
        if self._wanted.get(room.id) is not room:
            return
        if error.temporary and room.position is not None:
            wait = self._backoff.wait(0, error.retry_after)
            self._background(self._join_later(connection, room, wait))
        else:
            self._wanted.pop(room.id)
            room.out(error)

    async def _join_later(self, connection: RequestConnection, room: Room, wait: float) -> None:
        await sleep(self._clock, wait)
        if connection.closed is None and self._wanted.get(room.id) is room:
            await self._enter(connection, room)

    # -- what comes

    def _authenticated(self, said: decode.AuthSuccess) -> None:
        self._auth.session_token, self.user = said.ws_token, said.user.user_id

    def _refreshed(self, said: decode.RefreshSuccess) -> None:
        self._auth.session_token = said.ws_token

    def _room_joined(self, said: decode.RoomJoined) -> None:
        room = self._wanted.get(said.room_id)
        if room is not None:
            room.joined(said)

    def _room_left(self, said: decode.RoomLeft) -> None:
        room = self._wanted.get(said.room_id)
        if room is None:
            return
        connection = self._reconnecting.connection
        if said.reason in _JOINED_AGAIN and connection is not None:
            # The position is kept: the room is joined again from there, and the answer has what was lost.
            room.interrupted()
            self._background(self._enter(connection, room))
        elif said.reason is not None:
            self._wanted.pop(said.room_id)
            room.out(RequestRefused(said.reason, f"removed from the room: {said.reason}"))

    def _in(self, said: Any, handle: Callable[[Room, Any], None]) -> None:
        room = self._wanted.get(said.room_id)
        if room is not None:
            handle(room, said)

    def _gone(self, said: decode.MemberChange, *, disconnected: bool) -> None:
        self._in(said, lambda room, change: room.member_left(change, disconnected=disconnected))


_JOINED_AGAIN = frozenset({INSUFFICIENT_STATE, "unavailable"})
