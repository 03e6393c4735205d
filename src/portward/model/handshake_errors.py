"""Rejections of handshakes. Bodies are empty, because browsers do not show them to a page."""

from enum import Enum
from typing import NamedTuple


class _RejectionRow(NamedTuple):
    # First and unique in every row: Enum would merge rows that are equal.
    reason: str
    status: int
    headers: tuple[tuple[str, str], ...] = ()
    retry: bool = False


_NO_STORE = ("Cache-Control", "no-store")


class HandshakeRejection(Enum):
    """The table of rejections before the upgrade.

    `reason` is the label in metrics and logs, `status` the HTTP status. `headers` are always sent, beside
    `Connection` and `Content-Length`; with `retry`, a `Retry-After` with jitter is sent too.
    """

    def __init__(
        self, reason: str, status: int, headers: tuple[tuple[str, str], ...], retry: bool
    ) -> None:
        self.reason = reason
        self.status = status
        self.headers = headers
        self.retry = retry

    BAD_REQUEST = _RejectionRow("bad_request", 400)
    MULTIPLE_CREDENTIALS = _RejectionRow("multiple_credentials", 400, (_NO_STORE,))
    WRONG_VERSION = _RejectionRow(
        "wrong_version", 426, (("Sec-WebSocket-Version", "13"), ("Upgrade", "websocket"))
    )
    METHOD = _RejectionRow("method", 405, (("Allow", "GET"),))
    HEADERS_TOO_LARGE = _RejectionRow("headers_too_large", 431)
    URI_TOO_LONG = _RejectionRow("uri_too_long", 414)
    HEAD_TIMEOUT = _RejectionRow("head_timeout", 408)
    UNKNOWN_PATH = _RejectionRow("unknown_path", 404)
    DISABLED = _RejectionRow("disabled", 503)
    ORIGIN = _RejectionRow("origin", 403)
    HOST = _RejectionRow("host", 403)
    INSECURE = _RejectionRow("insecure", 403)
    UNAUTHENTICATED = _RejectionRow(
        "unauthenticated", 401, (("WWW-Authenticate", 'Bearer error="invalid_token"'), _NO_STORE)
    )
    FORBIDDEN = _RejectionRow("forbidden", 403, (_NO_STORE,))
    RATE = _RejectionRow("rate", 429, retry=True)
    ADDRESS_CAP = _RejectionRow("address_cap", 429, retry=True)
    USER_CAP = _RejectionRow("user_cap", 429, retry=True)
    GLOBAL_CAP = _RejectionRow("global_cap", 503, retry=True)
    UNAUTHENTICATED_CAP = _RejectionRow("unauthenticated_cap", 503, retry=True)
    ENDPOINT_CAP = _RejectionRow("endpoint_cap", 503, retry=True)
    DRAINING = _RejectionRow("draining", 503, retry=True)
    OVERLOAD = _RejectionRow("overload", 503, retry=True)
    UNAVAILABLE = _RejectionRow("unavailable", 503, retry=True)
    INTERNAL = _RejectionRow("internal", 500)


class HandshakeRejected(Exception):  # noqa: N818 - not an error of the program: an answer to the peer
    """The rejection of a handshake. `detail` is only for the log; `retry_after` is in seconds."""

    def __init__(
        self, refusal: HandshakeRejection, detail: str = "", *, retry_after: float | None = None
    ) -> None:
        super().__init__(refusal.reason)
        self.refusal = refusal
        self.detail = detail
        self.retry_after = retry_after
