"""Approval requests: a human decides once on a request of the backend; it is kept until it expires."""

from enum import StrEnum
from typing import Any

import msgspec

from portward.model.channel import Channel


class Decision(StrEnum):
    """The possible decisions."""

    APPROVE = "approve"
    REJECT = "reject"


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """A decision with its user and its time (Unix seconds)."""

    decision: Decision
    user: str
    at: float
    comment: str | None = None


class Approval(msgspec.Struct, frozen=True, kw_only=True):
    """A request for approval and, once decided, its verdict. `data` is any JSON value.

    Times are Unix seconds. Subscribers of `channel` are asked to decide.
    """

    id: str
    channel: Channel
    title: str
    data: Any
    created_at: float
    expires_at: float
    verdict: Verdict | None = None

    def pending(self, now: float) -> bool:
        """Return whether a decision is still possible."""
        return self.verdict is None and now < self.expires_at
