"""What the admin API answers when it refuses: an HTTP status, a number, one sentence.

    ApiError      (the exception; everything below becomes one)
    |- Fault      an operation was refused: the number of its kind
    `- Unavailable  the engine or the issuer of a key cannot be asked now: 503

The numbers are Centrifugo's error codes, see `model.errors`.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from portward.model.errors import CommandError, ErrorKind, Unavailable
from portward.security.redaction import clean

BAD_REQUEST: Final = ErrorKind.INVALID_FORMAT.number
UNAUTHORIZED: Final = ErrorKind.NOT_AUTHENTICATED.number
FORBIDDEN: Final = ErrorKind.PERMISSION_DENIED.number
NOT_FOUND: Final = ErrorKind.UNKNOWN_TYPE.number

STATUSES: Final = {
    ErrorKind.INTERNAL: 500,
    ErrorKind.UNKNOWN_CHANNEL: 404,
    ErrorKind.UNKNOWN_ROOM: 404,
    ErrorKind.NOT_SUBSCRIBED: 404,
    ErrorKind.PERMISSION_DENIED: 403,
    ErrorKind.UNKNOWN_TYPE: 404,
    ErrorKind.LIMIT_EXCEEDED: 409,
    ErrorKind.CHANNEL_FULL: 409,
    ErrorKind.TOO_LONG: 413,
    ErrorKind.UNAVAILABLE: 501,
    ErrorKind.RATE_LIMITED: 429,
    ErrorKind.AUTH_RATE_LIMITED: 429,
    ErrorKind.SUBSCRIBE_RATE_LIMITED: 429,
    ErrorKind.UNRECOVERABLE: 416,
}
"""The status of each kind of fault; 400 for the rest, a refused token in the body included."""

_TEXTS: Final = {
    ErrorKind.INVALID_FORMAT: "bad request",
    ErrorKind.INVALID_STRUCTURE: "bad request",
    ErrorKind.UNAVAILABLE: "not available",
}
"""The API's words where the default text is a client's."""


class ErrorBody(msgspec.Struct, frozen=True):
    """What was wrong: a number to act on, a sentence to read."""

    code: int
    message: str


class ApiFailure(msgspec.Struct, frozen=True):
    """The answer to a request that was refused."""

    error: ErrorBody


class ApiError(Exception):
    """A request is refused with an HTTP status, a number and a sentence."""

    def __init__(
        self, status: int, code: int, message: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body = ErrorBody(code, message)
        self.headers = headers


def bad_request(message: str) -> ApiError:
    """The request cannot be understood. `message` may name what the caller sent."""
    return ApiError(400, BAD_REQUEST, f"bad request: {clean(message)}")


def unexpected() -> ApiError:
    """The gateway failed; the log knows why."""
    return ApiError(500, ErrorKind.INTERNAL.number, "internal error")


def explain(error: CommandError | Unavailable | ApiError) -> ApiError:
    """Put a refusal into the words of the API."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, Unavailable):
        number = ErrorKind.UNAVAILABLE.number
        return ApiError(503, number, "temporarily unavailable", {"Retry-After": "1"})
    kind = error.kind
    text = _TEXTS.get(kind, kind.text.lower())
    message = f"{text}: {clean(error.detail)}" if error.detail else text
    return ApiError(STATUSES.get(kind, 400), kind.number, message)
