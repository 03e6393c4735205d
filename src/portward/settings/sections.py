"""The tables at the top of the tree, without endpoints and limits. Times are seconds."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from portward.model.limits import CONNECTIONS_PER_USER, Rate
from portward.settings.formats import DURATION, NETWORKS
from portward.settings.meta import RELOAD, UNSET, Count, FieldMeta, Pace, Seconds, Span

Port = Annotated[int, Meta(ge=0, le=65535)]
Positive = Annotated[int, Meta(ge=1)]


class Environment(StrEnum):
    """The purpose of the gateway: development or production."""

    DEVELOPMENT = "development"
    PRODUCTION = "production"


class TlsSettings(Struct, frozen=True, kw_only=True):
    """Files of the public listener's certificate; both or neither."""

    cert: str = ""
    """PEM file with the certificate chain."""
    key: str = ""
    """PEM file with its private key."""


ProxyProtocol = Literal["off", "require"]
ForwardedHeader = Literal["x-forwarded-for", "forwarded", "x-real-ip"]


class ServerSettings(Struct, frozen=True, kw_only=True):
    """The two listeners and the process."""

    host: str = "127.0.0.1"
    """Address of the public listener, or `unix:/path` for a Unix socket."""
    port: Port = 8080
    """Port of the public listener; 0 for any free one; not used by a Unix socket."""
    admin_host: str = "127.0.0.1"
    """Address of the admin listener."""
    admin_port: Port = 8081
    """Port of the admin listener; 0 for any free one."""
    workers: Positive = 1
    """Processes that share the listeners."""
    trusted_proxies: Annotated[tuple[str, ...], NETWORKS] = ()
    """Networks of the proxies whose forwarding headers are believed; `unix:` for those that
    connect by a Unix socket.
    """
    forwarded_header: ForwardedHeader = "x-forwarded-for"
    """The one header in which they name the client."""
    proxy_protocol: ProxyProtocol = "off"
    """`require`: every connection to the public listener comes from a trusted proxy and begins
    with a PROXY header, of version 1 or 2.
    """
    allowed_hosts: tuple[str, ...] = ()
    """Values of `Host` that are served; empty for any."""
    behind_tls_proxy: bool = False
    """Whether a trusted proxy ends TLS in front of the public listener."""
    drain_timeout: Annotated[Seconds, FieldMeta(development=5.0, production=30.0)] = UNSET
    """Time over which connections are closed at the end."""
    instance_id: Annotated[str, Meta(max_length=128)] = ""
    """Name of this node in `info` and logs; made at start when empty."""
    tls: TlsSettings = TlsSettings()
    """TLS on the public listener."""


class GateSettings(Struct, frozen=True, kw_only=True):
    """Admission before a credential is checked."""

    allowed_origins: Annotated[tuple[str, ...], RELOAD] = ()
    """Origins of pages that may connect; none set: those of this machine in development, no page
    at all in production.
    """
    max_connections: Positive = 10_000
    """Connections open at once, in one process."""
    max_unauthenticated: Positive = 2_000
    """Connections at once that have not authenticated yet."""
    descriptor_reserve: Count = 128
    """File descriptors kept free for everything but connections."""
    head_timeout: Span = 5.0
    """Time a connection has to send its whole request head."""
    accept_rate: Pace = Rate(500, 1.0, 500)
    """Handshakes and authentications admitted, over all."""
    max_per_user: Count = CONNECTIONS_PER_USER
    """Connections of one user at once, per endpoint and process; 0 for no limit."""


class EngineSettings(Struct, frozen=True, kw_only=True):
    """The engine: the store of shared state."""

    url: Annotated[
        str | None,
        FieldMeta(unset="`sqlite:///portward.db` for `portward serve`; else `memory://`"),
    ] = None
    """`memory://`: in the process, gone with it; `sqlite:///file`: in a file, for one process;
    `redis://`, `rediss://`, `redis+sentinel://hosts/service`, `redis+cluster://hosts`: for many
    processes and machines.
    """
    prefix: str = "portward:"
    """What keys in Redis begin with."""
    shared_prefix: str = ""
    """What those keys in Redis begin with that other applications write: roles, permissions,
    revoked tokens.
    """
    allow_eviction: bool = False
    """Whether to start on a Redis that drops keys when its memory is full."""
    allow_plain: bool = False
    """Whether Redis on another machine may be reached without TLS, because the network between is
    yours alone.
    """


class CookieForm(StrEnum):
    """Which cookie values are accepted."""

    PLAIN = "plain"
    ANY = "any"


class IdentityProviderSettings(Struct, frozen=True, kw_only=True):
    """The service that identifies users by cookies and decides about their rights."""

    url: str = ""
    """Its address; empty: endpoints that take cookies let nobody in."""
    cookies: tuple[str, ...] = ("directus_session_token", "directus_refresh_token")
    """Names of the cookies it is sent; `*` alone for all a browser sends."""
    cookie_values: CookieForm = CookieForm.PLAIN
    """`plain`: values of letters, digits and `._~+/=-`; `any`: also values with `%` and other
    signs, as Express, better-auth and Rails write them.
    """
    timeout: Annotated[Span, Meta(le=60)] = 5.0
    """Time it has to answer, at most 60s."""
    revalidate: Annotated[float, Meta(ge=1), DURATION] = 60.0
    """Time after which it is asked again about an open connection, at least 1s."""
    topics: Mapping[
        str,
        Annotated[
            str,
            FieldMeta(
                "path and query it is asked for with the user's own cookies when a topic of this"
                ' pattern is subscribed to, as in `"event:{id}" = "/items/events/{id}?fields=id"`',
                reload=True,
            ),
        ],
    ] = field(default_factory=dict)
    """What it is asked by topic; a topic without a question is heard by nobody."""
