"""The engine: its ports, start and stop."""

import asyncio
import secrets
from contextlib import suppress

from portward.engines.port import MAX_ROOMS, EngineUnavailable, Sink
from portward.engines.redis.approvals import RedisApprovals
from portward.engines.redis.broker import RedisBroker
from portward.engines.redis.checks import check_servers
from portward.engines.redis.cluster import ClusterTopology
from portward.engines.redis.connect import Connector
from portward.engines.redis.directory import RedisDirectory
from portward.engines.redis.eviction import EvictionWatch
from portward.engines.redis.health import HealthMonitor
from portward.engines.redis.keys import Keys
from portward.engines.redis.meter import RedisMeter
from portward.engines.redis.nodes import RedisNodes
from portward.engines.redis.notes import RedisNotes
from portward.engines.redis.options import RedisKind, RedisOptions, Timing
from portward.engines.redis.presence import RedisPresence
from portward.engines.redis.pubsub_pool import PubSubPool
from portward.engines.redis.revocations import RedisRevocations
from portward.engines.redis.rooms import RedisRooms
from portward.engines.redis.sentinel import SentinelTopology
from portward.engines.redis.sessions import RedisSessions
from portward.engines.redis.shared import RedisShared
from portward.engines.redis.subscriptions import RedisSubscriptions
from portward.engines.redis.topology import SingleTopology, Topology
from portward.model.clock import Clock
from portward.model.events import BusEvent, Revoked, RightsChanged

PREFIX = "portward:"


class RedisEngine:
    """Implements `engines.port.Engine` over Redis 7 or newer. Make it while its loop runs.

    `prefix` begins every key except those shared with other applications, which begin with `shared_prefix`.
    `max_rooms` bounds the rooms that joins make. With `allow_eviction` a server may drop keys when its
    memory is full.
    """

    name = "redis"
    spans = True

    def __init__(
        self,
        options: RedisOptions,
        clock: Clock,
        *,
        prefix: str = PREFIX,
        shared_prefix: str = "",
        max_rooms: int = MAX_ROOMS,
        allow_eviction: bool = False,
        timing: Timing | None = None,
    ) -> None:
        """Make the parts; nothing is connected yet.

        Raises:
            ValueError: a prefix has other characters than letters, digits and `:._-`.
        """
        timing = timing or Timing()
        uid = secrets.token_hex(8)
        keys = Keys(prefix, shared_prefix, options.db)
        self._allow_eviction = allow_eviction
        self._road = road = _road(options, timing, f"portward-{uid}")
        self._pulse = HealthMonitor(road, timing, clock, self._changed, self._moved)
        commands = self._pulse.commands
        self._ears = PubSubPool(
            road, commands, keys, uid, timing, clock, self._hear, self._interrupted
        )
        self._hearing = RedisSubscriptions(self._ears, keys, uid, timing, clock, self._tell)
        self._keys = keys
        self._sink: Sink | None = None
        self._eviction = EvictionWatch(
            commands,
            timing,
            clock,
            self._evicts,
            self._restore,
            allowed=allow_eviction,
        )
        self._restoring: set[asyncio.Task[None]] = set()
        self._commands = commands
        self.broker = RedisBroker(commands, road, self._hearing, keys, uid, self._tell)
        self.presence = RedisPresence(commands, road, keys, timing.lease, self.broker.announce)
        self._rooms = RedisRooms(commands, road, keys, clock, max_rooms)
        self.directory = RedisDirectory(commands, keys, self._rooms)
        self.sessions = RedisSessions(commands, keys)
        self.revocations = RedisRevocations(commands, keys, clock)
        self.approvals = RedisApprovals(commands, keys, clock)
        self.shared = RedisShared(commands, keys)
        self.nodes = RedisNodes(commands, keys)
        self.meter = RedisMeter(commands, keys)
        self.notes = RedisNotes(commands, keys)

    async def start(self, sink: Sink) -> None:
        """Connect, check the servers, and subscribe to the bus.

        Raises:
            EngineUnavailable: no server answers.
            ValueError: a server must not be used with its version or settings.
        """
        self._commands.away = self._commands.closed = False
        try:
            await check_servers(self._commands, allow_eviction=self._allow_eviction)
            self._sink = self._hearing.sink = sink
            await self._ears.listen(self._keys.bus)
            with suppress(EngineUnavailable):  # a part of a cluster is away: the sweep tries again
                await self._rooms.adopt()
        except BaseException:
            await self.stop()
            raise
        self._pulse.start()
        self._eviction.start()

    async def stop(self) -> None:
        """Disconnect."""
        self._sink = self._hearing.sink = None
        self._commands.closed = True
        await self._eviction.stop()
        await self._pulse.stop()
        self._hearing.close()
        await self._ears.close()
        await self._road.close()
        # What was running has failed by now, so this is short.
        await self.presence.close()
        if self._restoring:
            await asyncio.wait(tuple(self._restoring))

    async def sweep(self) -> None:
        """Remove what has expired; the store removes most of it by itself.

        Raises:
            EngineUnavailable: the store does not answer.
        """
        self.revocations.sweep()
        await self.presence.sweep()
        await self.broker.sweep()
        for channel in await self._rooms.sweep():
            await self.broker.announce(RightsChanged(channel=channel))

    @property
    def healthy(self) -> bool:
        """Whether the store answered the last time."""
        return self._pulse.beating

    @property
    def may_evict(self) -> bool:
        """Whether a server may drop keys when its memory is full, although that was not allowed."""
        return self._eviction.possible

    @property
    def ignored(self) -> int:
        """Messages on subscribed channels that could not be read, and were dropped."""
        return self._hearing.ignored

    @property
    def gaps(self) -> int:
        """Publications that did not follow the one received before."""
        return self._hearing.gaps

    # -- callbacks of the parts

    def _hear(self, name: bytes, payload: bytes) -> None:
        self._hearing.on_message(name, payload)

    def _tell(self, event: BusEvent) -> None:
        if isinstance(event, Revoked):
            self.revocations.remember(event.revocation)
        if self._sink is not None:
            self._sink.happened(event)

    def _interrupted(self) -> None:
        # The store may be lost and return without its data while no command is sent.
        self._begin_restore()
        self._eviction.look_soon()
        if self._sink is not None:
            self._sink.interrupted()

    def _changed(self, up: bool) -> None:
        if up:
            self._begin_restore()
            self._eviction.look_soon()
        if self._sink is not None:
            self._sink.engine_changed(up)

    def _evicts(self, possible: bool) -> None:
        if self._sink is not None:
            self._sink.eviction_changed(possible)

    def _moved(self) -> None:
        self._eviction.look_soon()
        self._ears.drop()

    def _begin_restore(self) -> None:
        task = asyncio.get_running_loop().create_task(self._restore())
        self._restoring.add(task)
        task.add_done_callback(self._restoring.discard)

    async def _restore(self) -> None:
        with suppress(EngineUnavailable):
            await self.revocations.restore()


def _road(options: RedisOptions, timing: Timing, name: str) -> Topology:
    dialer = Connector(options, timing, name)
    if options.kind is RedisKind.SENTINEL:
        return SentinelTopology(dialer, options.addresses, options.service, timing)
    if options.kind is RedisKind.CLUSTER:
        return ClusterTopology(dialer, options.addresses, timing)
    return SingleTopology(dialer, options.addresses[0], timing)
