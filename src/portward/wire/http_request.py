"""Parser of request heads, with limits that apply before anything is held (RFC 9112)."""

import re
from collections.abc import Iterable
from typing import Final, TypeAlias

import httptools

from portward.model.handshake_errors import HandshakeRejected, HandshakeRejection
from portward.model.limits import HEAD_COUNT, HeadLimits
from portward.model.request import PeerAddress, RequestHead
from portward.wire.proxy_protocol import SIGNATURE

Header: TypeAlias = tuple[str, str]
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
        held = self._held
        stop = end + 2 if end >= 0 else len(held)
        while (feed := held.find(b"\n", self._scanned, stop)) >= 0:
            self._check_line(feed - 1)
            self._lines += 1
            if self._lines > HEAD_COUNT + 1:
                raise HandshakeRejected(HandshakeRejection.HEADERS_TOO_LARGE)
            self._scanned = self._start = feed + 1
        self._scanned = stop
        if stop - self._start > self._limits.line + 1:
            raise HandshakeRejected(self._too_long())

    def _check_line(self, end: int) -> None:
        """Reject bare CR and LF, empty request lines and folded headers (RFC 9112 2.2 and 5.2)."""
        held, start = self._held, self._start
        if end <= start or held.find(b"\r", start, end + 1) != end:
            raise HandshakeRejected(HandshakeRejection.BAD_REQUEST, "line ends")
        if held[start] in b" \t":
            raise HandshakeRejected(HandshakeRejection.BAD_REQUEST, "folded header")
        if end - start > self._limits.line:
            raise HandshakeRejected(self._too_long())

    def _too_long(self) -> HandshakeRejection:
        return (
            HandshakeRejection.HEADERS_TOO_LARGE if self._lines else HandshakeRejection.URI_TOO_LONG
        )

    def _parse(self, head: bytes) -> RequestHead:
        fields = _Fields()
        parser = httptools.HttpRequestParser(fields)
        try:
            parser.feed_data(head)
        except httptools.HttpParserUpgrade:
            pass  # httptools raises this when the head is complete and asks for an upgrade
        except httptools.HttpParserError as error:
            proxied = head.startswith(b"PROXY ")
            why = PROXIED if proxied else type(error).__name__
            raise HandshakeRejected(HandshakeRejection.BAD_REQUEST, why) from None
        method, version = parser.get_method(), parser.get_http_version()
        # httptools accepts more than other readers: the request line must have exactly this form.
        line = b"%b %b HTTP/%b\r\n" % (method, fields.target, version.encode())
        if not (head.startswith(line) and version in _VERSIONS):
            raise HandshakeRejected(HandshakeRejection.BAD_REQUEST, "request line")
        target, headers = read_target(fields.target, fields.headers)
        path, _, query = target.partition("?")
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


def read_target(target: bytes, headers: Iterable[Header]) -> tuple[str, tuple[Header, ...]]:
    """The origin form of a request target, and the headers that go with it.

    In absolute form (RFC 9112 section 3.2.2) the authority replaces the value of `Host`. A request
    without `Host`, or with several, is left as it is, and the check of that header rejects it.

    Raises:
        HandshakeRejected: BAD_REQUEST, the target is in neither form.
    """
    if _TARGET.match(target):
        return target.decode("ascii"), tuple(headers)
    absolute = _ABSOLUTE.match(target)
    if absolute is None:
        raise HandshakeRejected(HandshakeRejection.BAD_REQUEST, "request target")
    authority, rest = absolute[1].decode("ascii"), (absolute[2] or b"").decode("ascii")
    kept = tuple(headers)
    if sum(name == "host" for name, _ in kept) == 1:
        kept = tuple((name, authority if name == "host" else value) for name, value in kept)
    return rest if rest.startswith("/") else f"/{rest}", kept


class _Fields:
    """Callbacks of httptools."""

    __slots__ = ("headers", "target")

    def __init__(self) -> None:
        self.target = b""
        self.headers: list[Header] = []

    def on_url(self, part: bytes) -> None:
        """Take a part of the request target, unchanged."""
        self.target += part

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header. Latin-1 decodes every byte, so no header can raise here."""
        self.headers.append((name.decode("latin-1").lower(), value.decode("latin-1").strip(" \t")))
