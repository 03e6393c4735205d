"""What can be asked about a room, whether it is joined or not."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from portward.client import decode
from portward.client.backoff import Backoff
from portward.client.channel import ChannelFeed, GetState
from portward.client.codec import Incoming
from portward.client.events import Message
from portward.client.room_values import History, Presence, converted
from portward.model.clock import Clock
from portward.model.position import Position


class RoomConnection(Protocol):
    """What requests of a room go through."""

    async def ask(self, kind: str, data: Mapping[str, Any]) -> Incoming:
        """Send a request and wait for its answer."""

    async def post(self, kind: str, data: Mapping[str, Any]) -> None:
        """Send a message that is not answered, if there is a connection."""


class RoomRequests(ChannelFeed[Message]):
    """The requests of a room."""

    def __init__(
        self,
        room_id: str,
        requests: RoomConnection,
        clock: Clock,
        backoff: Backoff,
        get_state: GetState | None,
    ) -> None:
        super().__init__(room_id, clock, backoff, get_state)
        self.id = room_id
        self._requests = requests

    async def typing(self, *, active: bool = True) -> None:
        """Tell the others that this user types. Nothing is answered, and without a connection lost."""
        await self._requests.post("typing", {"roomId": self.id, "active": active})

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
        answer = await self._requests.ask("history", {"roomId": self.id, **data})
        page = converted(answer, decode.RoomHistoryPage)
        epoch = page.position.epoch
        return History(tuple(each.event(epoch) for each in page.messages), page.position)

    async def participants(self) -> tuple[Presence, ...]:
        """Ask the gateway for the users and their numbers of connections. Raises as `history`."""
        answer = converted(
            await self._requests.ask("presence", {"roomId": self.id}), decode.Participants
        )
        return tuple(Presence(each.user_id, each.connections) for each in answer.participants)

    async def kick(self, user: str) -> None:
        """Remove a user, as an administrator of the room. Raises as `history`."""
        await self._requests.ask("kick", {"roomId": self.id, "userId": user})

    async def set_permissions(self, permissions: Mapping[str, Sequence[str]]) -> None:
        """Set the roles for `read`, `write` and `admin`. Raises as `history`."""
        await self._requests.ask(
            "set_permissions", {"roomId": self.id, "permissions": dict(permissions)}
        )
