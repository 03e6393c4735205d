"""The parsed options of `portward connect`: the protocol, the credential, the handshake."""

import re
import ssl
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import msgspec

from portward.cli.config import read, with_secrets
from portward.cli.connect.resume_state import fingerprint
from portward.cli.signing import TokenClaims, mint
from portward.cli.terminal import UsageError, shown
from portward.client import TokenSource
from portward.client.transport import ClientTransport, WebSocketDialer
from portward.security.jws import TokenRefused, parse_compact, strict_object

PROTOCOLS: Final = ("rooms", "alerts", "live", "relay", "socketio", "echo")
DEFAULT_PATHS: Final = "/rooms, /alerts, /live, /realtime and /socket.io/"
_BY_PATH: Final = {"realtime": "relay", "socket.io": "socketio"}
"""Paths whose protocol has another name."""
_HEADER: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")
_VALUE: Final = re.compile(r"[\t -~]{0,4096}")
_OWN: Final = frozenset(
    {"host", "connection", "upgrade", "origin", "cookie", "content-length", "transfer-encoding"}
    | {f"sec-websocket-{name}" for name in ("key", "version", "extensions", "protocol", "accept")}
)
_PING_INTERVAL: Final = 20.0
"""Seconds; the clients that reconnect detect silence themselves."""


class ConnectOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The parsed command line. `credential` identifies the credential without a secret in it."""

    url: str
    protocol: str
    user: str = ""
    token: str | TokenSource | None = None
    credential: str = ""
    subscribe: tuple[str, ...] = ()
    profile: str = ""
    as_json: bool = False
    origin: str | None = None
    cookie: str | None = None
    headers: dict[str, str] = {}
    tls: ssl.SSLContext | None = None

    def __repr__(self) -> str:
        return f"ConnectOptions({self.url!r})"

    async def current_token(self) -> str | None:
        """Return the token for a connection that is not made again."""
        return await self.token() if callable(self.token) else self.token

    @property
    def handshake(self) -> dict[str, str]:
        """The headers of the handshake."""
        # At a live endpoint the cookie is the credential, which the client sends itself.
        cookie = None if self.protocol == "live" else self.cookie
        given = {"Origin": self.origin, "Cookie": cookie}
        return self.headers | {name: value for name, value in given.items() if value}

    async def dial(self, url: str, headers: Mapping[str, str]) -> ClientTransport:
        """Connect, for a protocol whose connection is not made again."""
        dialer = WebSocketDialer(headers=self.handshake, tls=self.tls, ping_interval=_PING_INTERVAL)
        return await dialer(url, headers)


def protocol_of(url: str, chosen: str | None) -> str:
    """Return the protocol to use: the chosen one, else the one named by the last part of the path.

    Raises:
        UsageError: neither names a protocol.
    """
    path = urlsplit(url).path
    last = re.split("[/:]", path.rstrip("/"))[-1]
    named = chosen or _BY_PATH.get(last, last)
    if named in PROTOCOLS:
        return named
    raise UsageError(
        f"the path {shown(path or '/')} does not say which protocol to use. By default a gateway"
        f" serves {DEFAULT_PATHS}; for a path of your own give --dialect {'|'.join(PROTOCOLS)}"
    )


def headers_of(written: Iterable[str]) -> dict[str, str]:
    """Parse headers written as `Name: value`.

    Raises:
        UsageError: an entry is no header, or one that the handshake itself sets.
    """
    found: dict[str, str] = {}
    for text in written:
        name, colon, value = text.partition(":")
        if not (colon and _HEADER.fullmatch(name) and _VALUE.fullmatch(value.strip())):
            raise UsageError("a header is written as 'Name: value', on one line")
        if name.lower() in _OWN:
            raise UsageError(
                f"the handshake sends {name} itself; see --origin, --cookie and --token"
            )
        found[name] = value.strip()
    return found


def tls_of(url: str, cacert: Path | None, *, insecure: bool) -> ssl.SSLContext | None:
    """Make the TLS context for a `wss://` address; None for the certificates of the system.

    Raises:
        UsageError: both options are given, the address is not encrypted, or the file has no certificate.
    """
    if cacert is None and not insecure:
        return None
    if cacert is not None and insecure:
        raise UsageError("give --cacert or --insecure, not both")
    if urlsplit(url).scheme not in {"wss", "wss+unix"}:
        raise UsageError("--cacert and --insecure need an address that begins with wss://")
    context = ssl.create_default_context()
    if cacert is None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    try:
        context.load_verify_locations(cacert)
    except (OSError, ssl.SSLError) as error:
        why = getattr(error, "strerror", None) or "no certificate in PEM"
        raise UsageError(f"--cacert {cacert}: {why}") from None
    return context


def source_of(config: Path | None, claims: TokenClaims) -> TokenSource:
    """Return a function that makes a new token at each call.

    Raises:
        CommandRefused: tokens cannot be made with these settings.
    """
    settings = with_secrets(read(config)).settings
    mint(settings, claims)  # fail before the connection

    async def fresh() -> str:
        return mint(settings, claims)

    return fresh


def credential_of(claims: TokenClaims | None, token: str | None) -> str:
    """Return an identifier of the credential that contains no secret."""
    if claims is None:
        return fingerprint(token or "")
    workspace = () if claims.workspace is None else ("\0", claims.workspace)
    return fingerprint("sub", claims.sub, *claims.roles, *workspace)


def subject_of(token: str | None) -> str:
    """Return the subject of a token, unverified: it only selects the stored state."""
    if token is None:
        return ""
    try:
        return str(strict_object(parse_compact(token).payload).get("sub"))
    except TokenRefused:
        return fingerprint(token)
