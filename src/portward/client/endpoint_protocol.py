"""What differs between the endpoints: how to authenticate, what to enter again, what messages mean."""

from collections.abc import Mapping
from typing import Protocol

from portward.client.codec import Codec, Incoming
from portward.client.errors import ClientError
from portward.client.requests import RequestConnection


class EndpointProtocol(Protocol):
    """What differs between the endpoints."""

    codec: Codec
    resumes: bool
    """Whether another connection follows by itself on one that was ready."""
    ping: tuple[str, Mapping[str, object]]

    async def prepare(self) -> Mapping[str, str]:
        """Headers of the next handshake; raises ClientError."""

    async def open(self, connection: RequestConnection) -> None:
        """Authenticate, and enter again what was entered before; raises ClientError."""

    def receive(self, connection: RequestConnection, incoming: Incoming, answer: bool) -> None:
        """Take a message; raises ValueError for one that is not of this endpoint."""

    def may_retry(self, error: ClientError) -> bool:
        """Whether another attempt, at once, may succeed after an error that does not pass."""

    def lost(self) -> None:
        """The connection is gone."""

    @property
    def blocked(self) -> bool:
        """Whether `before_read` is to run."""

    async def before_read(self) -> None:
        """Runs before each message is read; while it waits, nothing is read."""
