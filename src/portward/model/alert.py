"""An alert about a call, for its supervisors."""

from enum import StrEnum
from typing import Any

import msgspec


class Severity(StrEnum):
    """The severity of an alert."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class Alert(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One alert as sent to subscribers. `timestamp` is in Unix milliseconds.

    `offset` and `epoch` are its position in the stream it was read from: the stream of its call, or the
    combined stream of all calls.
    """

    id: str
    timestamp: int
    call_id: str
    type: str
    severity: Severity
    data: dict[str, Any]
    offset: int
    epoch: str
