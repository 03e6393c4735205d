"""The engine: its ports, start and stop."""

import secrets
from contextlib import suppress
from typing import Final, NamedTuple

from portward.engines.port import MAX_ROOMS, EngineEvents, EngineUnavailable
from portward.engines.redis.cluster import ClusterTopology
from portward.engines.redis.connect import Connector
from portward.engines.redis.context import RedisContext
from portward.engines.redis.counters import RedisCounters
from portward.engines.redis.health import HealthMonitor
from portward.engines.redis.keys import Keys
from portward.engines.redis.kv import RedisKeyValue
from portward.engines.redis.options import RedisKind, RedisOptions, Timing
from portward.engines.redis.presence import RedisPresence
from portward.engines.redis.rooms import RedisRooms
from portward.engines.redis.sentinel import SentinelTopology
from portward.engines.redis.server_checks import EvictionWatch, check_servers
from portward.engines.redis.streams import RedisStreams
from portward.engines.redis.subscriptions import RedisSubscriptions
from portward.engines.redis.topology import SingleTopology, Topology
from portward.model.clock import Clock
from portward.model.events import BusEvent, RightsChanged

PREFIX = "portward:"


class Prefixes(NamedTuple):
    """The first words of the names of keys: of this gateway's, and of those that other programs share."""

    own: str = PREFIX
    shared: str = ""


_PREFIXES: Final = Prefixes()


class RedisEngine:
    """Implements `engines.port.Engine` over Redis 7 or newer. Make it while its loop runs.

    `prefixes.own` begins every key except those shared with other applications: these begin with
    `prefixes.shared`.
    `max_rooms` bounds the rooms that joins make. With `allow_eviction` a server may drop keys when its
    memory is full.
    """

    name = "redis"
    shared_by_nodes = True
    exclusive = False

    def __init__(
        self,
        options: RedisOptions,
        clock: Clock,
        *,
        prefixes: Prefixes = _PREFIXES,
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
        keys = Keys(prefixes.own, prefixes.shared, options.db)
        self._allow_eviction = allow_eviction
        topology = _topology(options, timing, f"portward-{uid}")
        self._health = HealthMonitor(topology, timing, clock, self._changed, self._moved)
        context = RedisContext(self._health.commands, topology, keys, uid, timing, clock)
        self._context = context
        self._subscriptions = RedisSubscriptions(context, self._interrupted, self._on_control)
        self._sink: EngineEvents | None = None
        self._eviction = EvictionWatch(context, self._evicts, self._dropped, allowed=allow_eviction)
        self.streams = RedisStreams(context, self._subscriptions, self._on_control)
        self.presence = RedisPresence(context, self.streams.publish_control)
        self.rooms = RedisRooms(context, max_rooms)
        self.counters = RedisCounters(context)
        self.kv = RedisKeyValue(context)

    async def start(self, events: EngineEvents) -> None:
        """Connect, check the servers, and subscribe to the bus.

        Raises:
            EngineUnavailable: no server answers.
            ValueError: a server must not be used with its version or settings.
        """
        commands = self._context.commands
        commands.away = commands.closed = False
        try:
            await check_servers(commands, allow_eviction=self._allow_eviction)
            self._sink = self._subscriptions.sink = events
            await self._subscriptions.add_name(self._context.keys.bus)
            with suppress(EngineUnavailable):  # a part of a cluster is away: the sweep tries again
                await self.rooms.adopt()
        except BaseException:
            await self.stop()
            raise
        self._health.start()
        self._eviction.start()

    async def stop(self) -> None:
        """Disconnect."""
        self._sink = self._subscriptions.sink = None
        self._context.commands.closed = True
        await self._eviction.stop()
        await self._health.stop()
        await self._subscriptions.close()
        await self._context.topology.close()
        # What was running has failed by now, so this is short.
        await self.presence.close()

    async def sweep(self) -> None:
        """Remove what has expired; the store removes most of it by itself.

        Raises:
            EngineUnavailable: the store does not answer.
        """
        await self.presence.sweep()
        await self.streams.sweep()
        for channel in await self.rooms.sweep():
            await self.streams.publish_control(RightsChanged(channel=channel))

    @property
    def healthy(self) -> bool:
        """Whether the store answered the last time."""
        return self._health.healthy

    @property
    def may_evict(self) -> bool:
        """Whether a server may drop keys when its memory is full, although that was not allowed."""
        return self._eviction.possible

    @property
    def ignored(self) -> int:
        """Messages on subscribed channels that could not be read, and were dropped."""
        return self._subscriptions.ignored

    @property
    def gaps(self) -> int:
        """Publications that did not follow the one received before."""
        return self._subscriptions.gaps

    # -- callbacks of the parts

    def _on_control(self, event: BusEvent) -> None:
        if self._sink is not None:
            self._sink.on_control(event)

    def _interrupted(self) -> None:
        self._eviction.look_soon()
        if self._sink is not None:
            self._sink.on_interrupted()

    def _changed(self, up: bool) -> None:
        if up:
            self._eviction.look_soon()
        if self._sink is not None:
            self._sink.on_health_changed(up)

    def _evicts(self, possible: bool) -> None:
        if self._sink is not None:
            self._sink.on_eviction_changed(possible)

    def _dropped(self) -> None:
        if self._sink is not None:
            self._sink.on_keys_dropped()

    def _moved(self) -> None:
        self._eviction.look_soon()
        self._subscriptions.drop()


def _topology(options: RedisOptions, timing: Timing, name: str) -> Topology:
    connector = Connector(options, timing, name)
    if options.kind is RedisKind.SENTINEL:
        return SentinelTopology(connector, options.addresses, options.service, timing)
    if options.kind is RedisKind.CLUSTER:
        return ClusterTopology(connector, options.addresses, timing)
    return SingleTopology(connector, options.addresses[0], timing)
