"""The common part of the clients of all endpoints: the connection, its state, and its token."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from portward.client.codec import Codec, Incoming
from portward.client.errors import ClientError, HandshakeRefused
from portward.client.listeners import EventListeners
from portward.client.options import ConnectionOptions, ConnectionState, StateChange
from portward.client.reconnect import ReconnectingConnection
from portward.client.refresh import TokenRefresher
from portward.client.requests import RequestConnection
from portward.client.tokens import TokenProvider, TokenReason

_UNAUTHORIZED = 401
_TIMED = frozenset({"shutdown", "closing", "error"})
"""Messages that may have the time after which to reconnect."""


@dataclass(frozen=True)
class EndpointOptions:
    """The address of an endpoint, how to connect to it, and the source of its tokens."""

    url: str
    tokens: TokenProvider = field(repr=False)
    connection: ConnectionOptions = field(default_factory=ConnectionOptions)
    observe: Callable[[Incoming, bool], None] | None = None
    """Receives every message before it is handled, and whether it answers a request."""


class EndpointClient(EventListeners, ABC):
    """Implements what `EndpointProtocol` asks of every endpoint alike.

    Events: `state` with a `StateChange`, and `stopped` with the error that ended it for good.
    """

    EVENTS = frozenset({"state", "stopped"})
    PING: tuple[str, Mapping[str, object]] = ("ping", {})

    def __init__(self, options: EndpointOptions, codec: Codec) -> None:
        super().__init__()
        self.codec = codec
        self.resumes = True
        self.ping = self.PING
        self._options = options
        self._clock = options.connection.clock
        self._backoff = options.connection.backoff
        self._tokens = options.tokens
        self._reason: TokenReason = "connect"
        self._tasks: set[asyncio.Task[Any]] = set()
        self._reconnecting = ReconnectingConnection(
            options.url, self, options.connection, self._state_changed
        )
        self._refresher = TokenRefresher(
            options.tokens,
            self._clock,
            self._backoff,
            fail=self._reconnecting.fail,
            report=self.refresh_failed,
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._options.url.partition('?')[0]!r}, {self.state})"

    # -- for applications

    @property
    def state(self) -> ConnectionState:
        """The state of the connection."""
        return self._reconnecting.state

    @property
    def error(self) -> ClientError | None:
        """The reason why it is not connected; None while it is, or before the first connection."""
        return self._reconnecting.error

    async def connect(self) -> None:
        """Connect, and wait until that is done. What needs a connection does so by itself.

        Raises:
            ClientError: an error that does not pass, such as a credential that is refused.
        """
        await self._reconnecting.ready()

    async def ready_connection(self) -> RequestConnection:
        """The connection, once it is ready; raises ConnectionLost when it is not in time."""
        return await self._reconnecting.ready(self._options.connection.timeout)

    async def close(self) -> None:
        """Close, and settle everything."""
        await self._reconnecting.close()
        await self._refresher.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    # -- for the connection

    @abstractmethod
    async def open(self, connection: RequestConnection) -> None:
        """Authenticate, and enter again what was entered before."""

    @abstractmethod
    def receive(self, connection: RequestConnection, incoming: Incoming, answer: bool) -> None:
        """Take a message; `answer` is whether it answers a request of this client."""

    def observe(self, incoming: Incoming, answer: bool) -> None:
        """Called with every message before it is handled."""
        if self._options.observe is not None:
            self._options.observe(incoming, answer)

    async def prepare(self) -> Mapping[str, str]:
        """Headers of the next handshake."""
        return {}

    def may_retry(self, error: ClientError) -> bool:
        """After a refused credential: once, with a newer one."""
        if not isinstance(error, HandshakeRefused) or error.status != _UNAUTHORIZED:
            return False
        if self._reason == "rejected" or not self._tokens.renews:
            return False
        self._reason = "rejected"
        return True

    @property
    def blocked(self) -> bool:
        """Whether an iteration falls behind."""
        return False

    async def before_read(self) -> None:
        """Let iterations that fall behind run."""
        await asyncio.sleep(0)

    def lost(self) -> None:
        """The connection is lost."""
        self._refresher.cancel()

    def refresh_failed(self, error: ClientError) -> None:
        """A newer token was not accepted; it is tried again."""

    def stopped(self, error: ClientError) -> None:
        """Nothing more comes, unless the application connects again."""

    # -- for subclasses

    def _accepted(self) -> None:
        """The credential was accepted."""
        self._reason = "connect"

    async def _request(self, kind: str, data: Mapping[str, Any]) -> Incoming:
        connection = await self.ready_connection()
        return await connection.request(kind, data)

    def _common(self, connection: RequestConnection, incoming: Incoming) -> None:
        """Handle the messages that all endpoints have."""
        wait = incoming.data.get("retryMs")
        if isinstance(wait, int | float) and incoming.kind in _TIMED:
            connection.retry_after = wait / 1000

    def _background(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _state_changed(self, change: StateChange) -> None:
        if change.state == "stopped" and change.error is not None:
            self.stopped(change.error)
        self.emit("state", change)
        if change.state == "stopped" and change.error is not None:
            self._reason = "connect"
            self.emit("stopped", change.error)
