"""Requests for a decision in a map."""

from msgspec.structs import replace

from portward.engines.port import APPROVAL_KEPT, MAX_PENDING
from portward.model.approval import Approval, Verdict
from portward.model.channel import Channel
from portward.model.clock import Clock


class MemoryApprovals:
    """Implements `engines.port.Approvals`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: dict[str, Approval] = {}
        self._waiting: dict[Channel, dict[str, None]] = {}
        """By channel, the ids of requests without a verdict, in order."""

    async def add(self, approval: Approval) -> bool:
        """Store a request."""
        if approval.id in self._kept or len(await self.pending(approval.channel)) >= MAX_PENDING:
            return False
        self._kept[approval.id] = approval
        self._waiting.setdefault(approval.channel, {})[approval.id] = None
        return True

    async def get(self, approval: str) -> Approval | None:
        """The request with this id."""
        kept = self._kept.get(approval)
        return kept if kept is not None and not self._over(kept) else None

    def _over(self, approval: Approval) -> bool:
        return approval.expires_at + APPROVAL_KEPT <= self._clock.time()

    async def pending(self, channel: Channel) -> tuple[Approval, ...]:
        """Requests that can still be decided."""
        now = self._clock.time()
        waiting = (self._kept[each] for each in self._waiting.get(channel, ()))
        pending = (approval for approval in waiting if approval.pending(now))
        return tuple(sorted(pending, key=lambda approval: approval.created_at))

    async def decide(self, approval: str, verdict: Verdict) -> tuple[Approval | None, bool]:
        """Decide, once."""
        kept = await self.get(approval)
        if kept is None or not kept.pending(verdict.at):
            return kept, False
        decided = self._kept[approval] = replace(kept, verdict=verdict)
        self._forget(decided)
        return decided, True

    def _forget(self, approval: Approval) -> None:
        waiting = self._waiting.get(approval.channel, {})
        waiting.pop(approval.id, None)
        if not waiting:
            self._waiting.pop(approval.channel, None)

    def sweep(self) -> None:
        """Remove what has expired."""
        now = self._clock.time()
        for approval in list(self._kept.values()):
            if not approval.pending(now):
                self._forget(approval)
            if self._over(approval):
                del self._kept[approval.id]
