"""What a call's supervisors are told: one alert."""

from enum import StrEnum
from typing import Any

import msgspec


class Severity(StrEnum):
    """How bad it is."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class Alert(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One alert as subscribers are sent it. `timestamp` is in Unix milliseconds.

    `offset` and `epoch` are its position in the stream it was read from: that of its call, or the
    combined one of all calls.
    """

    id: str
    timestamp: int
    call_id: str
    type: str
    severity: Severity
    data: dict[str, Any]
    offset: int
    epoch: str
