"""The client of a gateway: rooms, alerts, live and the relay, with one token and the same rules."""

import ssl
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import TracebackType
from typing import Any, Final, Self, TypeVar
from urllib.parse import urlsplit

from portward.client.alerts import AlertsClient
from portward.client.channel import GetState
from portward.client.endpoint import EndpointClient, EndpointOptions
from portward.client.errors import ClosedError
from portward.client.listeners import EventListeners
from portward.client.live import LiveClient
from portward.client.options import ConnectionOptions
from portward.client.outgoing import QueueLimits
from portward.client.relay import RelayClient
from portward.client.room import Room
from portward.client.rooms import RoomClient
from portward.client.tokens import GetToken, TokenProvider
from portward.client.transport import (
    WebSocketDialer,
    checked_address,
    endpoint_address,
    own_origin,
)

C = TypeVar("C", bound=EndpointClient)
PATHS: Final = {
    "rooms": "/rooms",
    "alerts": "/alerts",
    "live": "/live",
    "relay": "/realtime",
}
"""Where the endpoints are unless the operator has set another path."""


class Portward(EventListeners):
    """A client of the gateway at `url`, such as `wss://gateway.example.com` or `ws+unix:/run/gateway.sock`.

        async with Portward("wss://gateway.example.com", get_token=get_token) as client:
            room = client.room("lobby")
            await room.join()
            async for message in room:
                ...

    Each endpoint that is used has one connection, made when it is used first and made again after every
    break. `get_token` is a function, async or not, that returns a token; it is given the reason
    (`connect`, `refresh` or `rejected`) if it takes an argument. A fixed token may stand in its place.
    `paths` are the paths of endpoints where they are not the usual ones. `timeout` bounds an answer, in
    seconds, and `queue` what waits to be sent. `connection` replaces the clock, the dialer and the
    back-off, for tests.

    Events: `state` with an endpoint's name and a `StateChange`, `stopped` with its name and the error.

    Raises:
        ValueError: `url` is no WebSocket address, or `paths` names no endpoint.
    """

    EVENTS = frozenset({"state", "stopped"})

    def __init__(
        self,
        url: str,
        *,
        get_token: str | GetToken | None = None,
        paths: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        tls: ssl.SSLContext | None = None,
        timeout: float = 10.0,
        queue: QueueLimits | None = None,
        connection: ConnectionOptions | None = None,
    ) -> None:
        super().__init__()
        unknown = set(paths or {}) - set(PATHS)
        if unknown:
            raise ValueError(f"paths: no endpoint {min(unknown)!r}; there are {', '.join(PATHS)}")
        self._url = checked_address(url)
        self._paths = {**PATHS, **(paths or {})}
        self._connection = connection or ConnectionOptions(
            dial=WebSocketDialer(headers=headers, tls=tls, timeout=timeout),
            timeout=timeout,
            queue=queue or QueueLimits(),
        )
        self._tokens = TokenProvider(get_token, self._connection.clock)
        self._clients: dict[str, Any] = {}
        self._closed = False

    def __repr__(self) -> str:
        parts = urlsplit(self._url)
        place = f"{parts.scheme}://{parts.hostname}" if parts.hostname else self._url
        return f"Portward({place!r}, {', '.join(self._clients) or 'unused'})"

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Close every connection, settle everything, and leave nothing behind."""
        self._closed = True
        for client in list(self._clients.values()):
            await client.close()
        await self._tokens.close()

    # -- endpoints

    @property
    def rooms(self) -> RoomClient:
        """The rooms endpoint."""
        return self._client("rooms", RoomClient)

    def room(self, room_id: str, *, get_state: GetState | None = None) -> Room:
        """A room; the same object each time. `get_state` counts the first time."""
        return self.rooms.room(room_id, get_state=get_state)

    def alerts(self) -> AlertsClient:
        """The alerts endpoint; the same object each time."""
        return self._client("alerts", AlertsClient)

    def live(
        self, *, cookie: str | GetToken | None = None, origin: str | None = None
    ) -> LiveClient:
        """The live endpoint; the same object each time. Both arguments count the first time.

        `cookie` is a Cookie header, or a function that returns one, as `get_token` returns tokens.
        `origin` is the page's; without it, the one of the gateway.
        """

        def make(options: EndpointOptions) -> LiveClient:
            cookies = TokenProvider(cookie, self._connection.clock, name="cookie")
            return LiveClient(replace(options, tokens=cookies), origin or own_origin(self._url))

        return self._client("live", make)

    def relay(self, *, model: str | None = None) -> RelayClient:
        """The relay endpoint; the same object each time. `model` counts the first time."""
        return self._client("relay", lambda options: RelayClient(options, model))

    def _client(self, name: str, make: Callable[[EndpointOptions], C]) -> C:
        if self._closed:
            raise ClosedError
        if name not in self._clients:
            options = EndpointOptions(
                endpoint_address(self._url, self._paths[name]), self._tokens, self._connection
            )
            client = self._clients[name] = make(options)
            client.on("state", lambda change: self.emit("state", (name, change)))
            client.on("stopped", lambda error: self.emit("stopped", (name, error)))
        found: C = self._clients[name]
        return found
