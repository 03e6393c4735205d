"""One connection as the application holds it."""

from typing import Any
from uuid import UUID

from portward.model.disconnects import Disconnect
from portward.model.replies import Told
from portward.node.session import Session


class ConnectionHandle:
    """Knows one connection, tells it things and ends it. Two handles of one connection are equal."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    def __repr__(self) -> str:
        return f"ConnectionHandle({self.id})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ConnectionHandle):
            return NotImplemented
        return self._session.id == other._session.id

    def __hash__(self) -> int:
        return hash(self._session.id)

    @property
    def id(self) -> str:
        """The connection's id, a UUID."""
        return str(UUID(hex=self._session.id))

    @property
    def user(self) -> dict[str, str | None] | None:
        """Who it is: `id`, `email`, `role`, `first_name` and `last_name`; None before that is known."""
        identity = self._session.identity
        if identity is None:
            return None
        if identity.profile:
            return dict(identity.profile)
        unknown = dict.fromkeys(("role", "first_name", "last_name"))
        return {"id": identity.subject, "email": identity.email, **unknown}

    @property
    def remote_address(self) -> str:
        """The client's address, whole."""
        return self._session.newcomer.address

    @property
    def opened_at(self) -> float:
        """When it was opened, in Unix seconds."""
        return self._session.opened_at

    @property
    def last_seen_at(self) -> float:
        """When its last frame came, a pong included, in Unix seconds."""
        clock = self._session.conduct.clock
        return clock.time() - (clock.monotonic() - self._session.last_seen)

    @property
    def open(self) -> bool:
        """Whether it has not ended."""
        return self._session.alive

    async def send(self, message: Any) -> None:
        """Send one message: any JSON value, as it is. Returns when it is sent or queued.

        Raises:
            RuntimeError: the connection has ended.
            TypeError: `message` holds what JSON does not know.
            ValueError: it holds itself, or text that UTF-8 cannot write.
        """
        if not self.open:
            raise RuntimeError("the connection has ended")
        try:
            self._session.push(Told(data=message))
        except (RecursionError, UnicodeEncodeError):
            # What was raised would show the message, or is no ValueError.
            raise ValueError("the message is no JSON value") from None

    def close(self) -> None:
        """End it with 1000. Harmless when repeated."""
        self._session.end(Disconnect.NORMAL, "closed by the application")
