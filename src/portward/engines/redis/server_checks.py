"""Checks of the servers: of their versions at the start, and whether they may drop keys.

The latter is checked at every connection, and every minute in between.

A server can be set to drop keys while nodes run, and back again. Dropped keys may be revocations, so the
node is told whenever a server may have dropped some.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final, NamedTuple

from portward.engines.port import EngineUnavailable
from portward.engines.redis.commands import RedisCommands
from portward.engines.redis.context import RedisContext
from portward.engines.redis.timeouts import pause, wake

OLDEST: Final = 7
_KEEPS: Final = "noeviction"


class MemoryPolicy(NamedTuple):
    """What one server does when its memory is full.

    `run_id` changes with every start of the server, `evicted` counts keys it has dropped since then.
    """

    run_id: str
    policy: str
    limit: int
    evicted: int

    @property
    def may_evict(self) -> bool:
        """Whether keys may be dropped: there is a limit of memory, and a policy that drops."""
        return self.policy != _KEEPS and self.limit > 0


async def check_servers(commands: RedisCommands, *, allow_eviction: bool) -> None:
    """Check version and memory policy of every server.

    Raises:
        ValueError: a server is too old, or drops keys when its memory is full.
        EngineUnavailable: a server does not answer.
    """
    for text in await commands.everywhere("INFO", "server"):
        version = _fields(text).get("redis_version", "")
        major = version.partition(".")[0]
        if major.isdigit() and int(major) < OLDEST:
            raise ValueError(f"redis {version} is too old; Portward needs {OLDEST}.0 or newer")
    if allow_eviction:
        return
    for server in await memory_policies(commands):
        if server.may_evict:
            raise ValueError(
                f"redis has maxmemory-policy {server.policy}: it would drop revocations and positions "
                "when it runs full; set maxmemory-policy to noeviction"
            )


async def memory_policies(commands: RedisCommands) -> list[MemoryPolicy]:
    """Read the memory policy of every server, and how many keys it has dropped.

    Raises:
        EngineUnavailable: a server does not answer.
    """
    found = []
    for text in await commands.everywhere("INFO", "server", "memory", "stats"):
        fields = _fields(text)
        found.append(
            MemoryPolicy(
                run_id=fields.get("run_id", ""),
                policy=fields.get("maxmemory_policy", _KEEPS),
                limit=int(fields.get("maxmemory", "0")),
                evicted=int(fields.get("evicted_keys", "0")),
            )
        )
    return found


def _fields(text: bytes) -> dict[str, str]:
    lines = (line.partition(":") for line in text.decode("utf-8", "replace").splitlines())
    return {name: value for name, colon, value in lines if colon}


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
