"""The options of one endpoint."""

from enum import StrEnum
from typing import Annotated, Final

from msgspec import Meta, Struct

from portward.model.limits import KIB, MESSAGE, OUTBOX_BYTES, PING_INTERVAL, PONG_TIME
from portward.settings.formats import SIZE
from portward.settings.limits import Limits
from portward.settings.meta import UNSET, Bytes, Count, FieldMeta, Seconds, Span
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

    enabled: Annotated[
        bool,
        FieldMeta(
            "whether it is served; otherwise its path answers 503, that of `echo` and of endpoints with"
            " names of their own 404"
        ),
    ] = True
    path: Annotated[
        str,
        FieldMeta(
            "path of the address, exactly as requested, or a pattern such as `/app/{key}`, whose parameters"
            " are whole segments"
        ),
    ] = ""
    dialect: Annotated[str, FieldMeta("which protocol its clients speak")] = ""
    transport: Annotated[
        TransportKind,
        FieldMeta(
            "`websocket`, or `engine.io`: WebSocket and HTTP polling as Socket.IO clients use them"
        ),
    ] = TransportKind.WEBSOCKET
    bind_address: Annotated[
        bool,
        FieldMeta(
            "whether all requests of an `engine.io` session have to come from one address; clients"
            " that move to another one have to connect again"
        ),
    ] = True
    namespace: Annotated[str, FieldMeta("the namespace its channels belong to")] = ""
    upstream: Annotated[
        str,
        FieldMeta(
            "where a `relay` endpoint leads: the name of a table in `upstreams`; empty: the table"
            " `upstream`"
        ),
    ] = ""
    credentials: Annotated[
        tuple[CredentialSource, ...],
        FieldMeta(
            "where a credential may come from: `header`, `query`, `ticket`, `cookie`, `message`,"
            " `subprotocol`"
        ),
    ] = (CredentialSource.MESSAGE,)
    roles: Annotated[
        tuple[str, ...],
        FieldMeta("roles one of which is needed to come in; empty: any valid token", reload=True),
    ] = ()
    allowed_origins: Annotated[
        tuple[str, ...], FieldMeta("origins let in here; empty: those of `gate`", reload=True)
    ] = ()
    allow_missing_origin: Annotated[
        bool,
        FieldMeta(
            "whether clients are let in that send no `Origin`, which every browser sends",
            unset="`false` with cookies, and for `alerts` with a list of origins; else `true`",
        ),
    ] = UNSET
    allowed_headers: Annotated[
        tuple[str, ...],
        FieldMeta(
            "request headers that pages of another origin may send here by HTTP (polling, `/test`),"
            " beside `content-type`, `authorization`, `traceparent`, `tracestate`, `baggage` and"
            " `sentry-trace`",
            reload=True,
        ),
    ] = ()
    max_connections: Annotated[Count, FieldMeta("connections open at once; 0 for no limit")] = 0
    auth_timeout: Annotated[Span, FieldMeta("time a connection has to authenticate")] = 30.0
    auth_attempts: Annotated[
        Count,
        FieldMeta(
            "failed attempts to authenticate by message after which a connection is closed; 0 for no"
            " bound of its own"
        ),
    ] = 0
    auth: Annotated[
        AuthMode,
        FieldMeta("`token`, or `none` to let everyone in while developing on this machine"),
    ] = AuthMode.TOKEN
    idle_timeout: Annotated[
        Seconds, FieldMeta("a connection without any frame for this long is closed; 0 for never")
    ] = 0.0
    ping_interval: Annotated[
        Seconds, FieldMeta("quiet time after which a client is pinged; 0 for never")
    ] = PING_INTERVAL
    pong_timeout: Annotated[Span, FieldMeta("time a client has to answer a ping")] = PONG_TIME
    max_message: Annotated[Bytes, FieldMeta("largest message of an authenticated client")] = MESSAGE
    backpressure_threshold: Annotated[
        int, Meta(ge=KIB), SIZE, FieldMeta("unsent bytes over which a slow reader is closed")
    ] = OUTBOX_BYTES
    farewell: Annotated[
        Seconds,
        FieldMeta(
            "time clients are given to leave by themselves after they were told of the end,"
            " before they are closed"
        ),
    ] = 0.0
    reconnect_url: Annotated[
        str, FieldMeta("address clients are told to come back to; empty: the one they came by")
    ] = ""
    compression: Annotated[bool, FieldMeta("whether permessage-deflate is offered")] = False
    expose_email: Annotated[
        bool,
        FieldMeta("whether users see each other's e-mail", development=True, production=False),
    ] = UNSET
    auto_create: Annotated[
        bool,
        FieldMeta("whether joining an unknown room makes it", development=True, production=False),
    ] = UNSET
    room_kinds: Annotated[
        tuple[str, ...],
        FieldMeta("kinds of rooms a workspace has: the last part of `workspace:{id}:{kind}`"),
    ] = ("dashboard", "approvals")
    refuse: Annotated[
        Refuse,
        FieldMeta(
            "how clients learn that they are not let in: `status`, by the HTTP status of the handshake;"
            " `close`, by a close code after it, which a browser can see; with `socketio` `event`, by the"
            " event `error` and a disconnect, or `connect_error`, with the code in its data"
        ),
    ] = Refuse.STATUS
    approval_webhook: Annotated[
        str,
        FieldMeta(
            "address that every verdict on a request for approval is posted to; empty: none",
            reload=True,
        ),
    ] = ""
    approval_webhook_secret: Annotated[
        Secret,
        FieldMeta(
            "key of the signature in the header `X-Portward-Signature` of those posts", reload=True
        ),
    ] = Secret()
    approval_webhook_secret_file: Annotated[
        str, FieldMeta("file that holds `approval_webhook_secret`", reload=True)
    ] = ""
    sign_messages: Annotated[bool, FieldMeta("whether each message carries an HMAC signature")] = (
        False
    )
    sign_secret: Annotated[
        Secret, FieldMeta("key of those signatures, at least 32 bytes", reload=True)
    ] = Secret()
    sign_secret_file: Annotated[str, FieldMeta("file that holds `sign_secret`", reload=True)] = ""
    limits: Annotated[Limits, FieldMeta("Limits of this endpoint; unset ones as in `limits`.")] = (
        Limits()
    )

    @property
    def takes_cookies(self) -> bool:
        """Whether cookies of a browser are a credential at this endpoint."""
        return CredentialSource.COOKIE in self.credentials
