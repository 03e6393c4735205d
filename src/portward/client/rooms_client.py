"""The client itself: what an application calls, and what keeps it connected."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from types import TracebackType
from typing import Any, NamedTuple, Self, TypeVar

import msgspec

from portward.client import decode
from portward.client.backoff import Backoff
from portward.client.envelope import Envelope, encode
from portward.client.errors import ClientError
from portward.client.events import Event
from portward.client.hearing import Hearing
from portward.client.inbox import Inbox
from portward.client.keeping import Keeper
from portward.client.link import Dial, dialer
from portward.client.proving import Prover, TokenSource
from portward.client.room_values import History, Presence
from portward.model.position import Position

T = TypeVar("T")


class Ack(NamedTuple):
    """A message was stored: under this id, at this place of its room."""

    id: str
    position: Position


class RoomsClient:
    """A client of the rooms dialect that reconnects and recovers by itself.

    Enter it as an asynchronous context manager and iterate it for events; other tasks may ask
    meanwhile. The first connection is tried once. After that, a connection that breaks or closes
    with a code that invites is made again (:class:`Backoff`), proven by the session or else the
    token, and every room is joined again from where it was heard last: what was missed comes as
    messages, each once, or `Joined.recovered` says that some are gone.

    `token` is a token, or an async function that returns a fresh one each time: then the token is
    also renewed before it runs out. `session` and `rooms` (room ids and last positions) take up
    where an earlier client left off; what to keep for that are `session` and the `position` of each
    message. `max_events` is how many unread events stop the reading; the gateway closes who reads
    too slowly, and the client comes back. `timeout` bounds an answer, in seconds. With `raw` every
    message is also an event as it came. `dial`, `sleep` and `reconnect` are for tests and special
    needs.

    Raises (on entering):
        ValueError: `url` is no WebSocket address.
        ConnectFailed, HandshakeRefused, AuthenticationRefused, RequestRefused, ConnectionLost.
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
        dial: Dial | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._inbox = Inbox(max_events)
        self._hearing = Hearing(self._inbox, session=session, rooms=rooms or {}, raw=raw)
        self._timeout = timeout
        self._keeper = Keeper(
            dial=dial or dialer(url, headers=headers, tls=tls, timeout=timeout),
            inbox=self._inbox,
            hearing=self._hearing,
            prover=Prover(token, self._hearing, self._inbox),
            backoff=backoff or Backoff(),
            reconnect=reconnect,
            timeout=timeout,
            sleep=sleep,
        )

    # -- life

    async def __aenter__(self) -> Self:
        await self._keeper.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close with 1000 and stay away. The iteration ends after the events that are there."""
        await self._keeper.close()

    async def __aiter__(self) -> AsyncIterator[Event]:
        """Iterate over events, until `close`.

        Raises:
            Ended: the gateway forbade to come back.
            ClientError: coming back failed for good.
        """
        while (event := await self._inbox.get()) is not None:
            yield event

    # -- where it stands

    @property
    def user(self) -> str | None:
        """The user id the gateway knows this client by."""
        return self._hearing.user

    @property
    def session(self) -> str | None:
        """What proves the next connection; new after every use. As secret as a token."""
        return self._hearing.session

    @property
    def connected(self) -> bool:
        """Whether a connection stands, and every room is joined again."""
        return self._keeper.ready

    @property
    def positions(self) -> dict[str, Position]:
        """The rooms this client is in, and the last place received in each.

        Events up to it may still wait to be iterated: to resume another client without a gap, keep
        the positions of what was handled instead.
        """
        return {room: place for room, place in self._hearing.rooms.items() if place is not None}

    # -- what it asks

    async def join(self, room: str, since: Position | None = None) -> decode.RoomJoined:
        """Enter a room; with `since`, also hear what came after it.

        Messages, the missed ones too, come as events, after a `Joined` that says the same as the
        answer. The gateway joins again by itself after a reconnect.

        Raises:
            RequestRefused: no right, no such room, or it is full.
            ConnectionLost: there was no answer.
            Ended: the client is over.
        """
        self._hearing.asked[room] = since
        data: dict[str, Any] = {"roomId": room}
        if since is not None:
            data["since"] = since
        try:
            return await self._ask("join", data, decode.RoomJoined)
        finally:
            self._hearing.asked.pop(room, None)

    async def leave(self, room: str) -> None:
        """Leave a room. Raises as `join`."""
        await self.request("leave", {"roomId": room})

    async def say(self, room: str, content: str) -> Ack:
        """Send a message, 1 to 4000 characters.

        Raises:
            RequestRefused: not in the room, no right, too long, or too many of them.
            ConnectionLost: there was no answer; whether it was stored, the room will tell.
            Ended: the client is over.
        """
        said = await self._ask(
            "message", {"roomId": room, "content": content}, decode.StoredMessage
        )
        return Ack(said.message_id, Position(said.offset, said.epoch))

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
        data: dict[str, Any] = {"roomId": room}
        asked = {"limit": limit, "before": before, "since": since}
        data |= {name: value for name, value in asked.items() if value is not None}
        page = await self._ask("history", data, decode.HistoryPage)
        epoch = page.position.epoch
        return History(tuple(each.event(epoch) for each in page.messages), page.position)

    async def presence(self, room: str) -> tuple[Presence, ...]:
        """Ask who is in a room. Raises as `join`."""
        answer = await self._ask("presence", {"roomId": room}, decode.Participants)
        return tuple(Presence(each.user_id, each.connections) for each in answer.participants)

    async def typing(self, room: str, *, active: bool = True) -> None:
        """Tell the others in a room that one types; nothing is answered."""
        await self.send("typing", {"roomId": room, "active": active})

    async def refresh(self, token: str) -> None:
        """Put a newer token of the same user in place of the present one. Raises as `join`."""
        await self.request("refresh", {"token": token})

    async def request(self, kind: str, data: Mapping[str, Any]) -> Envelope:
        """Ask anything the dialect knows, once there is a connection. Raises as `join`."""
        connection = await self._keeper.connection()
        return await connection.request(kind, data)

    async def send(self, kind: str, data: Mapping[str, Any]) -> None:
        """Send without waiting for an answer; one that comes is an `Other`.

        Raises:
            ConnectionLost: there is no connection.
            Ended: the client is over.
        """
        await self.send_text(encode(kind, data))

    async def send_text(self, text: str) -> None:
        """Send a text as it is. Raises as `send`."""
        connection = await self._keeper.connection()
        await connection.send(text)

    async def _ask(self, kind: str, data: Mapping[str, Any], answer: type[T]) -> T:
        envelope = await self.request(kind, data)
        try:
            return msgspec.convert(envelope.data, answer)
        except msgspec.ValidationError:
            raise ClientError(f"the answer to {kind!r} is not what it should be") from None
