"""The options of one endpoint."""

from enum import StrEnum
from typing import Annotated, Final

from msgspec import Meta, Struct

from portward.model.limits import KIB, MESSAGE, OUTBOX_BYTES, PING_INTERVAL, PONG_TIME
from portward.settings.formats import SIZE
from portward.settings.limits import Limits
from portward.settings.meta import RELOAD, UNSET, Bytes, Count, FieldMeta, Seconds, Span
from portward.settings.secret import Secret

REALTIME: Final = "realtime"
"""The subprotocol of the SDKs that send a token in another one."""


class CredentialSource(StrEnum):
    """The places of a credential in a handshake or message."""

    HEADER = "header"
    QUERY = "query"
    TICKET = "ticket"
    COOKIE = "cookie"
    MESSAGE = "message"
    SUBPROTOCOL = "subprotocol"


class AuthMode(StrEnum):
    """Whether clients must authenticate. `none` is for development on a loopback address only."""

    TOKEN = "token"  # noqa: S105 - the name of a mode, not a token
    NONE = "none"


class TransportKind(StrEnum):
    """The transport of the protocol's messages."""

    WEBSOCKET = "websocket"
    ENGINE_IO = "engine.io"


class Refuse(StrEnum):
    """How a rejection reaches the client: in the handshake's answer, or for Socket.IO after it."""

    STATUS = "status"
    CLOSE = "close"
    EVENT = "event"
    CONNECT_ERROR = "connect_error"


class EndpointSettings(Struct, frozen=True, kw_only=True):
    """One endpoint: a path, its protocol, its namespace, and which connections are admitted."""

    enabled: bool = True
    """Whether it is served; otherwise its path answers 503, that of `echo` and of endpoints with
    names of their own 404.
    """
    path: str = ""
    """Path of the address, exactly as requested, or a pattern such as `/app/{key}`, whose
    parameters are whole segments.
    """
    dialect: str = ""
    """Which protocol its clients speak."""
    transport: TransportKind = TransportKind.WEBSOCKET
    """`websocket`, or `engine.io`: WebSocket and HTTP polling as Socket.IO clients use them."""
    bind_address: bool = True
    """Whether all requests of an `engine.io` session have to come from one address; clients that
    move to another one have to connect again.
    """
    namespace: str = ""
    """The namespace its channels belong to."""
    upstream: str = ""
    """Where a `relay` endpoint leads: the name of a table in `upstreams`; empty: the table
    `upstream`.
    """
    credentials: tuple[CredentialSource, ...] = (CredentialSource.MESSAGE,)
    """Where a credential may come from: `header`, `query`, `ticket`, `cookie`, `message`,
    `subprotocol`.
    """
    roles: Annotated[tuple[str, ...], RELOAD] = ()
    """Roles one of which is needed to come in; empty: any valid token."""
    allowed_origins: Annotated[tuple[str, ...], RELOAD] = ()
    """Origins let in here; empty: those of `gate`."""
    allow_missing_origin: Annotated[
        bool,
        FieldMeta(
            unset="`false` with cookies, and for `alerts` with a list of origins; else `true`"
        ),
    ] = UNSET
    """Whether clients are let in that send no `Origin`, which every browser sends."""
    allowed_headers: Annotated[tuple[str, ...], RELOAD] = ()
    """Request headers that pages of another origin may send here by HTTP (polling, `/test`),
    beside `content-type`, `authorization`, `traceparent`, `tracestate`, `baggage` and
    `sentry-trace`.
    """
    max_connections: Count = 0
    """Connections open at once; 0 for no limit."""
    auth_timeout: Span = 30.0
    """Time a connection has to authenticate."""
    auth_attempts: Count = 0
    """Failed attempts to authenticate by message after which a connection is closed; 0 for no
    bound of its own.
    """
    auth: AuthMode = AuthMode.TOKEN
    """`token`, or `none` to let everyone in while developing on this machine."""
    idle_timeout: Seconds = 0.0
    """A connection without any frame for this long is closed; 0 for never."""
    ping_interval: Seconds = PING_INTERVAL
    """Quiet time after which a client is pinged; 0 for never."""
    pong_timeout: Span = PONG_TIME
    """Time a client has to answer a ping."""
    max_message: Bytes = MESSAGE
    """Largest message of an authenticated client."""
    backpressure_threshold: Annotated[int, Meta(ge=KIB), SIZE] = OUTBOX_BYTES
    """Unsent bytes over which a slow reader is closed."""
    farewell: Seconds = 0.0
    """Time clients are given to leave by themselves after they were told of the end, before they
    are closed.
    """
    reconnect_url: str = ""
    """Address clients are told to come back to; empty: the one they came by."""
    compression: bool = False
    """Whether permessage-deflate is offered."""
    expose_email: Annotated[bool, FieldMeta(development=True, production=False)] = UNSET
    """Whether users see each other's e-mail."""
    auto_create: Annotated[bool, FieldMeta(development=True, production=False)] = UNSET
    """Whether joining an unknown room makes it."""
    room_kinds: tuple[str, ...] = ("dashboard", "approvals")
    """Kinds of rooms a workspace has: the last part of `workspace:{id}:{kind}`."""
    refuse: Refuse = Refuse.STATUS
    """How clients learn that they are not let in: `status`, by the HTTP status of the handshake;
    `close`, by a close code after it, which a browser can see; with `socketio` `event`, by the
    event `error` and a disconnect, or `connect_error`, with the code in its data.
    """
    approval_webhook: Annotated[str, RELOAD] = ""
    """Address that every verdict on a request for approval is posted to; empty: none."""
    approval_webhook_secret: Annotated[Secret, RELOAD] = Secret()
    """Key of the signature in the header `X-Portward-Signature` of those posts."""
    approval_webhook_secret_file: Annotated[str, RELOAD] = ""
    """File that holds `approval_webhook_secret`."""
    sign_messages: bool = False
    """Whether each message carries an HMAC signature."""
    sign_secret: Annotated[Secret, RELOAD] = Secret()
    """Key of those signatures, at least 32 bytes."""
    sign_secret_file: Annotated[str, RELOAD] = ""
    """File that holds `sign_secret`."""
    limits: Limits = Limits()
    """Limits of this endpoint; unset ones as in `limits`."""

    @property
    def takes_cookies(self) -> bool:
        """Whether cookies of a browser are a credential at this endpoint."""
        return CredentialSource.COOKIE in self.credentials
