"""Periodic work of a node on a shared engine: leases, revocations, positions, heartbeat."""

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from itertools import islice
from random import Random
from typing import Final, Protocol

from portward.engines.port import Member
from portward.model.channel import Channel
from portward.model.clock import Timer
from portward.model.events import Revoked
from portward.model.node import NodeInfo
from portward.model.revocation import Revocation, RevocationKind, identity_keys
from portward.node.cluster.position_check import PositionCheck
from portward.node.cluster.survey import Survey
from portward.node.sessions import NodeContext, Session
from portward.telemetry.events import Event

TOUCH_INTERVAL: Final = 10.0
"""Seconds between two renewals of presence, and of the node's own entry."""
PRESENCE_INTERVAL: Final = 1.0
"""Seconds between two sweeps of expired leases: presence of a dead node ends within 35 seconds."""
NODE_TTL: Final = 30.0
PULL_INTERVAL: Final = 30.0
OVERLAP: Final = 90.0
"""Seconds by which two pulls of revocations overlap: clocks differ, and a store may be delayed."""
COMPARE_INTERVAL: Final = 25.0
JITTER: Final = 2.5
"""Random part, in seconds, of the time between comparisons, so that nodes compare at different times."""
SOON: Final = 1.0
"""Seconds within which a node starts to look for what it lost in an interruption."""
SPREAD: Final = 10.0
"""Seconds over which the rights of all sessions are evaluated again."""
STEP: Final = 0.1
TURN: Final = 500
"""Sessions that are checked before control returns to the event loop."""


class Reauthorizer(Protocol):
    """Handles revocations and changed rights: `node.cluster.rights_events.RightsEventHandler`."""

    def revoked(self, event: Revoked) -> None:
        """End every session that the revocation names."""

    async def reauthorize_user(self, session: Session) -> None:
        """Evaluate the rights of one session again."""


class ClusterMaintenance:
    """Renews leases, pulls events that the bus may have lost, compares positions, sends heartbeats.

    A call that fails because the engine is unavailable is repeated at the next interval.
    """

    def __init__(
        self,
        context: NodeContext,
        rights_events: Reauthorizer,
        position_check: PositionCheck,
        info: Callable[[], NodeInfo],
        survey: Survey,
    ) -> None:
        """`info` returns the figures of this node."""
        self._survey = survey
        self._engine, self._stores = context.engine, context.stores
        self._registry = context.registry
        self._telemetry = context.telemetry
        self._background = context.background
        self._clock = clock = context.clock
        self._cluster_limits = context.cluster_limits
        self._rights_events = rights_events
        self._position_check = position_check
        self._info = info
        self._nodes = 1
        self._random = Random().random  # noqa: S311 - spreads load, keeps no secret
        self._timers: dict[str, Timer] = {}
        self._pulled = clock.time()
        self._pulling = False
        self._rights_uncertain = False
        """Whether changes of rights may have been lost since the last pull."""
        self._unchecked: deque[Session] = deque()
        self._batch = 0

    # -- start and stop

    def start(self) -> None:
        """Announce the node and start the timers."""
        self._heartbeat()
        self._every("touch", lambda: TOUCH_INTERVAL, self._touch_and_heartbeat)
        if self._engine.shared_by_nodes:
            self._every("presence", lambda: PRESENCE_INTERVAL, self._sweep_presence)
        self._every("pull", lambda: PULL_INTERVAL, self._pull_all)
        self._every("compare", self._compare_interval, self._compare)

    def stop(self) -> None:
        """Stop the timers and withdraw the node's entry."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._unchecked.clear()
        self._background.run(self._stores.nodes.withdraw(self._info().uid))

    def _every(self, name: str, wait: Callable[[], float], action: Callable[[], None]) -> None:
        def due() -> None:
            self._timers[name] = self._clock.call_later(wait(), due)
            action()

        self._timers[name] = self._clock.call_later(wait(), due)

    def _once(self, name: str, wait: float, action: Callable[[], None]) -> None:
        if name not in self._timers:
            self._timers[name] = self._clock.call_later(wait, partial(self._due, name, action))

    def _due(self, name: str, action: Callable[[], None]) -> None:
        del self._timers[name]
        action()

    # -- leases

    def _touch_and_heartbeat(self) -> None:
        entries = list(self._present())
        if entries:
            self._background.run(self._engine.presence.renew(entries))
        self._heartbeat()

    def _present(self) -> Iterable[tuple[Channel, Member]]:
        for session in self._registry:
            identity = session.identity
            if identity is not None:
                member = Member(session.id, identity.subject, identity.email)
                for subscription in session.subscriptions.values():
                    if subscription.present:
                        yield subscription.channel, member

    def _sweep_presence(self) -> None:
        self._background.run(self._engine.presence.sweep())

    def _heartbeat(self) -> None:
        self._background.run(self._announce())

    async def _announce(self) -> None:
        nodes = self._stores.nodes
        await nodes.register(self._info(), NODE_TTL)
        if self._engine.shared_by_nodes:
            present = await nodes.present()
            self._survey.note(present)
            before, self._nodes = self._nodes, len(present)
            # After a loss of all data the store gets the entries of all nodes within one interval: keep the
            # larger count until then, so that shares of limits do not grow.
            self._cluster_limits.count(max(before, self._nodes))

    # -- revocations and rights

    def _pull_all(self) -> None:
        self._background.run(self._pull())
        if self._rights_uncertain:
            self._rights_uncertain = False
            self._reauthorize_all()

    async def _pull(self) -> None:
        """Read recent revocations and end the sessions they name, in case the bus lost an event."""
        if self._pulling:
            return
        self._pulling = True
        try:
            now = self._clock.time()
            found = await self._stores.revocations.since(self._pulled - OVERLAP)
            self._pulled = now
            if found:
                await self._end_revoked(found)
        finally:
            self._pulling = False

    async def _end_revoked(self, found: Iterable[Revocation]) -> None:
        by_key = {(each.kind, each.value): each for each in found}
        sessions = iter(self._registry)
        while some := list(islice(sessions, TURN)):
            for session in some:
                self._end_if_named(session, by_key)
            await asyncio.sleep(0)

    def _end_if_named(
        self, session: Session, by_key: dict[tuple[RevocationKind, str], Revocation]
    ) -> None:
        claims = session.claims
        if claims is None or not session.alive:
            return
        for key in identity_keys(claims, session.resume_id):
            revocation = by_key.get(key)
            if revocation is not None and revocation.names(claims, session.resume_id):
                self._rights_events.revoked(Revoked(revocation=revocation))

    def _reauthorize_all(self) -> None:
        """Evaluate the rights of every session again over `SPREAD` seconds; queued sessions go first."""
        self._unchecked = deque(dict.fromkeys([*self._unchecked, *self._registry]))
        self._batch = int(len(self._unchecked) * STEP / SPREAD) + 1
        self._once("judge", STEP, self._reauthorize_some)

    def _reauthorize_some(self) -> None:
        for _ in range(min(self._batch, len(self._unchecked))):
            session = self._unchecked.popleft()
            if session.alive and session.identity is not None:
                self._background.run(self._rights_events.reauthorize_user(session))
        if self._unchecked:
            self._once("judge", STEP, self._reauthorize_some)

    # -- positions

    def _compare_interval(self) -> float:
        return COMPARE_INTERVAL + JITTER * (2 * self._random() - 1)

    def _compare(self) -> None:
        self._background.run(self._position_check.compare())

    # -- events of the engine itself: a part of `engines.port.EngineEvents`

    def on_interrupted(self) -> None:
        """Look for everything that the bus may have lost, at a random time within `SOON`."""
        self._rights_uncertain = True
        self._once("look", self._random() * SOON, self._look_for_losses)
        self.on_keys_dropped()

    def _look_for_losses(self) -> None:
        self._compare()
        self._background.run(self._pull())
        self._reauthorize_all()

    def on_health_changed(self, up: bool) -> None:
        """Record that the engine became available or unavailable."""
        self._telemetry.metrics.engine_up.set(up)
        self._telemetry.record(
            Event.ENGINE_UP if up else Event.ENGINE_DOWN, engine=self._engine.name
        )
        if up:
            self.on_keys_dropped()

    def on_keys_dropped(self) -> None:
        """Write the revocations that this node has in memory, which the store may have lost."""
        self._background.run(self._stores.revocations.restore())

    def on_eviction_changed(self, possible: bool) -> None:
        """Record whether the store may evict keys."""
        self._telemetry.metrics.engine_may_evict.set(possible)
        self._telemetry.record(
            Event.ENGINE_EVICTION if possible else Event.ENGINE_EVICTION_END,
            engine=self._engine.name,
        )
