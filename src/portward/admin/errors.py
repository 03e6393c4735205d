"""Errors of the admin API: an HTTP status, a code and one sentence.

    ApiError          (the exception; everything below is turned into one)
    |- CommandError   an operation was refused: the code of its kind
    `- Unavailable    the engine or the issuer of a key cannot be reached now: 503

The codes are Centrifugo's error codes, see `model.errors`.
"""

from typing import Final

import msgspec

from portward.model.errors import CommandError, ErrorKind, Unavailable
from portward.node.admin_method import NOT_FOUND, ApiError, ErrorBody
from portward.security.redaction import clean

__all__ = [
    "BAD_REQUEST",
    "FORBIDDEN",
    "NOT_FOUND",
    "STATUSES",
    "UNAUTHORIZED",
    "ApiError",
    "ApiFailure",
    "ErrorBody",
    "bad_request",
    "explain",
    "unexpected",
]

BAD_REQUEST: Final = ErrorKind.INVALID_FORMAT.number
UNAUTHORIZED: Final = ErrorKind.NOT_AUTHENTICATED.number
FORBIDDEN: Final = ErrorKind.PERMISSION_DENIED.number

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
"""The status of each kind of command error; 400 for the others, such as a refused token in the body."""

_TEXTS: Final = {
    ErrorKind.INVALID_FORMAT: "bad request",
    ErrorKind.INVALID_STRUCTURE: "bad request",
    ErrorKind.UNAVAILABLE: "not available",
}
"""The messages of the API where the default text addresses a client."""


class ApiFailure(msgspec.Struct, frozen=True):
    """The answer to a request that was refused."""

    error: ErrorBody


def bad_request(message: str) -> ApiError:
    """Make the error for a request that cannot be parsed. `message` may contain names from the request."""
    return ApiError(400, BAD_REQUEST, f"bad request: {clean(message)}")


def unexpected() -> ApiError:
    """Make the error for an unexpected failure; the cause is in the log."""
    return ApiError(500, ErrorKind.INTERNAL.number, "internal error")


def explain(error: CommandError | Unavailable | ApiError) -> ApiError:
    """Turn an error of an operation into an `ApiError`."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, Unavailable):
        number = ErrorKind.UNAVAILABLE.number
        return ApiError(503, number, "temporarily unavailable", {"Retry-After": "1"})
    kind = error.kind
    text = _TEXTS.get(kind, kind.text.lower())
    message = f"{text}: {clean(error.detail)}" if error.detail else text
    return ApiError(STATUSES.get(kind, 400), kind.number, message)
