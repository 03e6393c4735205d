"""The tables at the top of the tree, without endpoints and limits. Times are seconds."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Literal

from msgspec import Meta, Struct, field

from portward.model.limits import CONNECTIONS_PER_USER, Rate
from portward.settings.formats import DURATION, NETWORKS
from portward.settings.meta import UNSET, Count, FieldMeta, Pace, Seconds, Span

Port = Annotated[int, Meta(ge=0, le=65535)]
Positive = Annotated[int, Meta(ge=1)]


class Environment(StrEnum):
    """The purpose of the gateway: development or production."""

    DEVELOPMENT = "development"
    PRODUCTION = "production"


class TlsSettings(Struct, frozen=True, kw_only=True):
    """Files of the public listener's certificate; both or neither."""

    cert: Annotated[str, FieldMeta("PEM file with the certificate chain")] = ""
    key: Annotated[str, FieldMeta("PEM file with its private key")] = ""


ProxyProtocol = Literal["off", "require"]
ForwardedHeader = Literal["x-forwarded-for", "forwarded", "x-real-ip"]


class ServerSettings(Struct, frozen=True, kw_only=True):
    """The two listeners and the process."""

    host: Annotated[
        str, FieldMeta("address of the public listener, or `unix:/path` for a Unix socket")
    ] = "127.0.0.1"
    port: Annotated[
        Port,
        FieldMeta("port of the public listener; 0 for any free one; not used by a Unix socket"),
    ] = 8080
    admin_host: Annotated[str, FieldMeta("address of the admin listener")] = "127.0.0.1"
    admin_port: Annotated[Port, FieldMeta("port of the admin listener; 0 for any free one")] = 8081
    workers: Annotated[Positive, FieldMeta("processes that share the listeners")] = 1
    trusted_proxies: Annotated[
        tuple[str, ...],
        NETWORKS,
        FieldMeta(
            "networks of the proxies whose forwarding headers are believed; `unix:` for those that"
            " connect by a Unix socket"
        ),
    ] = ()
    forwarded_header: Annotated[
        ForwardedHeader, FieldMeta("the one header in which they name the client")
    ] = "x-forwarded-for"
    proxy_protocol: Annotated[
        ProxyProtocol,
        FieldMeta(
            "`require`: every connection to the public listener comes from a trusted proxy and begins"
            " with a PROXY header, of version 1 or 2"
        ),
    ] = "off"
    allowed_hosts: Annotated[
        tuple[str, ...], FieldMeta("values of `Host` that are served; empty for any")
    ] = ()
    behind_tls_proxy: Annotated[
        bool, FieldMeta("whether a trusted proxy ends TLS in front of the public listener")
    ] = False
    drain_timeout: Annotated[
        Seconds,
        FieldMeta(
            "time over which connections are closed at the end", development=5.0, production=30.0
        ),
    ] = UNSET
    instance_id: Annotated[
        str,
        Meta(max_length=128),
        FieldMeta("name of this node in `info` and logs; made at start when empty"),
    ] = ""
    tls: Annotated[TlsSettings, FieldMeta("TLS on the public listener.")] = TlsSettings()


class GateSettings(Struct, frozen=True, kw_only=True):
    """Admission before a credential is checked."""

    allowed_origins: Annotated[
        tuple[str, ...],
        FieldMeta(
            "origins of pages that may connect; none set: those of this machine in development,"
            " no page at all in production",
            reload=True,
        ),
    ] = ()
    max_connections: Annotated[Positive, FieldMeta("connections open at once, in one process")] = (
        10_000
    )
    max_unauthenticated: Annotated[
        Positive, FieldMeta("connections at once that have not authenticated yet")
    ] = 2_000
    descriptor_reserve: Annotated[
        Count, FieldMeta("file descriptors kept free for everything but connections")
    ] = 128
    head_timeout: Annotated[
        Span, FieldMeta("time a connection has to send its whole request head")
    ] = 5.0
    accept_rate: Annotated[Pace, FieldMeta("handshakes and authentications admitted, over all")] = (
        Rate(500, 1.0, 500)
    )
    max_per_user: Annotated[
        Count,
        FieldMeta("connections of one user at once, per endpoint and process; 0 for no limit"),
    ] = CONNECTIONS_PER_USER


class EngineSettings(Struct, frozen=True, kw_only=True):
    """The engine: the store of shared state."""

    url: Annotated[
        str | None,
        FieldMeta(
            "`memory://`: in the process, gone with it; `sqlite:///file`: in a file, for one process;"
            " `redis://`, `rediss://`, `redis+sentinel://hosts/service`, `redis+cluster://hosts`: for"
            " many processes and machines",
            unset="`sqlite:///portward.db` for `portward serve`; else `memory://`",
        ),
    ] = None
    prefix: Annotated[str, FieldMeta("what keys in Redis begin with")] = "portward:"
    shared_prefix: Annotated[
        str,
        FieldMeta(
            "what those keys in Redis begin with that other applications write: roles, permissions,"
            " revoked tokens"
        ),
    ] = ""
    allow_eviction: Annotated[
        bool, FieldMeta("whether to start on a Redis that drops keys when its memory is full")
    ] = False
    allow_plain: Annotated[
        bool,
        FieldMeta(
            "whether Redis on another machine may be reached without TLS, because the network between"
            " is yours alone"
        ),
    ] = False


class CookieForm(StrEnum):
    """Which cookie values are accepted."""

    PLAIN = "plain"
    ANY = "any"


class IdentityProviderSettings(Struct, frozen=True, kw_only=True):
    """The service that identifies users by cookies and decides about their rights."""

    url: Annotated[
        str, FieldMeta("its address; empty: endpoints that take cookies let nobody in")
    ] = ""
    cookies: Annotated[
        tuple[str, ...],
        FieldMeta("names of the cookies it is sent; `*` alone for all a browser sends"),
    ] = ("directus_session_token", "directus_refresh_token")
    cookie_values: Annotated[
        CookieForm,
        FieldMeta(
            "`plain`: values of letters, digits and `._~+/=-`; `any`: also values with `%` and other"
            " signs, as Express, better-auth and Rails write them"
        ),
    ] = CookieForm.PLAIN
    timeout: Annotated[Span, Meta(le=60), FieldMeta("time it has to answer, at most 60s")] = 5.0
    revalidate: Annotated[
        float,
        Meta(ge=1),
        DURATION,
        FieldMeta("time after which it is asked again about an open connection, at least 1s"),
    ] = 60.0
    topics: Annotated[
        Mapping[
            str,
            Annotated[
                str,
                FieldMeta(
                    "path and query it is asked for with the user's own cookies when a topic of this"
                    ' pattern is subscribed to, as in `"event:{id}" = "/items/events/{id}?fields=id"`',
                    reload=True,
                ),
            ],
        ],
        FieldMeta("What it is asked by topic; a topic without a question is heard by nobody."),
    ] = field(default_factory=dict)
