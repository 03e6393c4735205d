"""The open connections of this node, by id and by user."""

from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar


class Registered(Protocol):
    """What the registry requires of a session."""

    @property
    def id(self) -> str:
        """The connection id."""


S = TypeVar("S", bound=Registered)


class Registry(Generic[S]):
    """Sessions by connection id; authenticated ones also by user."""

    def __init__(self) -> None:
        self._by_id: dict[str, S] = {}
        self._by_user: dict[str, dict[str, S]] = {}

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[S]:
        return iter(tuple(self._by_id.values()))

    def get(self, connection: str) -> S | None:
        """Return the session of a connection id, or None."""
        return self._by_id.get(connection)

    def of_user(self, user: str) -> tuple[S, ...]:
        """Return the sessions of a user, in the order of their authentication."""
        return tuple(self._by_user.get(user, {}).values())

    def count_of_user(self, user: str) -> int:
        """Return how many connections of a user are on this node."""
        return len(self._by_user.get(user, ()))

    def users(self) -> int:
        """Return how many users have a connection on this node."""
        return len(self._by_user)

    def add(self, session: S) -> None:
        """Register a connection that is not authenticated yet."""
        self._by_id[session.id] = session

    def bind(self, session: S, user: str) -> None:
        """Store the user of a connection."""
        self._by_user.setdefault(user, {})[session.id] = session

    def remove(self, session: S, user: str | None) -> None:
        """Remove a connection; `user` is the user it was bound to. Repeated calls have no effect."""
        self._by_id.pop(session.id, None)
        sessions = self._by_user.get(user, {}) if user is not None else {}
        sessions.pop(session.id, None)
        if user is not None and not sessions:
            self._by_user.pop(user, None)
