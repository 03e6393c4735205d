"""The places of a handshake that carry a credential, and the rule that it has only one (RFC 6750 §2).

With two credentials, a proxy and the gateway could each use a different one; so two are rejected, even
when they are equal, and even when the endpoint would not have read one of them.
"""

import re
from collections.abc import Collection
from itertools import repeat
from typing import Final
from urllib.parse import unquote_to_bytes

import msgspec

from portward.model.handshake_errors import HandshakeRejected, HandshakeRejection
from portward.model.request import RequestHead
from portward.security.subprotocols import KEY_PREFIX, PROTOCOL_HEADER, has_jwt, offers
from portward.settings.endpoint import CredentialSource

_MAX_PARAMETERS: Final = 100
_QUERY: Final = re.compile(r"(?:[!$&-;=?-~]|%[0-9A-Fa-f]{2})*\Z")
"""Visible ASCII without `"`, `#`, `<`, `>`; a percent sign only before two hexadecimal digits."""
_BEARER: Final = re.compile(r"bearer +([A-Za-z0-9._~+/-]+=*)\Z", re.IGNORECASE | re.ASCII)
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9-]{0,31})(?:$| +(\S?))", re.ASCII)
_SCHEMES: Final = frozenset(
    {
        *("basic", "concealed", "digest", "dpop", "gnap", "hoba", "mutual", "negotiate", "oauth"),
        *("privatetoken", "scram-sha-1", "scram-sha-256", "vapid"),
        *("ntlm", "kerberos", "hawk", "aws4-hmac-sha256", "apikey", "token", "signature"),
    }
)
"""The registered schemes of RFC 9110 section 16.4 except Bearer, and others in wide use."""
_COOKIE_NAME: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
_COOKIE_VALUE: Final = re.compile(r"[ !-:<-~\x80-\xff]*\Z")
"""A cookie value after the split at `;`: visible characters of Latin-1; browsers allow blanks inside."""


class GivenCredential(msgspec.Struct, frozen=True):
    """One presented credential. Its value is not part of its repr."""

    kind: CredentialSource
    value: str

    def __repr__(self) -> str:
        return f"GivenCredential(kind={self.kind!r})"


_PARAMETERS: Final = {"token": CredentialSource.QUERY, "ticket": CredentialSource.TICKET}


def extract(
    head: RequestHead, allowed: Collection[str], cookies: Collection[str] = ()
) -> GivenCredential | None:
    """Find the credential of a handshake; returns None when the allowed places hold none.

    Browsers add cookies by themselves, so cookies are read only where they are allowed; `cookies` are the
    names that count, `*` for all. An `Authorization` header with another scheme than Bearer is no
    credential here: a proxy in front of the gateway may use it.

    Raises:
        HandshakeRejected: MULTIPLE_CREDENTIALS for more than one, wherever they are; UNAUTHENTICATED for an
            empty one, or a token under another scheme than Bearer; BAD_REQUEST for a malformed query
            or subprotocol, or a cookie that is there twice.
    """
    found = _presented(head)
    if CredentialSource.COOKIE in allowed and (value := _cookies(head, cookies)):
        found.append((CredentialSource.COOKIE, value))
    if len(found) > 1:
        raise HandshakeRejected(HandshakeRejection.MULTIPLE_CREDENTIALS, "several credentials")
    if not found:
        return None
    kind, value = found[0]
    if kind is None or kind not in allowed:
        return None
    if kind is CredentialSource.HEADER:
        bearer = _BEARER.match(value)
        value = bearer[1] if bearer else ""
    if not value:
        raise HandshakeRejected(
            HandshakeRejection.UNAUTHENTICATED, f"no usable credential in {kind.value}"
        )
    return GivenCredential(kind, value)


def foreign_scheme(head: RequestHead) -> str:
    """Return the scheme of an `Authorization` header that is meant for a proxy; empty when there is none.

    A scheme that is not well known may be a misplaced secret; the result is then `other`. Two such headers, a
    token (JWT) under any scheme, and a value without a scheme do not count as meant for a proxy.
    """
    values = head.headers.get("authorization", ())
    if len(values) != 1:
        return ""
    match = _SCHEME.match(values[0])
    scheme = match[1].lower() if match else ""
    if not scheme or scheme == "bearer" or has_jwt(values[0]):
        return ""
    if scheme in _SCHEMES:
        return scheme
    return "other" if match and match[2] else ""


def _presented(head: RequestHead) -> list[tuple[CredentialSource | None, str]]:
    """Return every credential in the handshake with its place; None for a place that is never read."""
    found: list[tuple[CredentialSource | None, str]] = []
    authorization = head.headers.get("authorization")
    if authorization and not foreign_scheme(head):
        found.extend(zip(repeat(CredentialSource.HEADER), authorization, strict=False))
    for name, value in query_pairs(head.query) if head.query else ():
        if name in _PARAMETERS:
            found.append((_PARAMETERS[name], value))
    for offer in offers(head) if PROTOCOL_HEADER in head.headers else ():
        if offer.startswith(KEY_PREFIX):
            found.append((CredentialSource.SUBPROTOCOL, offer.removeprefix(KEY_PREFIX)))
        elif has_jwt(offer):
            found.append((None, ""))
    return found


def _cookies(head: RequestHead, names: Collection[str]) -> str:
    """Return the cookies that count, as a `Cookie` header without the others (RFC 6265 section 4.2.1).

    A repeated name may come from a neighbouring site, and it is unknown which of the two the identity
    provider would read; so it is rejected.
    """
    every = "*" in names
    chosen: dict[str, str] = {}
    for pair in ";".join(head.all("cookie")).split(";"):
        name, equals, value = pair.strip(" \t").partition("=")
        if not equals or not _COOKIE_NAME.match(name) or not (every or name in names):
            continue
        if name in chosen or not _COOKIE_VALUE.match(value):
            raise HandshakeRejected(HandshakeRejection.BAD_REQUEST, "ambiguous or malformed cookie")
        chosen[name] = value
    return "; ".join(f"{name}={value}" for name, value in chosen.items())


def query_pairs(query: str) -> list[tuple[str, str]]:
    """Parse a query strictly; returns decoded names and values, in order, with repeated ones.

    Raises:
        HandshakeRejected: BAD_REQUEST for a character or escape that is not allowed, for bytes that are
            not UTF-8, or for more than 100 parameters.
    """
    if not query:
        return []
    parts = [part for part in query.split("&", _MAX_PARAMETERS + 1) if part]
    if len(parts) > _MAX_PARAMETERS or not _QUERY.match(query):
        raise HandshakeRejected(HandshakeRejection.BAD_REQUEST, "malformed query")
    try:
        return [_pair(part) for part in parts]
    except UnicodeDecodeError:
        raise HandshakeRejected(HandshakeRejection.BAD_REQUEST, "malformed query") from None


def _pair(part: str) -> tuple[str, str]:
    name, _, value = part.partition("=")
    return _decoded(name), _decoded(value)


def _decoded(text: str) -> str:
    return unquote_to_bytes(text.replace("+", " ")).decode()
