"""Comparison of channel positions of this node with the positions of the streams in the engine."""

import asyncio
from functools import partial
from itertools import islice
from typing import Final

from portward.model.channel import Channel
from portward.model.errors import Unavailable
from portward.model.position import Position
from portward.model.publication import HistoryQuery
from portward.node.channels import GapRepair
from portward.node.rights import Authorizer
from portward.node.sessions import NodeContext

AT_ONCE: Final = 10
"""Channels compared at a time; between the groups other tasks run."""
GRACE: Final = 1.0
"""Seconds that a publication may need from the engine to this node."""


class PositionCheck:
    """Finds publications that the bus lost at the end of a stream, and reports them to `GapRepair`."""

    def __init__(self, context: NodeContext, authorizer: Authorizer, gap_repair: GapRepair) -> None:
        self._engine = context.engine
        self._hub = context.hub
        self._clock = context.clock
        self._authorizer = authorizer
        self._gap_repair = gap_repair
        self._comparing = self._again = False

    async def compare(self) -> None:
        """Compare every channel with the engine; when called again meanwhile, repeat once."""
        self._again = True
        if self._comparing:
            return
        self._comparing = True
        try:
            while self._again:
                self._again = False
                await self._compare()
        finally:
            self._comparing = False

    async def _compare(self) -> None:
        names = iter(self._hub.names())
        while some := list(islice(names, AT_ONCE)):
            if not all(await asyncio.gather(*map(self._compare_one, some))):
                return

    async def _compare_one(self, channel: Channel) -> bool:
        """Compare one channel. Returns False when the engine does not answer."""
        known = self._hub.position(channel)
        if known is None or self._hub.paused(channel) is not None:
            return True
        query = HistoryQuery(limit=0)
        try:
            page = await self._engine.streams.history(
                channel, query, self._authorizer.namespace(channel)
            )
        except Unavailable:
            return False
        if self._differs(channel, page.position):
            self._clock.call_later(GRACE, partial(self._compare_again, channel, page.position))
        return True

    def _differs(self, channel: Channel, position: Position) -> bool:
        known = self._hub.position(channel)
        return known is not None and (
            known.epoch != position.epoch or known.offset < position.offset
        )

    def _compare_again(self, channel: Channel, position: Position) -> None:
        if self._differs(channel, position):
            self._gap_repair.suspect_gap(channel)
