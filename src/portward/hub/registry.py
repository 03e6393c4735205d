"""The open connections of this node, by id and by user."""

from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar


class Registered(Protocol):
    """What the registry needs to know of a session."""

    @property
    def id(self) -> str:
        """The connection id."""


S = TypeVar("S", bound=Registered)


class Registry(Generic[S]):
    """Connections by id; those that proved who they are also by user."""

    def __init__(self) -> None:
        self._by_id: dict[str, S] = {}
        self._by_user: dict[str, dict[str, S]] = {}

    def __len__(self) -> int:
        return len(self._by_id)

    def __iter__(self) -> Iterator[S]:
        return iter(tuple(self._by_id.values()))

    def get(self, connection: str) -> S | None:
        """The session of a connection id."""
        return self._by_id.get(connection)

    def of_user(self, user: str) -> tuple[S, ...]:
        """The sessions of a user, in the order they were authenticated."""
        return tuple(self._by_user.get(user, {}).values())

    def count_of_user(self, user: str) -> int:
        """How many connections a user has here."""
        return len(self._by_user.get(user, ()))

    def users(self) -> int:
        """How many users are here."""
        return len(self._by_user)

    def add(self, session: S) -> None:
        """Register a connection nobody has authenticated yet."""
        self._by_id[session.id] = session

    def bind(self, session: S, user: str) -> None:
        """Note who a connection belongs to."""
        self._by_user.setdefault(user, {})[session.id] = session

    def remove(self, session: S, user: str | None) -> None:
        """Forget a connection; `user` is whom it was bound to. Harmless when repeated."""
        self._by_id.pop(session.id, None)
        sessions = self._by_user.get(user, {}) if user is not None else {}
        sessions.pop(session.id, None)
        if user is not None and not sessions:
            self._by_user.pop(user, None)
