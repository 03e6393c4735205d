"""Sending of pending approval requests to a new subscriber, as fast as the client reads."""

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import Final

from portward.model.approval import Approval
from portward.model.channel import Channel
from portward.node.sessions import NodeContext, Session
from portward.protocols.workspaces.commands import Asked

SLICE: Final = 8
"""Requests sent at a time: with the largest ones a quarter of what may be unsent."""


class PendingReplay:
    """Sends the requests after the first `SLICE`. None is lost when the client reads slowly."""

    def __init__(self, context: NodeContext) -> None:
        self._approvals = context.stores.approvals
        self._background = context.background
        self._clock = context.clock

    def replay(self, session: Session, channel: Channel, waiting: Iterable[Approval]) -> None:
        """Send these requests, after what is written in this turn of the event loop."""
        rest = deque(each.id for each in waiting)
        if rest:
            work = self._replay(session, channel, rest)
            session.host.later(lambda: self._background.run(work))

    async def _replay(self, session: Session, channel: Channel, rest: deque[str]) -> None:
        while rest:
            taken = asyncio.Event()
            session.transport.when_sent(taken.set)
            await taken.wait()
            for _ in range(min(SLICE, len(rest))):
                approval = await self._approvals.get(rest.popleft())
                if not session.alive or channel not in session.subscriptions:
                    return
                if approval is not None and approval.pending(self._clock.time()):
                    session.push(Asked(approval=approval))
