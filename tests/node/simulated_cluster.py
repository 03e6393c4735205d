"""Several nodes on one store, over a bus that can lose, keep back, double and mix up what it carries."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from typing import Any, cast

from portward.engines.memory import MemoryEngine
from portward.engines.port import (
    Counters,
    EngineEvents,
    EngineUnavailable,
    KeyValue,
    Presence,
    PublishResult,
    RoomStore,
    Streams,
)
from portward.model.channel import Channel
from portward.model.events import BusEvent
from portward.model.limits import Rate
from portward.model.namespace import Namespace
from portward.model.publication import Draft, HistoryPage, HistoryQuery, Publication
from portward.settings import Settings
from portward.settings.limits import Limits, RateLimit
from portward.testing import FakeClock
from tests.running_gateway import RunningGateway, run_gateway, settings, settle
from tests.slow_engine import call_name

FREE = RateLimit(rate=Rate(0, 60.0, 1))
UNLIMITED = Limits(messages=FREE, auth=FREE, join=FREE, attempts=FREE)


class _Streams:
    """The store's broker as one node sees it; implements `engines.port.Streams`."""

    def __init__(self, node: "NodeEngine", inner: Streams) -> None:
        self._node = node
        self._inner = inner

    async def publish(
        self,
        channel: Channel,
        draft: Draft,
        namespace: Namespace,
        idempotency_key: str | None,
        life: str | None = None,
    ) -> PublishResult:
        """Publish in the store; the bus brings it back."""
        self._node.check()
        return await self._inner.publish(channel, draft, namespace, idempotency_key, life)

    async def history(
        self, channel: Channel, query: HistoryQuery, namespace: Namespace
    ) -> HistoryPage:
        """Read, when the node may; the answer may be kept back."""
        self._node.reads.append((channel, query.limit))
        self._node.check()
        page = await self._inner.history(channel, query, namespace)
        if self._node.gate is not None:
            await self._node.gate.wait()
        return page

    async def publish_control(self, event: BusEvent) -> None:
        """Tell every node, by way of the bus."""
        self._node.check()
        await self._inner.publish_control(event)

    async def subscribe(self, channel: Channel) -> None:
        """From now on the bus brings what is published there."""
        self._node.heard.add(channel)
        await self._inner.subscribe(channel)

    async def unsubscribe(self, channel: Channel) -> None:
        """And now no more."""
        self._node.heard.discard(channel)

    async def remove(self, channel: Channel) -> None:
        """Forget a stream."""
        await self._inner.remove(channel)

    async def is_readable(self, channel: Channel) -> bool:
        """Whether anything can be read back."""
        return await self._inner.is_readable(channel)

    async def channels(self) -> tuple[Channel, ...]:
        """Channels that have a stream."""
        return await self._inner.channels()

    def stream_counts(self) -> Mapping[str, int]:
        """The store's."""
        return self._inner.stream_counts()


class _Port:
    """One of the store's other ports as one node sees it."""

    def __init__(self, node: "NodeEngine", name: str) -> None:
        self._node = node
        self._name = name

    def __getattr__(self, method: str) -> Callable[..., Coroutine[Any, Any, Any]]:
        inner = getattr(getattr(self._node.network.store, self._name), method)

        async def call(*args: Any, **more: Any) -> Any:
            self._node.check()
            self._node.calls.append((call_name(self._name, method, args), args))
            return await inner(*args, **more)

        return call


class NodeEngine:
    """Implements `engines.port.Engine` for one node of a `Network`.

    `losing`, `keeping` and `doubling` say what the bus does with what it carries to this node. While
    it is `away` the store does not answer; while `gate` is an event that is not set, pages that were
    read have not arrived.
    """

    name = "network"
    shared_by_nodes = True
    exclusive = False

    def __init__(self, simulated_cluster: "SimulatedCluster") -> None:
        self.network = simulated_cluster
        self.streams = _Streams(self, simulated_cluster.store.streams)
        self.presence = cast(Presence, _Port(self, "presence"))
        self.counters = cast(Counters, _Port(self, "counters"))
        self.rooms = cast(RoomStore, _Port(self, "rooms"))
        self.kv = cast(KeyValue, _Port(self, "kv"))
        self.calls: list[tuple[str, tuple[Any, ...]]] = []
        self.sink: EngineEvents | None = None
        self.heard: set[Channel] = set()
        self.reads: list[tuple[Channel, int]] = []
        self.losing = self.keeping = self.doubling = self.away = False
        self.kept: list[Callable[[], None]] = []
        self.gate: asyncio.Event | None = None
        self.error: Exception | None = None

    async def start(self, sink: EngineEvents) -> None:
        """Join the network."""
        self.sink = sink
        self.network.engines.append(self)

    async def stop(self) -> None:
        """Leave the network."""
        self.sink = None
        self.network.engines.remove(self)

    async def sweep(self) -> None:
        """The store sweeps itself."""

    @property
    def may_evict(self) -> bool:
        """Nothing is dropped."""
        return False

    @property
    def healthy(self) -> bool:
        """Whether it is there."""
        return not self.away

    def called(self, name: str) -> list[tuple[Any, ...]]:
        """What a method was called with, as `presence.renew`; calls that were not answered are left out."""
        return [args for each, args in self.calls if each == name]

    def check(self) -> None:
        """Give no answer while the store is away, and a bad one while it is out of order."""
        if self.away:
            raise EngineUnavailable("away")
        if self.error is not None:
            raise self.error

    def carry(self, bring: Callable[[], None]) -> None:
        """Do with an announcement what the bus does now."""
        if self.losing:
            return
        if self.keeping:
            self.kept.append(bring)
            return
        for _ in range(1 + self.doubling):
            bring()

    def bring(self, *order: int) -> None:
        """Bring what was kept, all or some of it in this order; the bus works again."""
        self.keeping = False
        kept, self.kept = self.kept, []
        for index in order or range(len(kept)):
            kept[index]()


class SimulatedCluster:
    """The store, and who is on the bus; implements `engines.port.EngineEvents` for the store."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.store = MemoryEngine(clock)
        self.engines: list[NodeEngine] = []
        self.gateways: list[RunningGateway] = []

    def on_publication(
        self, channel: Channel, publication: Publication, epoch: str, exclude: str | None
    ) -> None:
        """Carry a publication to every node that hears the channel."""
        for engine in self.engines:
            if engine.sink is not None and channel in engine.heard:
                bring = partial(engine.sink.on_publication, channel, publication, epoch, exclude)
                engine.carry(bring)

    def on_control(self, event: BusEvent) -> None:
        """Carry an event to every node."""
        for engine in self.engines:
            if engine.sink is not None:
                engine.carry(partial(engine.sink.on_control, event))

    def on_interrupted(self) -> None:
        """A store in memory never is."""

    def on_health_changed(self, up: bool) -> None:
        """It does not change either."""

    def on_eviction_changed(self, possible: bool) -> None:
        """Nothing is dropped."""

    def on_keys_dropped(self) -> None:
        """Nothing is lost."""

    async def advance(self, seconds: float, step: float = 1.0) -> None:
        """Leap in steps, and let every node act on each."""
        while seconds > 0:
            self.clock.advance(min(step, seconds))
            seconds -= step
            await settle()
            await settle()


def open_settings(**namespace: Any) -> Settings:
    """Rooms without limits; `namespace` are options of its channels."""
    return settings(rooms={"limits": UNLIMITED}, namespace=namespace)


@asynccontextmanager
async def simulated_cluster(
    nodes: int = 1, given: Settings | None = None
) -> AsyncIterator[SimulatedCluster]:
    """A network of so many nodes with a lobby, which end with it."""
    net = SimulatedCluster(FakeClock())
    await net.store.start(net)
    async with AsyncExitStack() as stack:
        for _ in range(nodes):
            running = run_gateway(given or open_settings(), engine=NodeEngine(net), clock=net.clock)
            net.gateways.append(await stack.enter_async_context(running))
        await net.gateways[0].room()
        yield net
