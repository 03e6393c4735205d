"""The older client of the rooms endpoint. It works for one more release; `Portward` takes its place."""

import ssl
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeVar

import portward.client.decode as decode
from portward.client.backoff import Backoff
from portward.client.endpoint import EndpointOptions
from portward.client.errors import ClientError
from portward.client.events import Event
from portward.client.link import LinkDial, link_dialer
from portward.client.options import ConnectionOptions
from portward.client.room_values import History, Presence, converted
from portward.client.rooms_events import EventRooms, Inbox
from portward.client.tokens import TokenProvider, TokenSource
from portward.client.transport import WebSocketDialer, checked_address
from portward.model.position import Position

T = TypeVar("T")


class Ack(NamedTuple):
    """A message was stored: under this id, at this place of its room."""

    id: str
    position: Position


class RoomsClient:
    """The older client of the rooms endpoint: use `Portward(url, get_token=…).room(…)` instead.

    The first connection is tried once. After that, a connection that breaks or closes with a code that
    allows it is made again, and every room is joined again from its last position. Iterate it for events.

    `token` is a token, or an async function that returns a fresh one each time. `session` and `rooms`
    (room ids and last positions) take up where an earlier client left off. `max_events` is how many
    unread events stop the reading. `timeout` bounds an answer, in seconds. With `raw` every message is
    also an event as it came. `dial`, `sleep` and `reconnect` are for tests and special needs.

    Raises (on entering):
        ValueError: `url` is no WebSocket address.
        ConnectFailed, HandshakeRefused, AuthenticationRefused, RequestRefused, ConnectionLost, Ended.
    """

    def __init__(  # noqa: PLR0913 - all but the address have defaults
        self,
        url: str,
        *,
        token: str | TokenSource | None = None,
        session: str | None = None,
        rooms: Mapping[str, Position | None] | None = None,
        headers: Mapping[str, str] | None = None,
        tls: ssl.SSLContext | None = None,
        backoff: Backoff | None = None,
        reconnect: bool = True,
        timeout: float = 10.0,
        max_events: int = 1000,
        raw: bool = False,
        dial: LinkDial | None = None,
        sleep: Callable[[float], Awaitable[None]] | None = None,
    ) -> None:
        warnings.warn(
            "RoomsClient goes with the next release: use Portward(url, get_token=...).room(...)",
            DeprecationWarning,
            stacklevel=2,
        )
        socket = WebSocketDialer(headers=headers, tls=tls, timeout=timeout)
        connection = ConnectionOptions(
            dial=socket if dial is None else link_dialer(dial),
            backoff=backoff or Backoff(),
            timeout=timeout,
            reconnect=reconnect,
            retry_first=False,
            sleep=sleep,
        )
        options = EndpointOptions(
            checked_address(url), TokenProvider(token, connection.clock), connection
        )
        self._timeout = timeout
        self._inbox = Inbox(max_events)
        self._rooms = EventRooms(options, self._inbox, rooms or {}, session_token=session, raw=raw)

    # -- life

    async def __aenter__(self) -> Self:
        try:
            await self._rooms.connect()
        except ClientError as error:
            await self.close()
            raise self._rooms.usable_error(error) from None
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close with 1000. The iteration ends after the events that are there."""
        await self._rooms.close()
        self._inbox.end(None)

    async def __aiter__(self) -> AsyncIterator[Event]:
        """Iterate over events, until `close`.

        Raises:
            Ended: the gateway forbade to reconnect.
            ClientError: reconnecting failed for good.
        """
        while (event := await self._inbox.get()) is not None:
            yield event

    # -- its state

    @property
    def user(self) -> str | None:
        """The user id of this client at the gateway."""
        return self._rooms.user

    @property
    def session(self) -> str | None:
        """The credential of the next connection; new after every use. As secret as a token."""
        return self._rooms.session_token

    @property
    def connected(self) -> bool:
        """Whether it is connected, and every room is joined again."""
        return self._rooms.state == "ready"

    @property
    def positions(self) -> dict[str, Position]:
        """The rooms this client is in, and the last place received in each.

        Events up to it may still wait to be iterated: to resume another client without a gap, keep
        the positions of what was handled instead.
        """
        return self._rooms.positions

    # -- requests

    async def join(self, room: str, since: Position | None = None) -> decode.RoomJoined:
        """Enter a room; with `since`, also receive what came after it.

        Messages, the missed ones too, are events, after a `Joined` with the content of the
        answer. The client joins again by itself after a reconnect.

        Raises:
            RequestRefused: no right, no such room, or it is full.
            ConnectionLost: there was no answer.
            Ended: the client is over.
        """
        return await self._translated(self._rooms.enter(room, since))

    async def leave(self, room: str) -> None:
        """Leave a room. Raises as `join`."""
        await self.request("leave", {"roomId": room})

    async def say(self, room: str, content: str) -> Ack:
        """Send a message, 1 to 4000 characters. Raises as `join`."""
        asked = {"roomId": room, "content": content}
        answer = await self._translated(self._rooms.ask("message", asked))
        stored = converted(answer, decode.StoredMessage)
        return Ack(stored.message_id, Position(stored.offset, stored.epoch))

    async def history(
        self,
        room: str,
        limit: int | None = None,
        *,
        before: int | None = None,
        since: Position | None = None,
    ) -> History:
        """Read a room back: the latest, those before an offset, or those after a position.

        Raises as `join`.
        """
        reading = self._rooms.room_with_events(room).history(limit, before=before, since=since)
        return await self._translated(reading)

    async def presence(self, room: str) -> tuple[Presence, ...]:
        """Ask for the users in a room. Raises as `join`."""
        return await self._translated(self._rooms.room_with_events(room).participants())

    async def typing(self, room: str, *, active: bool = True) -> None:
        """Show the others in a room that this user types; there is no answer."""
        await self.send("typing", {"roomId": room, "active": active})

    async def refresh(self, token: str) -> None:
        """Put a newer token of the same user in place of the present one. Raises as `join`."""
        await self.request("refresh", {"token": token})

    async def request(self, kind: str, data: Mapping[str, Any]) -> decode.Envelope:
        """Send any request, once there is a connection. Raises as `join`."""
        answer = await self._translated(self._rooms.ask(kind, data))
        return decode.Envelope(answer.kind, answer.data, id=answer.id)

    async def send(self, kind: str, data: Mapping[str, Any]) -> None:
        """Send without waiting for an answer; one that comes is an `Other`.

        Raises:
            ConnectionLost: there is no connection.
            Ended: the client is over.
        """
        await self.send_text(self._rooms.codec.encode(kind, data))

    async def send_text(self, text: str) -> None:
        """Send a text as it is. Raises as `send`."""
        connection = await self._translated(self._rooms.ready_connection())
        await connection.send(text)

    async def _translated(self, work: Awaitable[T]) -> T:
        if self._rooms.state == "stopped" and self._rooms.error is not None:
            getattr(work, "close", lambda: None)()
            raise self._rooms.final_error(self._rooms.error)
        try:
            with self._inbox.unbounded():
                return await work
        except ClientError as error:
            raise self._rooms.usable_error(error) from None
