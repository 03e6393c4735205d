"""Values of rooms: users and pages of history."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeVar

import msgspec

from portward.client.codec import Incoming
from portward.client.errors import ClientError
from portward.client.events import Message
from portward.model.position import Position

T = TypeVar("T")


class Presence(NamedTuple):
    """A user in a room, and over how many connections."""

    user: str
    connections: int


class History(NamedTuple):
    """A page of a room, oldest first, and the current position of the room."""

    messages: tuple[Message, ...]
    position: Position


class RoomPresence:
    """The users in a room, in the order in which they joined; updated while the room is joined."""

    def __init__(self) -> None:
        self.users: tuple[str, ...] = ()

    def __contains__(self, user: object) -> bool:
        return user in self.users

    def __iter__(self) -> Iterator[str]:
        return iter(self.users)

    def __len__(self) -> int:
        return len(self.users)

    def replace(self, users: Sequence[str]) -> bool:
        """Set all users; whether that changed anything."""
        changed = tuple(users) != self.users
        if changed:
            self.users = tuple(users)
        return changed


def converted(answer: Incoming, kind: type[T]) -> T:
    """The data of an answer.

    Raises:
        ClientError: it has not the form that the documentation gives it.
    """
    try:
        return msgspec.convert(answer.data, kind)
    except msgspec.ValidationError:
        raise ClientError(f"the answer {answer.kind!r} has not the expected form") from None
