"""What a handshake is answered when it is not let in. Bodies are empty: a browser shows nothing else."""

from enum import Enum
from typing import NamedTuple


class _Row(NamedTuple):
    # First, and of its own in every row: of rows that are equal, Enum would make one member.
    reason: str
    status: int
    headers: tuple[tuple[str, str], ...] = ()
    retry: bool = False


_NO_STORE = ("Cache-Control", "no-store")


class Refusal(Enum):
    """The table of outcomes before the upgrade.

    `reason` is the token of metrics and logs, `status` the HTTP status; `headers` always go with it,
    beside `Connection` and `Content-Length`, and with `retry` a jittered `Retry-After` does too.
    """

    def __init__(
        self, reason: str, status: int, headers: tuple[tuple[str, str], ...], retry: bool
    ) -> None:
        self.reason = reason
        self.status = status
        self.headers = headers
        self.retry = retry

    BAD_REQUEST = _Row("bad_request", 400)
    MULTIPLE_CREDENTIALS = _Row("multiple_credentials", 400, (_NO_STORE,))
    WRONG_VERSION = _Row(
        "wrong_version", 426, (("Sec-WebSocket-Version", "13"), ("Upgrade", "websocket"))
    )
    METHOD = _Row("method", 405, (("Allow", "GET"),))
    HEADERS_TOO_LARGE = _Row("headers_too_large", 431)
    URI_TOO_LONG = _Row("uri_too_long", 414)
    HEAD_TIMEOUT = _Row("head_timeout", 408)
    UNKNOWN_PATH = _Row("unknown_path", 404)
    DISABLED = _Row("disabled", 503)
    ORIGIN = _Row("origin", 403)
    HOST = _Row("host", 403)
    INSECURE = _Row("insecure", 403)
    UNAUTHENTICATED = _Row(
        "unauthenticated", 401, (("WWW-Authenticate", 'Bearer error="invalid_token"'), _NO_STORE)
    )
    FORBIDDEN = _Row("forbidden", 403, (_NO_STORE,))
    RATE = _Row("rate", 429, retry=True)
    ADDRESS_CAP = _Row("address_cap", 429, retry=True)
    USER_CAP = _Row("user_cap", 429, retry=True)
    GLOBAL_CAP = _Row("global_cap", 503, retry=True)
    UNAUTHENTICATED_CAP = _Row("unauthenticated_cap", 503, retry=True)
    ENDPOINT_CAP = _Row("endpoint_cap", 503, retry=True)
    DRAINING = _Row("draining", 503, retry=True)
    OVERLOAD = _Row("overload", 503, retry=True)
    UNAVAILABLE = _Row("unavailable", 503, retry=True)
    INTERNAL = _Row("internal", 500)


class Refused(Exception):  # noqa: N818 - not an error of the program: an answer to the peer
    """A handshake is refused. `detail` is for the log alone; `retry_after` is in seconds."""

    def __init__(
        self, refusal: Refusal, detail: str = "", *, retry_after: float | None = None
    ) -> None:
        super().__init__(refusal.reason)
        self.refusal = refusal
        self.detail = detail
        self.retry_after = retry_after
