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
    """The table of outcomes before the upgrade: HTTP status, fixed headers, whether `Retry-After` goes along.

    The reason is the label of the metric and the field of the log.
    """

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

    @property
    def reason(self) -> str:
        """One token for metrics and logs."""
        return self.value.reason

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self.value.status

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """Headers that always go with this answer, beside `Connection` and `Content-Length`."""
        return self.value.headers

    @property
    def retry(self) -> bool:
        """Whether a jittered `Retry-After` goes along."""
        return self.value.retry


class Refused(Exception):  # noqa: N818 - not an error of the program: an answer to the peer
    """A handshake is refused. `detail` is for the log alone; `retry_after` is in seconds."""

    def __init__(
        self, refusal: Refusal, detail: str = "", *, retry_after: float | None = None
    ) -> None:
        super().__init__(refusal.reason)
        self.refusal = refusal
        self.detail = detail
        self.retry_after = retry_after
