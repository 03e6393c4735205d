"""A front door at run time: its dialect, its rules and what is counted for it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar

import msgspec

from portward.dialects.base import Dialect
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
from portward.node.limits import Limiter
from portward.security.origin import OriginPolicy
from portward.wire.message import FrameBuilder

T = TypeVar("T")
INBOX: Final = 16
"""Messages of one connection that wait for the one in flight before reading is paused."""
INBOX_BYTES: Final = 256 * KIB
"""Bytes of them that may wait."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointRules:
    """The settings of an endpoint, resolved: no defaults are left to decide. Times are seconds."""

    name: str
    path: str
    enabled: bool = True
    authenticated: bool = True
    """False lets anyone in as `anonymous`; development only."""
    credentials: frozenset[str] = frozenset({"message"})
    allow_missing_origin: bool = True
    max_connections: int = 0
    max_message: int = 65536
    max_early: int = UNAUTHENTICATED_MESSAGE
    """Bytes of a message before authentication, where `max_message` is not smaller."""
    compression: bool = False
    auth_timeout: float = 30.0
    idle_timeout: float = 0.0
    ping_interval: float = 25.0
    pong_timeout: float = 10.0
    roles: frozenset[str] = frozenset()
    """Roles one of which is needed to come in; empty lets every valid credential in."""
    auto_create: bool = False
    sign_secret: bytes = b""
    cookies: tuple[str, ...] = ()
    """Names of the cookies that are a credential here; `*` stands for all."""
    max_unsent: int = OUTBOX_BYTES
    """Bytes a reader may leave unread before it is too slow."""
    farewell: float = 0.0
    """How long clients may take to leave by themselves, once they were told that the node goes."""
    reconnect_url: str = ""
    """Where they are told to come back; empty for the address they came by."""
    steady_ping: bool = False
    """Whether clients are pinged however much they say."""
    deferred: bool = False
    """Whether a credential of the handshake is kept for the dialect to present."""
    bind_address: bool = True
    """Whether all requests of one session have to come from the same address."""
    relays: bool = False
    """Whether clients are connected to an upstream here."""
    upstream: str = ""
    """The name of that upstream; empty for the default one."""
    parameters: frozenset[str] = frozenset()
    """Parameters of a client's address that go into the upstream's."""
    refuses_by_close: bool = False
    """Whether a refused handshake is accepted, and closed with a code that a browser can see."""
    allowed_headers: tuple[str, ...] = ()
    """Request headers that pages may send to HTTP paths here, beside those they always may."""
    subprotocols: frozenset[str] = frozenset()
    """Names of WebSocket subprotocols that are spoken here; Engine.IO answers the first one offered."""
    auth_attempts: int = 0
    """Refused credentials by message after which the connection is closed; 0 for any number."""
    connections_per_address: int = CONNECTIONS_PER_ADDRESS
    connections_mode: LimitMode = LimitMode.ENFORCE


@dataclass(slots=True, eq=False, kw_only=True)
class ActiveEndpoint:
    """Everything sessions of one endpoint share. `plain` and `deflated` are its two voices."""

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
        """Whether `who` may be here at all."""
        return not self.rules.roles or not self.rules.roles.isdisjoint(who.roles)

    @property
    def by_message(self) -> bool:
        """Whether the credential may come in the first message."""
        return "message" in self.rules.credentials

    @property
    def by_cookie(self) -> bool:
        """Whether the credential may be one that browsers add by themselves."""
        return "cookie" in self.rules.credentials


def at_path(table: Mapping[str, T], path: str) -> T | None:
    """What a table by path has for a requested one: one slash more or less at its end is the same.

    Two slashes are another path, wherever they are.
    """
    found = table.get(path)
    if found is not None or path.endswith("//"):
        return found
    return table.get(path[:-1] if path.endswith("/") else f"{path}/")


class HandshakeFacts(msgspec.Struct, frozen=True):
    """What is known of a connection when it is let in.

    `url` is the address it came by, `cookies` the value of a `Cookie` header with those that count.
    `bearer` is a token nobody has looked at; `origin` and `proof` are what further requests have to
    show again: where the page comes from, and a digest of the credential.
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
    """Names and values that go into the address of the upstream."""
    bearer: str = ""
    """A token that is judged later, in a CONNECT packet that brings none itself."""
    crowded: bool = False
    """Whether its address has too many connections, which it is yet to be told."""
    transparent: bool = False
    """Whether it only passes on what an upstream says, and knows no words of ours."""
    origin: str = ""
    proof: str = ""
    subprotocol: str | None = None
    """The subprotocol that is answered."""

    def __repr__(self) -> str:
        return f"Newcomer({self.id[:8]}, {self.endpoint.name})"
