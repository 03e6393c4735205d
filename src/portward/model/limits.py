"""Rates and sizes: the default limits of the gateway."""

from enum import StrEnum
from typing import Final, NamedTuple

import msgspec

from portward.model.errors import ErrorKind

KIB: Final = 1024
MIB: Final = 1024 * KIB

HEAD_LINE: Final = 8 * KIB
"""The longest request line, and the longest single header, in bytes."""
HEAD_TOTAL: Final = 32 * KIB
HEAD_COUNT: Final = 100
UNAUTHENTICATED_MESSAGE: Final = 8 * KIB
MESSAGE: Final = 64 * KIB
FRAGMENTS: Final = 1024
MESSAGE_TIME: Final = 10.0
"""Seconds from the first byte of a message to the last one."""
DATA: Final = 64 * KIB
"""The largest publication, in bytes of JSON."""
JSON_DEPTH: Final = 32
INTEGER: Final = 2**53 - 1
HISTORY_LIMIT: Final = 100
JOINED_AT_ONCE: Final = 128
"""Rooms that one command may join."""
RECOVERY_LIMIT: Final = 300
"""Above this number of missed publications recovery fails: the client must start from the current state."""
IDEMPOTENCY_TIME: Final = 300.0
OUTBOX_BYTES: Final = 1 * MIB
OUTBOX_COUNT: Final = 1000
OUTBOX_AGE: Final = 10.0
CLOSE_TIME: Final = 2.0
EXPIRY_NOTICE: Final = 60.0
PING_INTERVAL: Final = 25.0
REVALIDATION_CACHE: Final = 10.0
"""The maximum age, in seconds, of a cached answer of the identity provider for checks of open sessions."""
PONG_TIME: Final = 10.0
REFUSALS_IN_A_ROW: Final = 10
FAULTS_IN_A_ROW: Final = 20
TOKEN: Final = 8 * KIB
"""The longest token in bytes, unless the settings say otherwise."""
MAX_TOKEN: Final = 32 * KIB
"""The longest token in bytes that the settings may allow."""
SNAPSHOT_KEYS: Final = 1000
"""Keys of one channel whose last publication is kept; above it the least recently changed is removed."""
COOLDOWN_TYPES: Final = 64
"""Types of one channel for which cooldowns of one subscriber are stored."""
COOLDOWN_COMBINED: Final = 2048
"""The same for a combined channel, where the types of each channel count separately."""
TICKET_TIME: Final = 60.0


HEAD_TIME: Final = 5.0
"""Seconds from accept to the end of the request head; with TLS twice that."""


class HeadLimits(NamedTuple):
    """The maximum size of a request head, in bytes: of one line or header, and in all; and its time."""

    line: int = HEAD_LINE
    total: int = HEAD_TOTAL
    time: float = HEAD_TIME


def head_limits(token: int, time: float = HEAD_TIME) -> HeadLimits:
    """Return the limits of request heads that may carry a token of `token` bytes in a header or the query."""
    more = token if token > TOKEN else 0
    return HeadLimits(HEAD_LINE + more, HEAD_TOTAL + more, time)


def early_message(token: int) -> int:
    """Return the size limit of messages before authentication, which may carry a token of `token` bytes."""
    return UNAUTHENTICATED_MESSAGE if token <= TOKEN else UNAUTHENTICATED_MESSAGE + token


class LimitMode(StrEnum):
    """`observe` counts and logs what `enforce` would reject."""

    ENFORCE = "enforce"
    OBSERVE = "observe"


class Rate(msgspec.Struct, frozen=True):
    """`count` events per `period` seconds, at most `burst` at once. A count of 0 means no limit."""

    count: float
    period: float
    burst: int
    mode: LimitMode = LimitMode.ENFORCE

    @property
    def interval(self) -> float:
        """Seconds between two events at the sustained rate."""
        return self.period / self.count if self.count else 0.0


class LimitName(StrEnum):
    """The table of all limits an operator can set: one row is one limit.

    A row has the name in settings, metrics and logs, the meaning, the default rate, and the command error of
    a refusal. The limit on connections is a number and has no rate.
    """

    text: str
    rate: Rate | None
    error: ErrorKind

    def __new__(
        cls,
        name: str,
        text: str = "",
        rate: Rate | None = None,
        error: ErrorKind = ErrorKind.RATE_LIMITED,
    ) -> "LimitName":
        """Make a member whose value is the name."""
        member = str.__new__(cls, name)
        member._value_ = name
        member.text, member.rate, member.error = text, rate, error
        return member

    CONNECTIONS = "connections", "Connections open at once, per address."
    ATTEMPTS = "attempts", "Handshakes, per address.", Rate(600, 60.0, 600)
    MESSAGES = (
        "messages",
        "Messages, per user, or per address before authentication.",
        Rate(60, 60.0, 60),
    )
    AUTH = (
        "auth",
        "Distinct refused credentials, per address.",
        Rate(100, 60.0, 10),
        ErrorKind.AUTH_RATE_LIMITED,
    )
    JOIN = (
        "join",
        "Subscriptions, per user.",
        Rate(20, 60.0, 20),
        ErrorKind.SUBSCRIBE_RATE_LIMITED,
    )
    HISTORY = "history", "History reads, per user.", Rate(30, 60.0, 30)
    TYPING = "typing", "`typing` messages, per user and room.", Rate(30, 60.0, 30)
    FRAMES = "frames", "Frames of any kind, per connection.", Rate(200, 1.0, 400)
    CONTROL_FRAMES = "control_frames", "Pings and pongs, per connection.", Rate(10, 1.0, 20)


DEFAULT_RATES: Final = {name: name.rate for name in LimitName if name.rate is not None}
VERIFICATIONS: Final = Rate(2000, 1.0, 500)
"""Verifications of credentials in one process, for all addresses together."""
CONNECTIONS_PER_ADDRESS: Final = 500
CONNECTIONS_PER_USER: Final = 20
"""Connections of one user at one endpoint."""
