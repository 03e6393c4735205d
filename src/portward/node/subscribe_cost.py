"""What subscribing costs: each channel counts once, and coming back after a break costs nothing, once."""

import asyncio
from collections.abc import Iterable
from typing import Final

from portward.engines.port import Engine
from portward.hub.registry import Registry
from portward.model.channel import Channel
from portward.model.clock import Clock
from portward.model.disconnects import Disconnect
from portward.model.errors import CommandError
from portward.model.limits import LimitName, Rate
from portward.node.authorization import Authorizer
from portward.node.background import Background
from portward.node.cluster_limits import ClusterRateLimiter
from portward.node.session import Session
from portward.security.rate import RateTable

RETURN_TIME: Final = 120.0
"""Seconds in which a user may come back for nothing to what a broken connection was in."""
RETURNS: Final = Rate(1280, 60.0, 1280)
"""How much of one user comes back for nothing: ten full connections. What is beyond it counts as new."""


class SubscribeCost:
    """Counts subscriptions against the limit `join`, and remembers who may come back.

    What a user was in is remembered in the engine, so that any node on the same store takes it back.
    """

    def __init__(
        self,
        engine: Engine,
        authority: Authorizer,
        registry: Registry[Session],
        span: ClusterRateLimiter,
        background: Background,
        clock: Clock,
    ) -> None:
        self._engine = engine
        self._authority = authority
        self._registry = registry
        self._span = span
        self._background = background
        self._clock = clock
        self._returned = RateTable(RETURNS)

    async def charge(self, session: Session, channels: Iterable[Channel]) -> None:
        """Count channels, except those that the user comes back to.

        Raises:
            Fault: `SUBSCRIBE_RATE_LIMITED`; nothing was counted, and who may come back still may.
            Unavailable: the store cannot be asked.
        """
        new, user = tuple(channels), session.user
        if not new or user is None:
            return
        away = tuple(channel for channel in new if channel not in session.subscriptions)
        returning = await self._take(user, away) if away else frozenset()
        rest = tuple(channel for channel in new if channel not in returning)
        if not rest:
            return
        try:
            await self._count(session, len(rest))
        except CommandError:
            if await self._all_held(session, user, rest) and self._free(user, len(rest)):
                return
            await self._engine.sessions.put_returns(user, tuple(returning), RETURN_TIME)
            raise

    async def _take(self, user: str, channels: tuple[Channel, ...]) -> frozenset[Channel]:
        """The channels that the user comes back to for nothing."""
        returning = await self._engine.sessions.take_returns(user, channels)
        return returning if returning and self._free(user, len(returning)) else frozenset()

    def _free(self, user: str, count: int) -> bool:
        return not self._returned.take(user, self._clock.monotonic(), count)

    async def _count(self, session: Session, count: int) -> None:
        now, limiter = self._clock.monotonic(), session.endpoint.limits[LimitName.JOIN]
        limiter.check(session.limit_keys, now, count)
        await self._span.check(limiter, session.limit_keys, now, count)

    async def _all_held(self, session: Session, user: str, channels: tuple[Channel, ...]) -> bool:
        """Whether the user is in all of them over other connections.

        One of those may be dead and not found out yet, here or on a node that was killed: the user has
        noticed first.
        """
        others = [each for each in self._registry.of_user(user) if each is not session]
        here = {channel for each in others for channel in each.subscriptions}
        rest = [channel for channel in channels if channel not in here]
        return all(await asyncio.gather(*(self._present(session, channel) for channel in rest)))

    async def _present(self, session: Session, channel: Channel) -> bool:
        if not self._authority.namespace(channel).presence:
            return False
        members = await self._engine.presence.members(channel)
        own = session.id, session.user
        return any(each.user == own[1] and each.client != own[0] for each in members)

    # -- what is remembered

    def broke(self, session: Session, ending: Disconnect) -> None:
        """Remember what a session was in, unless it ended for good. Called before it leaves."""
        if session.user is None or not (ending.reconnect or ending is Disconnect.NORMAL):
            return
        held = [each.channel for each in session.subscriptions.values() if not each.trusted]
        if held:
            self._background.run(
                self._engine.sessions.put_returns(session.user, tuple(held), RETURN_TIME)
            )

    def lost(self, session: Session, channel: Channel) -> None:
        """A session lost a channel by no fault of its own, and is to come in once more."""
        if session.user is not None:
            self._background.run(
                self._engine.sessions.put_returns(session.user, (channel,), RETURN_TIME)
            )

    def forget(self, user: str | None, *channels: Channel) -> None:
        """The user left these channels, or was sent out of them: coming back is a new subscription."""
        if user is not None and channels:
            self._background.run(self._engine.sessions.take_returns(user, channels))
