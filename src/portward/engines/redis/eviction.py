"""Checks whether the servers may drop keys: at every connection, and every minute in between.

A server can be set to drop keys while nodes run, and back again. Dropped keys may be revocations, so the
node is told whenever a server may have dropped some.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from portward.engines.port import EngineUnavailable
from portward.engines.redis.checks import MemoryPolicy, memory_policies
from portward.engines.redis.context import RedisContext
from portward.engines.redis.timeouts import pause, wake


class EvictionWatch:
    """Calls `changed` when keys may be dropped, and when no longer; `dropped` when some may be.

    With `allowed` the policy of the servers is taken as intended and not reported.
    """

    def __init__(
        self,
        context: RedisContext,
        changed: Callable[[bool], None],
        dropped: Callable[[], None],
        *,
        allowed: bool,
    ) -> None:
        self.possible = False
        self._commands, self._timing = context.commands, context.timing
        self._clock = context.clock
        self._changed = changed
        self._dropped = dropped
        self._allowed = allowed
        self._before: dict[str, MemoryPolicy] = {}
        self._wait: asyncio.Future[None] | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start the checks."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Stop the checks."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.wait((task,))

    def look_soon(self) -> None:
        """Check now: a connection is new, perhaps to another server."""
        if self._wait is not None:
            wake(self._wait)

    async def _run(self) -> None:
        while True:
            with suppress(EngineUnavailable):  # checked again when the store is back
                await self._look()
            self._wait = pause(self._clock, self._timing.policy)
            await self._wait

    async def _look(self) -> None:
        """Compare the servers with the last check, report a change, and whether keys may be lost.

        Raises:
            EngineUnavailable: a server does not answer.
        """
        found = {server.run_id: server for server in await memory_policies(self._commands)}
        possible = any(server.may_evict for server in found.values())
        dropped = any(self._has_dropped(server) for server in found.values())
        self._before = found
        self._report(possible=possible and not self._allowed)
        if possible or dropped:
            self._dropped()

    def _has_dropped(self, server: MemoryPolicy) -> bool:
        before = self._before.get(server.run_id)
        return server.evicted > (before.evicted if before is not None else 0)

    def _report(self, *, possible: bool) -> None:
        if possible != self.possible:
            self.possible = possible
            self._changed(possible)
