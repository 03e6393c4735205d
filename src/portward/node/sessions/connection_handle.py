"""The application's handle of one connection."""

from typing import Any
from uuid import UUID

from portward.model.disconnects import Disconnect
from portward.model.replies import Told
from portward.node.sessions.session import Session


class ConnectionHandle:
    """Reads, sends to and closes one connection. Two handles of one connection are equal."""

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
        """The user: `id`, `email`, `role`, `first_name` and `last_name`; None before authentication."""
        identity = self._session.identity
        if identity is None:
            return None
        if identity.profile:
            return dict(identity.profile)
        unknown = dict.fromkeys(("role", "first_name", "last_name"))
        return {"id": identity.subject, "email": identity.email, **unknown}

    @property
    def remote_address(self) -> str:
        """The client's address, not masked."""
        return self._session.handshake.address

    @property
    def opened_at(self) -> float:
        """The time when it was opened, in Unix seconds."""
        return self._session.opened_at

    @property
    def last_seen_at(self) -> float:
        """The time of the last received frame, pongs included, in Unix seconds."""
        clock = self._session.host.clock
        return clock.time() - (clock.monotonic() - self._session.last_seen)

    @property
    def open(self) -> bool:
        """Whether the connection is open."""
        return self._session.alive

    async def send(self, message: Any) -> None:
        """Send one message, any JSON value, unchanged. Returns when it is sent or queued.

        Raises:
            RuntimeError: the connection has ended.
            TypeError: `message` holds a value that JSON has no type for.
            ValueError: it contains itself, or text that cannot be encoded in UTF-8.
        """
        if not self.open:
            raise RuntimeError("the connection has ended")
        try:
            self._session.push(Told(data=message))
        except (RecursionError, UnicodeEncodeError):
            # The original error would show the message, or is not a ValueError.
            raise ValueError("the message is no JSON value") from None

    def close(self) -> None:
        """Close the connection with code 1000. Repeated calls do nothing."""
        self._session.end(Disconnect.NORMAL, "closed by the application")
