"""Answers of polling: bodies of packets, and the errors of the protocol as JSON."""

from typing import Final, NamedTuple

import msgspec

from portward.node.sessions import Headers, ResponseSender

_NO_STORE: Final = ("Cache-Control", "no-store")
_TEXT: Final = (("Content-Type", "text/plain; charset=UTF-8"), _NO_STORE)
_JSON: Final = (("Content-Type", "application/json"), _NO_STORE)


class Response(NamedTuple):
    """One answer."""

    status: int
    body: bytes
    headers: Headers = ()

    def to(self, caller: ResponseSender, headers: Headers = ()) -> None:
        """Send it."""
        caller.answer(self.status, (*self.headers, *headers), self.body)


def body(packets: bytes) -> Response:
    """The answer with these packets as its body."""
    return Response(200, packets, _TEXT)


def _error(code: int, message: str, status: int = 400) -> Response:
    return Response(status, msgspec.json.encode({"code": code, "message": message}), _JSON)


OK: Final = Response(200, b"ok", (("Content-Type", "text/html"), _NO_STORE))
UNKNOWN_TRANSPORT: Final = _error(0, "Transport unknown")
UNKNOWN_SESSION: Final = _error(1, "Session ID unknown")
BAD_METHOD: Final = _error(2, "Bad handshake method")
BAD_REQUEST: Final = _error(3, "Bad request")
FORBIDDEN: Final = _error(4, "Forbidden", 403)
UNSUPPORTED: Final = _error(5, "Unsupported protocol version")
NO_LENGTH: Final = _error(3, "Bad request", 411)
TOO_LARGE: Final = _error(3, "Bad request", 413)
PREFLIGHT: Final = Response(204, b"", (_NO_STORE,))
