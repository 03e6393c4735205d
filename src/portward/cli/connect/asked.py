"""The parsed options of `portward connect`, and the source of its tokens."""

import re
import ssl
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import msgspec

from portward.cli.config import read, ready
from portward.cli.connect.memory import fingerprint
from portward.cli.errors import UsageError
from portward.cli.signing import TokenClaims, mint
from portward.client import TokenSource
from portward.security.jws import TokenRefused, parse_compact, strict_object

_HEADER: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")
_VALUE: Final = re.compile(r"[\t -~]{0,4096}")
_OWN: Final = frozenset(
    {"host", "connection", "upgrade", "origin", "cookie", "content-length", "transfer-encoding"}
    | {f"sec-websocket-{name}" for name in ("key", "version", "extensions", "protocol", "accept")}
)


class ConnectOptions(msgspec.Struct, frozen=True, kw_only=True):
    """The parsed command line. `credential` identifies the credential without a secret in it."""

    url: str
    user: str
    token: str | TokenSource | None
    credential: str
    rooms: list[str]
    profile: str
    as_json: bool
    origin: str | None
    cookie: str | None = None
    extra: dict[str, str] = {}
    tls: ssl.SSLContext | None = None

    def __repr__(self) -> str:
        return f"Asked({self.url!r})"

    @property
    def headers(self) -> dict[str, str]:
        """The headers of the handshake."""
        given = {"Origin": self.origin, "Cookie": self.cookie}
        return {**self.extra, **{name: value for name, value in given.items() if value}}


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
    if not url.lower().startswith("wss://"):
        raise UsageError(
            "--cacert and --insecure are about certificates: the address begins with wss://"
        )
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


def source_of(config: Path | None, bearer: TokenClaims) -> TokenSource:
    """Return a function that makes a new token at each call.

    Raises:
        CommandRefused: tokens cannot be made with these settings.
    """
    settings = ready(read(config)).settings
    mint(settings, bearer)  # fail before the connection

    async def fresh() -> str:
        return mint(settings, bearer)

    return fresh


def credential_of(
    sub: str | None, role: list[str] | None, token: str | None, workspace: str | None
) -> str:
    """Return an identifier of the credential that contains no secret."""
    if sub is None:
        return fingerprint(token or "")
    return fingerprint("sub", sub, *(role or ()), *(["\0", workspace] if workspace else ()))


def subject_of(token: str | None) -> str:
    """Return the subject of a token, unverified: it only selects the stored state."""
    if token is None:
        return ""
    try:
        return str(strict_object(parse_compact(token).payload).get("sub"))
    except TokenRefused:
        return fingerprint(token)
