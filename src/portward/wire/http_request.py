"""Parser of request heads, with limits that apply before anything is held (RFC 9112)."""

import re
from contextlib import suppress
from types import SimpleNamespace
from typing import Final

import httptools

from portward.model.handshake_errors import HandshakeRejected, HandshakeRejection
from portward.model.limits import HEAD_COUNT, HeadLimits
from portward.model.request import PeerAddress, RequestHead
from portward.wire.proxy_protocol import SIGNATURE

_END: Final = b"\r\n\r\n"
PROXIED: Final = "a PROXY header came: set server.proxy_protocol, or switch it off in the proxy"
"""Text for the log when a proxy sends a header that is not expected."""
_METHOD: Final = re.compile(rb"[A-Z]")
_TARGET: Final = re.compile(rb"/[!\"$-~]*\Z")
"""Origin form: printable, and no fragment."""
_ABSOLUTE: Final = re.compile(rb"https?://([\w.:\[\]-]+)(/[!\"$-~]*|\?[!\"$-~]*)?\Z", re.IGNORECASE)
"""Absolute form: an authority without user-info, then the characters of an origin form."""
_VERSIONS: Final = frozenset({"1.0", "1.1"})
_USUAL: Final = HeadLimits()


class HttpRequestReader:
    """Takes bytes as they come until the head is complete, within `limits`.

    `peer` and `secure` go into the result.
    """

    __slots__ = ("_held", "_limits", "_lines", "_peer", "_scanned", "_secure", "_start")

    def __init__(self, peer: PeerAddress, *, secure: bool, limits: HeadLimits = _USUAL) -> None:
        self._limits = limits
        self._peer = peer
        self._secure = secure
        self._held = bytearray()
        self._lines = 0
        self._start = 0
        self._scanned = 0

    def feed(self, data: bytes) -> tuple[RequestHead, bytes] | None:
        """Return the head and the bytes after it, once it is complete; None before.

        Raises:
            HandshakeRejected: BAD_REQUEST, URI_TOO_LONG or HEADERS_TOO_LARGE, as soon as that is certain.
        """
        held = self._held
        known = len(held)
        if not known and not _METHOD.match(data):
            proxied = data.startswith(SIGNATURE[:4])
            raise HandshakeRejected(
                HandshakeRejection.BAD_REQUEST, PROXIED if proxied else "no HTTP"
            )
        # Bytes beyond the limit are never part of a head, so they are not held.
        held += data[: self._limits.total + len(_END) - known]
        end = held.find(_END, max(known - len(_END) + 1, 0))
        self._check_lines(end)
        if end < 0:
            if len(held) >= self._limits.total + len(_END):
                raise HandshakeRejected(HandshakeRejection.HEADERS_TOO_LARGE)
            return None
        head = self._parse(bytes(held[: end + len(_END)]))
        self._held = bytearray()
        return head, data[end + len(_END) - known :]

    def _check_lines(self, end: int) -> None:
        """Check the new bytes: line ends, line lengths, number of lines."""
        held, start, longest = self._held, self._start, self._limits.line
        stop = end + 2 if end >= 0 else len(held)
        while (feed := held.find(b"\n", self._scanned, stop)) >= 0:
            # Bare CR and LF, empty request lines and folded headers (RFC 9112 2.2 and 5.2).
            if feed - 1 <= start or held.find(b"\r", start, feed) != feed - 1:
                raise HandshakeRejected(HandshakeRejection.BAD_REQUEST, "line ends")
            if held[start] in b" \t":
                raise HandshakeRejected(HandshakeRejection.BAD_REQUEST, "folded header")
            if feed - 1 - start > longest:
                raise HandshakeRejected(self._too_long())
            self._lines += 1
            if self._lines > HEAD_COUNT + 1:
                raise HandshakeRejected(HandshakeRejection.HEADERS_TOO_LARGE)
            self._scanned = self._start = start = feed + 1
        self._scanned = stop
        if stop - start > longest + 1:
            raise HandshakeRejected(self._too_long())

    def _too_long(self) -> HandshakeRejection:
        return (
            HandshakeRejection.HEADERS_TOO_LARGE if self._lines else HandshakeRejection.URI_TOO_LONG
        )

    def _parse(self, head: bytes) -> RequestHead:
        parts: list[bytes] = []
        fields: dict[bytes, bytes] = {}
        # Callbacks without a Python function: most heads have each name once.
        parser = httptools.HttpRequestParser(
            SimpleNamespace(on_url=parts.append, on_header=fields.__setitem__)
        )
        try:
            parser.feed_data(head)
        except httptools.HttpParserUpgrade:
            pass  # httptools raises this when the head is complete and asks for an upgrade
        except httptools.HttpParserError as error:
            proxied = head.startswith(b"PROXY ")
            why = PROXIED if proxied else type(error).__name__
            raise HandshakeRejected(HandshakeRejection.BAD_REQUEST, why) from None
        method, version, target = parser.get_method(), parser.get_http_version(), b"".join(parts)
        # httptools accepts more than other readers: the request line must have exactly this form.
        line = b"%b %b HTTP/%b\r\n" % (method, target, version.encode())
        if not (head.startswith(line) and version in _VERSIONS):
            raise HandshakeRejected(HandshakeRejection.BAD_REQUEST, "request line")
        headers: dict[str, list[str]] = {}
        for name, value in fields.items() if len(fields) == self._lines - 1 else _every_field(head):
            # Latin-1 decodes every byte, so no header can raise here.
            text = value.decode("latin-1").strip(" \t")
            headers.setdefault(name.decode("latin-1").lower(), []).append(text)
        path = target.decode("latin-1") if _TARGET.match(target) else read_absolute(target, headers)
        path, _, query = path.partition("?")
        return RequestHead(
            method=method.decode("ascii"),
            path=path,
            query=query,
            headers=headers,
            peer=self._peer.address,
            via=self._peer.via,
            scheme=self._peer.scheme,
            secure=self._secure,
            http_version=version,
        )


def _every_field(head: bytes) -> list[tuple[bytes, bytes]]:
    """The headers of a head that was parsed before, where a name appears more than once."""
    fields: list[tuple[bytes, bytes]] = []
    parser = httptools.HttpRequestParser(
        SimpleNamespace(on_header=lambda name, value: fields.append((name, value)))
    )
    with suppress(httptools.HttpParserUpgrade):
        parser.feed_data(head)
    return fields


def read_absolute(target: bytes, headers: dict[str, list[str]]) -> str:
    """The origin form of a request target in absolute form (RFC 9112 section 3.2.2).

    The authority replaces the value of `Host` in `headers`. A request without `Host`, or with several, is
    left as it is, and the check of that header rejects it.

    Raises:
        HandshakeRejected: BAD_REQUEST, the target is not in absolute form.
    """
    absolute = _ABSOLUTE.match(target)
    if absolute is None:
        raise HandshakeRejected(HandshakeRejection.BAD_REQUEST, "request target")
    authority, rest = absolute[1].decode("ascii"), (absolute[2] or b"").decode("ascii")
    if len(headers.get("host", ())) == 1:
        headers["host"] = [authority]
    return rest if rest.startswith("/") else f"/{rest}"
