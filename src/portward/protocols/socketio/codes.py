"""Codes of the errors that Socket.IO clients get."""

from typing import Any, Final

from portward.model.disconnects import Disconnect
from portward.model.errors import RATE_FAULTS, CommandError, ErrorKind

_ENDINGS: Final = {
    Disconnect.AUTH_FAILED: "INVALID_TOKEN",
    Disconnect.AUTH_TIMEOUT: "AUTH_REQUIRED",
    Disconnect.CONNECTION_LIMIT: "TOO_MANY_CONNECTIONS",
    Disconnect.TOO_MANY_REQUESTS: "RATE_LIMITED",
}
_ADMISSION: Final = {
    Disconnect.EXPIRED: "INVALID_TOKEN",
    Disconnect.REVOKED: "INVALID_TOKEN",
    Disconnect.INTERNAL: "UNAVAILABLE",
}
_FAULTS: Final = {
    ErrorKind.TOKEN_REQUIRED: "AUTH_REQUIRED",
    ErrorKind.NOT_AUTHENTICATED: "AUTH_REQUIRED",
    ErrorKind.AUTHENTICATION_FAILED: "INVALID_TOKEN",
    ErrorKind.TOKEN_REVOKED: "INVALID_TOKEN",
    ErrorKind.UNKNOWN_CHANNEL: "ACCESS_DENIED",
    ErrorKind.UNKNOWN_ROOM: "ACCESS_DENIED",
    ErrorKind.ALREADY_DECIDED: "ALREADY_DECIDED",
    ErrorKind.LIMIT_EXCEEDED: "LIMIT_EXCEEDED",
    ErrorKind.CHANNEL_FULL: "LIMIT_EXCEEDED",
    ErrorKind.UNAVAILABLE: "UNAVAILABLE",
    ErrorKind.INTERNAL: "INTERNAL_ERROR",
}
ERROR_TEXTS: Final = {
    "AUTH_REQUIRED": "Authentication required",
    "INVALID_TOKEN": "Invalid token",
    "TOO_MANY_CONNECTIONS": "Too many connections",
    "RATE_LIMITED": "Too many requests",
    "UNAVAILABLE": "Temporarily unavailable",
}
"""Texts for people who read an error instead of its code."""
VALIDATION_ERROR: Final = "VALIDATION_ERROR"


def ending_code(ending: Disconnect) -> str:
    """The code for a disconnect."""
    return _ENDINGS.get(ending, ending.name)


def ending_error(code: str, retry: int | None) -> dict[str, Any]:
    """The data of the event `error` before a disconnect; `retry` is in milliseconds."""
    return {"code": code} if retry is None else {"code": code, "retryMs": retry}


def admission_code(ending: Disconnect) -> str:
    """The code for a client that is not admitted."""
    return _ADMISSION.get(ending) or ending_code(ending)


def fault_code(fault: CommandError) -> str:
    """The code for a refused command."""
    if fault.kind is ErrorKind.PERMISSION_DENIED and fault.about is not None:
        return "ACCESS_DENIED"
    return code_of(fault.kind)


def code_of(kind: ErrorKind) -> str:
    """The code of a kind of command error, where it is not about a room."""
    if kind in RATE_FAULTS:
        return "RATE_LIMITED"
    if kind is ErrorKind.PERMISSION_DENIED:
        return "PERMISSION_DENIED"
    return _FAULTS.get(kind, VALIDATION_ERROR)


def refusal(fault: CommandError) -> dict[str, Any]:
    """The acknowledgement of a refused command."""
    answer: dict[str, Any] = {"error": fault_code(fault)}
    if answer["error"] == VALIDATION_ERROR:
        answer["details"] = fault.details or fault.hint or fault.kind.text
    if fault.retry_after is not None:
        answer["retryMs"] = fault.retry_after
    return answer
