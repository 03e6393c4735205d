"""Compares where the channels of this node stand with where the engine's streams are."""

import asyncio
from functools import partial
from itertools import islice
from typing import Final

from portward.engines.port import Engine
from portward.hub.hub import Hub
from portward.model.channel import Channel
from portward.model.clock import Clock
from portward.model.errors import Unavailable
from portward.model.position import Position
from portward.model.publication import HistoryQuery
from portward.node.authorization import Authorizer
from portward.node.gap_repair import GapRepair

AT_ONCE: Final = 10
"""Channels whose positions are asked for at a time; in between everybody else has a turn."""
GRACE: Final = 1.0
"""Seconds a publication may be on its way after the engine has told of it."""


class PositionCheck:
    """Finds what the bus lost when nothing came after it, and leaves it to `GapRepair`."""

    def __init__(
        self,
        engine: Engine,
        channels: Hub,
        authority: Authorizer,
        continuity: GapRepair,
        clock: Clock,
    ) -> None:
        self._engine = engine
        self._channels = channels
        self._authority = authority
        self._continuity = continuity
        self._clock = clock
        self._comparing = self._again = False

    async def compare(self) -> None:
        """Compare every channel with the engine; asked again meanwhile, do it once more."""
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
        names = iter(self._channels.names())
        while some := list(islice(names, AT_ONCE)):
            if not all(await asyncio.gather(*map(self._look, some))):
                return

    async def _look(self, channel: Channel) -> bool:
        """Compare one channel; False when the engine gives no answer."""
        known = self._channels.position(channel)
        if known is None or self._channels.paused(channel) is not None:
            return True
        query = HistoryQuery(limit=0)
        try:
            page = await self._engine.broker.history(
                channel, query, self._authority.namespace(channel)
            )
        except Unavailable:
            return False
        if self._differs(channel, page.position):
            self._clock.call_later(GRACE, partial(self._look_again, channel, page.position))
        return True

    def _differs(self, channel: Channel, position: Position) -> bool:
        known = self._channels.position(channel)
        return known is not None and (
            known.epoch != position.epoch or known.offset < position.offset
        )

    def _look_again(self, channel: Channel, position: Position) -> None:
        if self._differs(channel, position):
            self._continuity.suspect_gap(channel)
