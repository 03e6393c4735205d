"""The check of a WebSocket handshake (RFC 6455 §4.2.1), and the key of its answer."""

import base64
import hashlib
import re
from typing import Final

from portward.model.handshake_errors import HandshakeRejected, HandshakeRejection
from portward.model.request import RequestHead

VERSION: Final = "13"
_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_KEY: Final = re.compile(r"[A-Za-z0-9+/]{21}[AQgw]==\Z")
"""Sixteen bytes in base64 whose unused bits are zero."""
_SINGLE: Final = frozenset(
    {
        "authorization",
        "content-length",
        "content-type",
        "cookie",
        "host",
        "origin",
        "sec-websocket-key",
        "sec-websocket-version",
        "transfer-encoding",
        "upgrade",
    }
)


def check_upgrade(head: RequestHead) -> str:
    """Check the form of a handshake; returns its `Sec-WebSocket-Key`.

    Raises:
        HandshakeRejected: METHOD, WRONG_VERSION, or BAD_REQUEST with the reason for the log.
    """
    if head.method != "GET":
        raise HandshakeRejected(HandshakeRejection.METHOD)
    if head.http_version != "1.1":
        raise _bad("http version")
    headers = _singles(head)
    if "host" not in headers:
        raise _bad("no host")
    _check_no_body(headers)
    if "upgrade" not in _tokens(head, "connection") or "websocket" not in _tokens(head, "upgrade"):
        raise _bad("not an upgrade")
    return _check_key(headers)


def _singles(head: RequestHead) -> dict[str, str]:
    """Return the headers that may appear once, by name: with two, a proxy could use the other one."""
    found: dict[str, str] = {}
    for name, value in head.headers:
        if name in _SINGLE:
            if name in found:
                raise _bad(f"duplicate {name}")
            found[name] = value
    return found


def _check_no_body(headers: dict[str, str]) -> None:
    if "transfer-encoding" in headers or headers.get("content-length", "0") != "0":
        raise _bad("body")


def _check_key(headers: dict[str, str]) -> str:
    version = headers.get("sec-websocket-version")
    if version is None:
        raise _bad("no version")
    if version != VERSION:
        raise HandshakeRejected(HandshakeRejection.WRONG_VERSION)
    key = headers.get("sec-websocket-key", "")
    if not _KEY.match(key):
        raise _bad("bad key")
    return key


def _tokens(head: RequestHead, name: str) -> set[str]:
    joined = ",".join(head.all(name))
    return {token.strip(" \t").lower() for token in joined.split(",")}


def _bad(detail: str) -> HandshakeRejected:
    return HandshakeRejected(HandshakeRejection.BAD_REQUEST, detail)


def accept_key(key: str) -> str:
    """Return the `Sec-WebSocket-Accept` for a key (RFC 6455 §4.2.2)."""
    # The RFC requires SHA-1; it only confirms that the server read the handshake and protects nothing.
    digest = hashlib.sha1(key.encode("ascii") + _GUID, usedforsecurity=False).digest()
    return base64.b64encode(digest).decode("ascii")
