"""What the admin API answers when it refuses: an HTTP status, a number, one sentence.

    ApiError      (the exception; everything below becomes one)
    |- Fault      an operation was refused: the number of its kind
    `- Unavailable  the engine or the issuer of a key cannot be asked now: 503

The numbers are Centrifugo's error codes, see `model.faults`.
"""

from collections.abc import Mapping
from typing import Final

import msgspec

from portward.model.faults import Fault, FaultKind, Unavailable
from portward.security.redaction import clean

BAD_REQUEST: Final = FaultKind.INVALID_FORMAT.number
UNAUTHORIZED: Final = FaultKind.NOT_AUTHENTICATED.number
FORBIDDEN: Final = FaultKind.PERMISSION_DENIED.number
NOT_FOUND: Final = FaultKind.UNKNOWN_TYPE.number

STATUSES: Final = {
    FaultKind.INTERNAL: 500,
    FaultKind.UNKNOWN_CHANNEL: 404,
    FaultKind.UNKNOWN_ROOM: 404,
    FaultKind.NOT_SUBSCRIBED: 404,
    FaultKind.PERMISSION_DENIED: 403,
    FaultKind.UNKNOWN_TYPE: 404,
    FaultKind.LIMIT_EXCEEDED: 409,
    FaultKind.CHANNEL_FULL: 409,
    FaultKind.TOO_LONG: 413,
    FaultKind.UNAVAILABLE: 501,
    FaultKind.RATE_LIMITED: 429,
    FaultKind.AUTH_RATE_LIMITED: 429,
    FaultKind.SUBSCRIBE_RATE_LIMITED: 429,
    FaultKind.UNRECOVERABLE: 416,
}
"""The status of each kind of fault; 400 for the rest, a refused token in the body included."""

_TEXTS: Final = {
    FaultKind.INVALID_FORMAT: "bad request",
    FaultKind.INVALID_STRUCTURE: "bad request",
    FaultKind.UNAVAILABLE: "not available",
}
"""The API's words where the default text is a client's."""


class ErrorBody(msgspec.Struct, frozen=True):
    """What was wrong: a number to act on, a sentence to read."""

    code: int
    message: str


class Failure(msgspec.Struct, frozen=True):
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
    return ApiError(500, FaultKind.INTERNAL.number, "internal error")


def explain(error: Fault | Unavailable | ApiError) -> ApiError:
    """Put a refusal into the words of the API."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, Unavailable):
        number = FaultKind.UNAVAILABLE.number
        return ApiError(503, number, "temporarily unavailable", {"Retry-After": "1"})
    kind = error.kind
    text = _TEXTS.get(kind, kind.text.lower())
    message = f"{text}: {clean(error.detail)}" if error.detail else text
    return ApiError(STATUSES.get(kind, 400), kind.number, message)
