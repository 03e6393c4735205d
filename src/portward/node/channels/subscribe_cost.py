"""Rate limits of subscriptions: each channel counts once; one return after a break is free."""

import asyncio
from collections.abc import Iterable
from typing import Final

from portward.model.channel import Channel
from portward.model.disconnects import Disconnect
from portward.model.errors import CommandError
from portward.model.limits import LimitName, Rate
from portward.node.rights import Authorizer
from portward.node.sessions import NodeContext, Session
from portward.security.rate import RateTable

RETURN_TIME: Final = 120.0
"""Seconds in which a user may return without cost to the channels of a broken connection."""
RETURNS: Final = Rate(1280, 60.0, 1280)
"""Free returns of one user: ten full connections. Above it a return counts as a new subscription."""


class SubscribeCost:
    """Counts subscriptions against the limit `join`, and stores which users may return without cost.

    The channels of a broken connection are stored in the engine, so that every node on the same store can
    use them.
    """

    def __init__(self, context: NodeContext, authorizer: Authorizer) -> None:
        self._engine, self._stores = context.engine, context.stores
        self._registry = context.registry
        self._cluster_limits = context.cluster_limits
        self._background = context.background
        self._clock = context.clock
        self._authorizer = authorizer
        self._returned = RateTable(RETURNS)

    async def charge(self, session: Session, channels: Iterable[Channel]) -> None:
        """Count channels, except those that the user returns to.

        Raises:
            CommandError: `SUBSCRIBE_RATE_LIMITED`; nothing was counted, and free returns remain.
            Unavailable: the store is unreachable.
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
            # The other connections may be dead: the limit must not stop a client that reconnects.
            if await self._all_held(session, user, rest) and self._is_free(user, len(rest)):
                return
            await self._stores.sessions.put_returns(user, tuple(returning), RETURN_TIME)
            raise

    async def _take(self, user: str, channels: tuple[Channel, ...]) -> frozenset[Channel]:
        """Return the channels that the user returns to without cost."""
        returning = await self._stores.sessions.take_returns(user, channels)
        return returning if returning and self._is_free(user, len(returning)) else frozenset()

    def _is_free(self, user: str, count: int) -> bool:
        return not self._returned.take(user, self._clock.monotonic(), count)

    async def _count(self, session: Session, count: int) -> None:
        now, limiter = self._clock.monotonic(), session.endpoint.limits[LimitName.JOIN]
        limiter.check(session.limit_keys, now, count)
        await self._cluster_limits.check(limiter, session.limit_keys, now, count)

    async def _all_held(self, session: Session, user: str, channels: tuple[Channel, ...]) -> bool:
        """Return whether the user is in all these channels over other connections.

        One of those may be dead and not detected yet, here or on a node that was killed: the client detects
        this before the gateway.
        """
        others = [each for each in self._registry.of_user(user) if each is not session]
        here = {channel for each in others for channel in each.subscriptions}
        rest = [channel for channel in channels if channel not in here]
        return all(await asyncio.gather(*(self._present(session, channel) for channel in rest)))

    async def _present(self, session: Session, channel: Channel) -> bool:
        if not self._authorizer.namespace(channel).presence:
            return False
        members = await self._engine.presence.members(channel)
        own = session.id, session.user
        return any(each.user == own[1] and each.client != own[0] for each in members)

    # -- stored returns

    def store_returns(self, session: Session, ending: Disconnect) -> None:
        """Store the channels of a session, unless its disconnect is permanent. Runs before they are left."""
        if session.user is None or not (ending.reconnect or ending is Disconnect.NORMAL):
            return
        held = [each.channel for each in session.subscriptions.values() if not each.trusted]
        if held:
            self._background.run(
                self._stores.sessions.put_returns(session.user, tuple(held), RETURN_TIME)
            )

    def allow_return(self, session: Session, channel: Channel) -> None:
        """Store a free return to a channel that the gateway removed, so that the client can resubscribe."""
        if session.user is not None:
            self._background.run(
                self._stores.sessions.put_returns(session.user, (channel,), RETURN_TIME)
            )

    def forget_returns(self, user: str | None, *channels: Channel) -> None:
        """Delete free returns to channels that the user left or was removed from."""
        if user is not None and channels:
            self._background.run(self._stores.sessions.take_returns(user, channels))
