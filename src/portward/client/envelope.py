"""A message of the rooms endpoint, for the older client."""

from typing import Any

import msgspec


class Envelope(msgspec.Struct, frozen=True):
    """`{"type", "data", "timestamp", "id"}`."""

    type: str
    data: dict[str, Any]
    timestamp: float | None = None
    id: str | None = None
