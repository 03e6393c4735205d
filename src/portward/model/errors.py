"""Command errors. A command error is sent to the client and the connection stays open.

    CommandError              (the exception; `kind` is the row of the table)
    |- ErrorKind              snake_case code, number, default text
    `- CredentialError        (a credential is rejected, and whether permanently)
    Unavailable               (an engine or an identity provider is unreachable; becomes a CommandError)

Numbers are the error codes of Centrifugo where it has one, so that its API clients understand them.
"""

from collections.abc import Mapping
from enum import Enum
from typing import Any, NamedTuple


class _ErrorRow(NamedTuple):
    code: str
    number: int
    text: str
    temporary: bool = False


class ErrorKind(Enum):
    """The complete list of command errors.

    `code` is the snake_case code for clients, `number` the one for API clients, `text` a sentence that a
    protocol may replace with its own, `temporary` whether the same command may succeed later.
    """

    def __init__(self, code: str, number: int, text: str, temporary: bool) -> None:
        self.code = code
        self.number = number
        self.text = text
        self.temporary = temporary

    INTERNAL = _ErrorRow("internal", 100, "Internal error", temporary=True)
    NOT_AUTHENTICATED = _ErrorRow("not_authenticated", 101, "Not authenticated")
    TOKEN_REQUIRED = _ErrorRow("token_required", 101, "Token required")
    AUTHENTICATION_FAILED = _ErrorRow("authentication_failed", 101, "Authentication failed")
    TOKEN_REVOKED = _ErrorRow("token_revoked", 101, "Token has been revoked")
    UNKNOWN_CHANNEL = _ErrorRow("unknown_channel", 102, "Unknown channel")
    UNKNOWN_ROOM = _ErrorRow("unknown_room", 102, "Unknown room")
    NOT_SUBSCRIBED = _ErrorRow("not_subscribed", 102, "Not subscribed")
    PERMISSION_DENIED = _ErrorRow("permission_denied", 103, "Permission denied")
    EVENT_REFUSED = _ErrorRow("event_refused", 103, "Event refused")
    MODEL_REFUSED = _ErrorRow("model_not_allowed", 103, "Model not allowed")
    NOT_CONNECTED = _ErrorRow("not_connected", 103, "Not connected")
    UNKNOWN_TYPE = _ErrorRow("unknown_type", 104, "Unknown message type")
    LIMIT_EXCEEDED = _ErrorRow("limit_exceeded", 106, "Limit exceeded")
    CHANNEL_FULL = _ErrorRow("channel_full", 106, "Channel is full")
    INVALID_FORMAT = _ErrorRow("invalid_format", 107, "Invalid message format")
    INVALID_STRUCTURE = _ErrorRow("invalid_structure", 107, "Invalid message structure")
    INVALID_CHANNEL = _ErrorRow("invalid_channel", 107, "Invalid channel name")
    TOO_LONG = _ErrorRow("too_long", 107, "Message too long")
    UNAVAILABLE = _ErrorRow("unavailable", 108, "Temporarily unavailable", temporary=True)
    RATE_LIMITED = _ErrorRow("rate_limited", 111, "Too many requests", temporary=True)
    AUTH_RATE_LIMITED = _ErrorRow(
        "auth_rate_limited", 111, "Too many authentication attempts", temporary=True
    )
    SUBSCRIBE_RATE_LIMITED = _ErrorRow(
        "subscribe_rate_limited", 111, "Too many subscriptions", temporary=True
    )
    ALREADY_DECIDED = _ErrorRow("already_decided", 113, "Already decided")
    UNKNOWN_NAMESPACE = _ErrorRow("unknown_namespace", 102, "Invalid namespace")
    UNRECOVERABLE = _ErrorRow("unrecoverable_position", 112, "Unrecoverable position")


RATE_FAULTS = frozenset(
    {ErrorKind.RATE_LIMITED, ErrorKind.AUTH_RATE_LIMITED, ErrorKind.SUBSCRIBE_RATE_LIMITED}
)
"""Refusals by a limit: counted separately from errors that the client caused."""


class Unavailable(Exception):  # noqa: N818 - a state of the world, not an error of the program
    """A service needed for the answer is unreachable; the same request may succeed later."""


class CommandError(Exception):
    """The refusal of a command. `retry_after` is in milliseconds; `command_id` is the id the client sent."""

    def __init__(
        self,
        kind: ErrorKind,
        *,
        retry_after: int | None = None,
        command_id: str | int | None = None,
        about: str | None = None,
        hint: str | None = None,
        detail: str | None = None,
        claim: str | None = None,
    ) -> None:
        super().__init__(kind.code)
        self.kind = kind
        self.retry_after = retry_after
        self.command_id = command_id
        self.about = about
        """The subject of the error as the client wrote it, for protocols that repeat it."""
        self.hint = hint
        """Which part of the command is wrong and why, in text of the gateway, for protocols that send it."""
        self.claim = claim
        """The configured name of the claim for which a token is rejected; only for the log."""
        self.detail = detail
        """Details for the operator and the admin API; a protocol never sends them to a client."""
        self.part: str | None = None
        """Which part of a command with several parts this is about, as the client wrote it."""
        self.details: Mapping[str, Any] | None = None
        """JSON for the client beside the code: names and numbers of the gateway, no text of the client."""


class CredentialError(CommandError):
    """The rejection of a credential. `lasting`: it stays rejected as long as keys and rules do not change."""

    def __init__(
        self, kind: ErrorKind, detail: str, *, lasting: bool, claim: str | None = None
    ) -> None:
        super().__init__(kind, detail=detail, claim=claim)
        self.lasting = lasting
