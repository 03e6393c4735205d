"""Checks whether the store answers, and waits until it does again."""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from portward.engines.port import EngineUnavailable
from portward.engines.redis.commands import RedisCommands
from portward.engines.redis.connection import Backpressure
from portward.engines.redis.options import Timing
from portward.engines.redis.timeouts import pause, wake
from portward.engines.redis.topology import Topology
from portward.model.clock import Clock


class HealthMonitor:
    """After a failed command, pings until there is an answer. `changed` is called for both changes.

    It also pings while the store answers, and checks every few seconds whether the servers are still the
    same; when they are not, it calls `moved`.
    """

    def __init__(
        self,
        topology: Topology,
        timing: Timing,
        clock: Clock,
        changed: Callable[[bool], None],
        moved: Callable[[], None],
    ) -> None:
        self.commands = RedisCommands(topology, self.failed)
        self.healthy = False
        self._topology = topology
        self._timing = timing
        self._clock = clock
        self._changed = changed
        self._moved = moved
        self._task: asyncio.Task[None] | None = None
        self._alarm = False
        self._turn: asyncio.Future[None] | None = None
        self._looked = clock.monotonic()

    def start(self) -> None:
        """Start to check a store that has answered."""
        self.healthy = True
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Stop."""
        self.healthy = False
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))
            self._task = None

    def failed(self) -> None:
        """Handle a command without an answer."""
        if self.healthy:
            self.healthy = False
            self.commands.away = True
            self._changed(False)
        self._alarm = True
        if self._turn is not None:
            wake(self._turn)

    async def _run(self) -> None:
        while True:
            await self._wait(self._timing.probe)
            if self.healthy:
                await self._ping()
            while not self.healthy:
                if not await self._recover():
                    await pause(self._clock, self._timing.probe)

    async def _wait(self, seconds: float) -> None:
        """Wait, but no longer than until the next failure."""
        self._turn = pause(self._clock, seconds)
        if self._alarm:
            wake(self._turn)
        await self._turn
        self._alarm = False

    async def _ping(self) -> None:
        try:
            await self.commands.everywhere("PING")
        except Backpressure:
            return
        except EngineUnavailable:
            self.failed()
            return
        now = self._clock.monotonic()
        if now - self._looked >= self._timing.pubsub_probe:
            self._looked = now
            with suppress(EngineUnavailable):
                await self._look()

    async def _look(self) -> None:
        if await self._topology.refresh():
            self._moved()

    async def _recover(self) -> bool:
        """Check whether the store answers again."""
        try:
            await self._look()
            await self.commands.everywhere("PING")
        except EngineUnavailable:
            return False
        self.commands.away = False
        self.healthy = True
        self._changed(True)
        return True
