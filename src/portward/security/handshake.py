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
_UPGRADE: Final = re.compile(r"(?:^|,)[ \t]*upgrade[ \t]*(?:,|\Z)", re.IGNORECASE | re.ASCII)
_WEBSOCKET: Final = re.compile(r"(?:^|,)[ \t]*websocket[ \t]*(?:,|\Z)", re.IGNORECASE | re.ASCII)
_NO_BODY: Final = ["0"]
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
    headers = head.headers
    if head.method != "GET":
        raise HandshakeRejected(HandshakeRejection.METHOD)
    if head.http_version != "1.1":
        raise _bad("http version")
    for name, values in headers.items():
        if len(values) > 1 and name in _SINGLE:
            raise _bad(f"duplicate {name}")  # a proxy could use the other one
    if "host" not in headers:
        raise _bad("no host")
    if "transfer-encoding" in headers or headers.get("content-length", _NO_BODY) != _NO_BODY:
        raise _bad("body")
    connection, upgrade = headers.get("connection", ()), headers.get("upgrade", ())
    if not (_UPGRADE.search(",".join(connection)) and _WEBSOCKET.search(",".join(upgrade))):
        raise _bad("not an upgrade")
    return _key(head)


def _key(head: RequestHead) -> str:
    """Check the version and the key, which appear at most once each."""
    version = head.headers.get("sec-websocket-version")
    if version is None:
        raise _bad("no version")
    if version != [VERSION]:
        raise HandshakeRejected(HandshakeRejection.WRONG_VERSION)
    key = "".join(head.headers.get("sec-websocket-key", ()))
    if not _KEY.match(key):
        raise _bad("bad key")
    return key


def _bad(detail: str) -> HandshakeRejected:
    return HandshakeRejected(HandshakeRejection.BAD_REQUEST, detail)


def accept_key(key: str) -> str:
    """Return the `Sec-WebSocket-Accept` for a key (RFC 6455 §4.2.2)."""
    # The RFC requires SHA-1; it only confirms that the server read the handshake and protects nothing.
    digest = hashlib.sha1(key.encode("ascii") + _GUID, usedforsecurity=False).digest()
    return base64.b64encode(digest).decode("ascii")
