"""One room for an application."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

import msgspec

import portward.client.decode as decode
from portward.client.backoff import Backoff
from portward.client.channel import ChannelFeed, GetState
from portward.client.codec import Incoming
from portward.client.errors import ClientError, ClosedError
from portward.client.events import Joined, Left, Message, Typing, UserJoined, UserLeft
from portward.client.outgoing import OutgoingQueue, Refused, SendResult, Stored
from portward.client.room_values import History, Presence, RoomPresence, converted
from portward.model.clock import Clock
from portward.model.position import Position

RoomState = Literal["out", "joining", "in"]


class RoomHost(Protocol):
    """What a room needs of the client it belongs to."""

    async def ask(self, kind: str, data: Mapping[str, Any]) -> Incoming:
        """Send a request and wait for its answer."""

    async def post(self, kind: str, data: Mapping[str, Any]) -> None:
        """Send a message that is not answered, if there is a connection."""

    def want(self, room: "Room") -> None:
        """Join the room, now and after every reconnect."""

    async def unwant(self, room: "Room") -> None:
        """Leave the room."""

    @property
    def outgoing(self) -> OutgoingQueue:
        """Where messages wait to be written."""


class Room(ChannelFeed[Message]):
    """A room: `async for message in room`, and callbacks by `on`.

    Events: `message` (Message), `gap` (Gap), `joined` (Joined), `left` (Left), `presence` (the tuple of
    users), `user_joined` and `user_left`, `typing`, `error` (what get_state raised). The iteration ends
    when the room is left, with an error when this user was removed.
    """

    EVENTS = frozenset(
        {
            "message",
            "gap",
            "joined",
            "left",
            "presence",
            "user_joined",
            "user_left",
            "typing",
            "error",
        }
    )
    MAIN = "message"
    ENTERING = "joining"
    state: RoomState

    def __init__(
        self,
        room_id: str,
        host: RoomHost,
        clock: Clock,
        backoff: Backoff,
        get_state: GetState | None = None,
    ) -> None:
        super().__init__(room_id, clock, backoff, get_state)
        self.id = room_id
        self.presence = RoomPresence()
        self._host = host
        self._holds = 0
        self._entry: asyncio.Future[ClientError | None] | None = None

    # -- for applications

    async def join(self) -> None:
        """Join, and wait until that is done. A room joined twice is left with the second `leave`.

        Raises:
            RequestRefused: no right, no such room, or it is full.
            ClientError: the client has stopped, or is closed.
        """
        self._holds += 1
        try:
            if self.state == "out":
                self.resume()
                self.state = "joining"
                self._entry = asyncio.get_running_loop().create_future()
                self._host.want(self)
            if self.state != "in" and self._entry is not None:
                await asyncio.wait({self._entry})
                _raise(self._entry.result())
        except BaseException:
            await self._release()
            raise

    async def leave(self) -> None:
        """Leave, unless it was joined more often. Without a connection the room is left, too."""
        await self._release()

    async def _release(self) -> None:
        if self._holds > 0:
            self._holds -= 1
        if self._holds == 0 and self.state != "out":
            self.out(None)
            await self._host.unwant(self)

    async def send(self, content: str) -> SendResult:
        """Send a message of 1 to 4000 characters; wait for its outcome.

        While there is no connection it waits in the queue of the client. `Stored` has its position;
        `Refused` the reason; with `Unknown` it was written and the connection broke before the answer.
        """
        if self.state == "out":
            return Refused("not_joined", "join the room first")
        return await self._host.outgoing.send(
            "message",
            {"roomId": self.id, "content": content},
            len(content.encode(errors="replace")),
            may_go=lambda: self.state != "joining",
            stored=_stored,
        )

    async def typing(self, *, active: bool = True) -> None:
        """Show the others that this user types. There is no answer; without a connection it is lost."""
        await self._host.post("typing", {"roomId": self.id, "active": active})

    async def history(
        self,
        limit: int | None = None,
        *,
        before: int | None = None,
        since: Position | None = None,
    ) -> History:
        """Read the room back: the latest messages, those before an offset, or those after a position.

        Raises:
            RequestRefused: no right, or the position is of another epoch.
            ConnectionLost: there was no answer.
        """
        asked = {"limit": limit, "before": before, "since": since}
        data = {name: value for name, value in asked.items() if value is not None}
        answer = await self._host.ask("history", {"roomId": self.id, **data})
        page = converted(answer, decode.RoomHistoryPage)
        epoch = page.position.epoch
        return History(tuple(each.event(epoch) for each in page.messages), page.position)

    async def participants(self) -> tuple[Presence, ...]:
        """Ask the gateway for the users and their numbers of connections. Raises as `history`."""
        answer = converted(
            await self._host.ask("presence", {"roomId": self.id}), decode.Participants
        )
        return tuple(Presence(each.user_id, each.connections) for each in answer.participants)

    async def kick(self, user: str) -> None:
        """Remove a user, as an administrator of the room. Raises as `history`."""
        await self._host.ask("kick", {"roomId": self.id, "userId": user})

    async def set_permissions(self, permissions: Mapping[str, Sequence[str]]) -> None:
        """Set the roles for `read`, `write` and `admin`. Raises as `history`."""
        await self._host.ask(
            "set_permissions", {"roomId": self.id, "permissions": dict(permissions)}
        )

    # -- for the client

    def joined(self, answer: decode.RoomJoined) -> None:
        """The gateway confirms that this connection is in the room."""
        known, epoch = self.position, answer.position.epoch
        self.state = "in"
        missed = [each for each in answer.messages if known is None or each.offset > known.offset]
        self._changed(answer.participants)
        self.emit(
            "joined",
            Joined(
                room=self.id,
                participants=answer.participants,
                position=answer.position,
                recovered=answer.recovered,
                missed=len(missed),
            ),
        )
        items = [(each.offset, each.event(epoch, missed=True)) for each in missed]
        self.entered(answer.position, answer.recovered, items)
        self._entered_with(None)
        self._host.outgoing.notify()

    def message(self, message: decode.RoomMessage) -> None:
        """A message of the room was received."""
        if self.state == "in" and self.position is not None:
            self.received(message.offset, message.event(self.position.epoch))

    def member_joined(self, change: decode.MemberChange) -> None:
        """A user joined."""
        if change.user_id not in self.presence:
            self._changed((*self.presence.users, change.user_id))
        event = UserJoined(room=self.id, user=change.user_id, email=change.email)
        self.emit("user_joined", event)

    def member_left(self, change: decode.MemberChange, *, disconnected: bool) -> None:
        """A user left."""
        self._changed([user for user in self.presence if user != change.user_id])
        event = UserLeft(
            room=self.id, user=change.user_id, email=change.email, disconnected=disconnected
        )
        self.emit("user_left", event)

    def typed(self, signal: decode.TypingSignal) -> None:
        """A user began or stopped typing."""
        self.emit("typing", Typing(room=self.id, user=signal.user_id, active=signal.active))

    def interrupted(self) -> None:
        """The connection is lost; the room is joined again on the next."""
        if self.state == "in":
            self._entry = asyncio.get_running_loop().create_future()
        super().interrupted()

    def out(self, error: ClientError | None) -> None:
        """The room is left; with an error when that was not requested."""
        was_in, self.state = self.state, "out"
        if error is not None:
            self._holds = 0
        self.forget()
        self._entered_with(error or ClosedError("the room was left"))
        self.finish(error)
        if was_in != "out":
            self.emit("left", Left(room=self.id, reason=None if error is None else error.code))
        self._host.outgoing.notify()

    def entry_failed(self, error: ClientError) -> None:
        """End the waits for joining the room, with an error."""
        self._entered_with(error)

    def _entered_with(self, outcome: ClientError | None) -> None:
        if self._entry is not None and not self._entry.done():
            self._entry.set_result(outcome)

    def _changed(self, users: Sequence[str]) -> None:
        if self.presence.replace(users):
            self.emit("presence", self.presence.users)


def _raise(error: ClientError | None) -> None:
    if error is not None:
        raise error


def _stored(answer: Incoming) -> Stored:
    stored = msgspec.convert(answer.data, decode.StoredMessage)
    return Stored(stored.message_id, Position(stored.offset, stored.epoch))
