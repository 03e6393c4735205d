"""A decision that a human is asked for: requested by the backend, made once, kept until it expires."""

from enum import StrEnum
from typing import Any

import msgspec

from portward.model.channel import Channel


class Decision(StrEnum):
    """What may be decided."""

    APPROVE = "approve"
    REJECT = "reject"


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """Who decided what, and when (Unix seconds)."""

    decision: Decision
    user: str
    at: float
    comment: str | None = None


class Approval(msgspec.Struct, frozen=True, kw_only=True):
    """A request and, once there is one, its verdict. `data` is any JSON value, times are Unix seconds.

    Those who hear `channel` are asked.
    """

    id: str
    channel: Channel
    title: str
    data: Any
    created_at: float
    expires_at: float
    verdict: Verdict | None = None

    def pending(self, now: float) -> bool:
        """Whether somebody may still decide."""
        return self.verdict is None and now < self.expires_at
