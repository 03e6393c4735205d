"""What can be wrong with one command. A fault is answered and the connection lives.

    Fault                     (the exception; `kind` says which row of the table)
    |- FaultKind              snake_case code, number, default text
    `- CredentialFault        (a credential is refused, and whether for good)
    Unavailable               (an engine or an identity provider cannot be asked; becomes a Fault)

Numbers follow Centrifugo's error codes where it has one, so its API clients understand ours.
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
    """The closed list of faults.

    `code` is the snake_case code for clients, `number` the one for API clients, `text` a sentence that a
    dialect may replace with its own, `temporary` whether the same command may succeed later.
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
"""Refusals by a limit: counted apart from faults of the client's own making."""


class Unavailable(Exception):  # noqa: N818 - a state of the world, not an error of the program
    """What is needed for an answer cannot be reached now; the same may succeed later."""


class CommandError(Exception):
    """A command is refused. `retry_after` is in milliseconds; `command_id` echoes the client's own id."""

    def __init__(
        self,
        kind: ErrorKind,
        *,
        retry_after: int | None = None,
        command_id: str | int | None = None,
        about: str | None = None,
        nsp: str | None = None,
        hint: str | None = None,
        detail: str | None = None,
        claim: str | None = None,
    ) -> None:
        super().__init__(kind.code)
        self.kind = kind
        self.retry_after = retry_after
        self.command_id = command_id
        self.about = about
        """What it is about, in the client's own words, for dialects that repeat it."""
        self.nsp = nsp
        """The Socket.IO namespace that was not entered, where that was asked for."""
        self.hint = hint
        """Which part of the command is wrong and why, in our words, for dialects that say so."""
        self.claim = claim
        """The configured name of the claim for which a token is refused; for the log alone."""
        self.detail = detail
        """For the operator's eyes and the admin API; a dialect never sends it to a client."""
        self.part: str | None = None
        """Which of several things asked for in one command this is about, in the client's own words."""
        self.details: Mapping[str, Any] | None = None
        """What a client is told beside the code, as JSON: names and numbers of ours, nothing of its text."""


class CredentialError(CommandError):
    """A credential is refused. `lasting`: for as long as keys and rules stay the same."""

    def __init__(
        self, kind: ErrorKind, detail: str, *, lasting: bool, claim: str | None = None
    ) -> None:
        super().__init__(kind, detail=detail, claim=claim)
        self.lasting = lasting
