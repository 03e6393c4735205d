"""Endpoints at run time: settings, protocol, limits and counts; and the facts of a handshake."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar

import msgspec

from portward.hub.encoder import Encoder
from portward.model.identity import Identity
from portward.model.limits import (
    CONNECTIONS_PER_ADDRESS,
    KIB,
    OUTBOX_BYTES,
    UNAUTHENTICATED_MESSAGE,
    LimitMode,
    LimitName,
)
from portward.model.namespace import Namespace
from portward.node.sessions.limits import Limiter
from portward.protocols.base import Dialect
from portward.security.origin import OriginPolicy
from portward.wire.message import FrameBuilder

T = TypeVar("T")
INBOX: Final = 16
"""Maximum number of messages of one connection that wait for its running command; then reading stops."""
INBOX_BYTES: Final = 256 * KIB
"""Maximum bytes of these waiting messages."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointRules:
    """The settings of an endpoint, with all defaults applied. Times are in seconds, sizes in bytes."""

    name: str
    path: str
    enabled: bool = True
    authenticated: bool = True
    """False admits every connection as `anonymous`; for development only."""
    credentials: frozenset[str] = frozenset({"message"})
    allow_missing_origin: bool = True
    max_connections: int = 0
    max_message: int = 65536
    max_early: int = UNAUTHENTICATED_MESSAGE
    """Maximum size of a message before authentication, unless `max_message` is smaller."""
    compression: bool = False
    auth_timeout: float = 30.0
    idle_timeout: float = 0.0
    ping_interval: float = 25.0
    pong_timeout: float = 10.0
    roles: frozenset[str] = frozenset()
    """Roles of which a user needs at least one; empty admits every valid credential."""
    auto_create: bool = False
    sign_secret: bytes = b""
    cookies: tuple[str, ...] = ()
    """Names of the cookies that are a credential here; `*` means all."""
    max_unsent: int = OUTBOX_BYTES
    """Bytes that may stay unsent before the client counts as too slow."""
    farewell: float = 0.0
    """How long clients may take to disconnect by themselves after the notice of a drain."""
    reconnect_url: str = ""
    """The URL in that notice; empty for the URL of the handshake."""
    steady_ping: bool = False
    """Whether the client is pinged at the interval, also while it sends messages (Engine.IO)."""
    deferred: bool = False
    """Whether a credential of the handshake is kept for the protocol's own authentication step."""
    bind_address: bool = True
    """Whether all requests of one session must come from the same address."""
    relays: bool = False
    """Whether this endpoint connects clients to an upstream."""
    upstream: str = ""
    """The name of that upstream; empty for the default one."""
    parameters: frozenset[str] = frozenset()
    """Query parameters of the client's URL that are copied to the upstream URL."""
    refuses_by_close: bool = False
    """Whether a rejection is sent as 101 and a close code, which a page in a browser can read."""
    allowed_headers: tuple[str, ...] = ()
    """Request headers that pages may send to the HTTP paths, in addition to the default ones (CORS)."""
    subprotocols: frozenset[str] = frozenset()
    """Names of supported WebSocket subprotocols; Engine.IO selects the first one offered."""
    auth_attempts: int = 0
    """Number of refused credentials by message after which the connection is closed; 0 for no limit."""
    connections_per_address: int = CONNECTIONS_PER_ADDRESS
    connections_mode: LimitMode = LimitMode.ENFORCE


@dataclass(slots=True, eq=False, kw_only=True)
class ActiveEndpoint:
    """The shared objects of one endpoint. `plain` and `deflated` are its encoders, `open` a count."""

    rules: EndpointRules
    dialect: Dialect
    namespace: Namespace | None
    origins: OriginPolicy
    limits: Mapping[LimitName, Limiter]
    framing: FrameBuilder
    plain: Encoder
    deflated: Encoder
    open: int = field(default=0)

    @property
    def name(self) -> str:
        """The name in settings, metrics and logs."""
        return self.rules.name

    def entitles(self, who: Identity) -> bool:
        """Return whether `who` has one of the roles that the endpoint needs."""
        return not self.rules.roles or not self.rules.roles.isdisjoint(who.roles)

    @property
    def by_message(self) -> bool:
        """Whether the credential may be sent in the first message."""
        return "message" in self.rules.credentials

    @property
    def by_cookie(self) -> bool:
        """Whether the credential may be a cookie, which browsers add automatically."""
        return "cookie" in self.rules.credentials


def at_path(table: Mapping[str, T], path: str) -> T | None:
    """Look up a path in a table; one trailing slash more or less makes no difference.

    A double slash, at any place, makes a different path.
    """
    found = table.get(path)
    if found is not None or path.endswith("//"):
        return found
    return table.get(path[:-1] if path.endswith("/") else f"{path}/")


def auto_created(endpoints: Mapping[str, ActiveEndpoint]) -> frozenset[str]:
    """Return the namespaces where an endpoint creates rooms on join."""
    return frozenset(
        endpoint.namespace.name
        for endpoint in endpoints.values()
        if endpoint.namespace is not None and endpoint.rules.auto_create
    )


class HandshakeFacts(msgspec.Struct, frozen=True):
    """The facts of an admitted handshake.

    `url` is the WebSocket URL the client used; `cookies` is a `Cookie` header value of the relevant
    cookies. Further requests of the session must show the same `origin` (of the page) and `proof` (a
    digest of the credential).
    """

    endpoint: ActiveEndpoint
    address: str
    keys: tuple[str, ...]
    id: str
    url: str = ""
    identity: Identity | None = None
    cookies: str = ""
    model: str | None = None
    parameters: tuple[tuple[str, str], ...] = ()
    """Names and values of query parameters for the upstream URL."""
    bearer: str = ""
    """A token not verified yet, used by a CONNECT packet that has no token itself."""
    crowded: bool = False
    """Whether its address is over the cap of connections and the error is still to be sent."""
    transparent: bool = False
    """Whether it only relays messages of an upstream, so that the gateway sends no own messages."""
    origin: str = ""
    proof: str = ""
    subprotocol: str | None = None
    """The selected WebSocket subprotocol."""

    def __repr__(self) -> str:
        return f"HandshakeFacts({self.id[:8]}, {self.endpoint.name})"
