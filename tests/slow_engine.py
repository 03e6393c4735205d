"""The memory engine behind a wire: calls wait to be carried out, and their answers to arrive.

What a store at the other end of one connection does: it takes commands in the order they were sent,
whoever waits for the answers, and carries them out even when their caller has given up. News over
the bus may come before the answer to a command that was carried out earlier.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

from portward.engines.memory import MemoryEngine
from portward.engines.port import (
    Counters,
    Engine,
    EngineEvents,
    EngineUnavailable,
    Key,
    KeyValue,
    Presence,
    RoomStore,
    Streams,
)
from portward.model.clock import Clock
from portward.settings import Settings
from portward.testing import FakeClock, MemoryClient, connect
from tests.running_gateway import RunningGateway, run_gateway

Action = Callable[[], Coroutine[Any, Any, Any]]


@dataclass(slots=True)
class Call:
    """One command: on its way to the store, or its outcome on its way back."""

    name: str
    action: Action
    future: asyncio.Future[Any]
    outcome: Any = None
    error: Exception | None = None

    def carry_out(self, fails: set[str]) -> None:
        """What the store does."""
        if self.name in fails:
            self.error = EngineUnavailable(self.name)
            return
        try:
            self.action().send(None)
        except StopIteration as stop:
            self.outcome = stop.value
        except Exception as raised:  # noqa: BLE001 - sent to the caller, as a store would
            self.error = raised

    def answer(self) -> None:
        """Tell the caller, if it still wants to know."""
        if self.future.done():
            return
        if self.error is not None:
            self.future.set_exception(self.error)
        else:
            self.future.set_result(self.outcome)


class _Wire:
    """One port behind the wire."""

    def __init__(self, engine: "SlowEngine", port: str, inner: object) -> None:
        self._engine = engine
        self._port = port
        self._inner = inner

    def stream_counts(self) -> Mapping[str, int]:
        """Nothing: no wire is asked for what this process keeps."""
        return {}

    def __getattr__(self, name: str) -> Callable[..., Coroutine[Any, Any, Any]]:
        method = getattr(self._inner, name)

        async def call(*args: Any, **more: Any) -> Any:
            called = call_name(self._port, name, args)
            return await self._engine.send(called, lambda: method(*args, **more))

        return call


def call_name(port: str, method: str, args: tuple[Any, ...]) -> str:
    """The name of a call: that of the method, and for an entry by key what it is about."""
    if port != "kv":
        return f"{port}.{method}"
    key: Key = args[0] if isinstance(args[0], Key) else args[0][0]  # or the first of several
    return f"kv.{method} {key.family}"


class SlowEngine:
    """Implements `engines.port.Engine`. `inner` is the store itself, for those beside the gateway.

    A call takes two steps: being carried out, and being answered. After `release` it takes none.
    `fails` holds names of calls, as `streams.history` or `kv.records revoked`, that are answered with
    `EngineUnavailable`.
    """

    name = "slow"
    shared_by_nodes = False
    exclusive = False

    def __init__(self, clock: Clock) -> None:
        self.inner = MemoryEngine(clock)
        self.waiting: deque[Call] = deque()
        self.answers: deque[Call] = deque()
        self.fails: set[str] = set()
        self.seen: list[str] = []
        self._released = False
        self.streams = cast(Streams, _Wire(self, "streams", self.inner.streams))
        self.presence = cast(Presence, _Wire(self, "presence", self.inner.presence))
        self.counters = cast(Counters, _Wire(self, "counters", self.inner.counters))
        self.rooms = cast(RoomStore, _Wire(self, "rooms", self.inner.rooms))
        self.kv = cast(KeyValue, _Wire(self, "kv", self.inner.kv))

    @property
    def may_evict(self) -> bool:
        """Nothing is dropped."""
        return False

    @property
    def healthy(self) -> bool:
        """It answers, in its time."""
        return True

    async def start(self, sink: EngineEvents) -> None:
        """Announce to `sink` from now on."""
        await self.inner.start(sink)

    async def stop(self) -> None:
        """Give up what waits."""
        for call in (*self.waiting, *self.answers):
            call.future.cancel()
        self.waiting.clear()
        self.answers.clear()
        await self.inner.stop()

    async def sweep(self) -> None:
        """Drop what has expired."""
        await self.inner.sweep()

    def send(self, name: str, action: Action) -> asyncio.Future[Any]:
        """Put a call on the wire; returns the future of its answer."""
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.waiting.append(Call(name, action, future))
        while self._released and self.step():
            pass
        return future

    async def release(self) -> None:
        """Take all steps, and from now on take them at once."""
        self._released = True
        await self.run()

    def step(self) -> bool:
        """Let the oldest answer arrive, else carry out the oldest call. False when there is none."""
        if self.answers:
            self.answers.popleft().answer()
        elif self.waiting:
            call = self.waiting.popleft()
            self.seen.append(call.name)
            call.carry_out(self.fails)
            self.answers.append(call)
        else:
            return False
        return True

    async def run(self, steps: int | None = None) -> int:
        """Take steps until none is left, or so many, with time for the callers in between.

        Returns how many were taken.
        """
        taken = 0
        await _turns()
        while taken != steps and self.step():
            taken += 1
            await _turns()
        return taken


async def _turns() -> None:
    for _ in range(6):
        await asyncio.sleep(0)


@asynccontextmanager
async def slow_gateway(
    given: Settings | None = None,
) -> AsyncIterator[tuple[RunningGateway, SlowEngine]]:
    """A gateway over such an engine, which stops waiting in the end."""
    clock = FakeClock()
    engine = SlowEngine(clock)
    kept: Engine = engine
    async with run_gateway(given, engine=kept, clock=clock) as running:
        await engine.run()
        yield running, engine
        await engine.release()


async def arrive(
    running: RunningGateway, engine: SlowEngine, user: str, *rooms: str, **claims: Any
) -> MemoryClient:
    """An authenticated client in `rooms`, which has heard nothing yet."""
    client = await connect(running.gateway)
    client.send({"type": "auth", "data": {"token": running.token(user, **claims)}})
    await engine.run()
    for room in rooms:
        client.send({"type": "join", "data": {"roomId": room}})
        await engine.run()
        assert client.last("room_joined")["roomId"] == room
    client.received.clear()
    return client
