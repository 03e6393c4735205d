"""A process of its own with an SQLite engine: run by the tests that kill one, or take its disk away.

    python sqlite_child.py load FILE     waits for a line, then publishes until it is killed
    python sqlite_child.py full FILE     fills the disk it is allowed, gets room again, says what it saw

It imports no more than the engine, because the tests start many.
"""

import asyncio
import json
import os
import resource
import secrets
import sys
import time
from collections.abc import Callable
from pathlib import Path

from portward.engines.port import EngineUnavailable
from portward.engines.sqlite import SqliteEngine
from portward.model.channel import Channel
from portward.model.clock import Timer
from portward.model.events import BusEvent
from portward.model.namespace import Namespace
from portward.model.publication import Draft, Publication

CHANNELS = [Channel.parse(f"rooms:{name}") for name in "abc"]
LARGE = Namespace(name="rooms", history_size=1_000_000, history_ttl=86400.0)
ROUNDS = 5_000
"""Publishes of each task: a process that nobody kills ends by itself."""


class RealClock:
    """Time as it is."""

    monotonic = staticmethod(time.monotonic)
    time = staticmethod(time.time)

    def call_later(self, delay: float, callback: Callable[[], None]) -> Timer:
        """Ask the loop."""
        return asyncio.get_running_loop().call_later(delay, callback)


class Listener:
    """A sink that remembers whether the store answers."""

    def __init__(self) -> None:
        self.health: list[bool] = []

    def on_publication(
        self, channel: Channel, publication: Publication, epoch: str, exclude: str | None
    ) -> None:
        """Nothing to do."""

    def on_control(self, event: BusEvent) -> None:
        """Nothing to do."""

    def on_interrupted(self) -> None:
        """Nothing to do."""

    def on_health_changed(self, up: bool) -> None:
        """Remember it."""
        self.health.append(up)

    def on_eviction_changed(self, possible: bool) -> None:
        """Nothing to do."""

    def on_keys_dropped(self) -> None:
        """Nothing to do."""


def draft(data: object) -> Draft:
    """A publication with an id of its own."""
    return Draft(id=secrets.token_hex(16), time=1, data=data)


async def publish(engine: SqliteEngine, number: int) -> None:
    """Publish, and write each answer out in one piece."""
    for turn in range(ROUNDS):
        channel = CHANNELS[(number + turn) % len(CHANNELS)]
        stored = await engine.streams.publish(channel, draft("x" * 100), LARGE, None)
        position = stored.position
        line = f"{channel} {position.offset} {position.epoch} {stored.id}\n"
        os.write(1, line.encode())


async def load(path: str) -> None:
    """Publish from many tasks, and sweep beside them."""
    engine = SqliteEngine(path, RealClock())
    await engine.start(Listener())
    tasks = [asyncio.ensure_future(publish(engine, number)) for number in range(8)]
    while not all(task.done() for task in tasks):
        await engine.sweep()
        await asyncio.wait(tasks, timeout=0.01)
    await asyncio.gather(*tasks)
    await engine.stop()


async def full(path: str) -> None:
    """Publish until the disk is full, then with room again."""
    listener = Listener()
    engine = SqliteEngine(path, RealClock())
    await engine.start(listener)
    log = Path(f"{path}-wal")
    await engine.streams.publish(CHANNELS[0], draft("first"), LARGE, None)
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    limit = log.stat().st_size + 100_000  # noqa: ASYNC240 - nobody else is on this loop
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, hard))
    answers = [await attempt(engine) for _ in range(10)]
    ill = engine.healthy
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    await engine.sweep()
    well = engine.healthy
    answers.append(await attempt(engine))
    await engine.stop()
    said = {"answers": answers, "ill": ill, "well": well, "health": listener.health}
    os.write(1, json.dumps(said).encode())


async def attempt(engine: SqliteEngine) -> int:
    """Publish much. The offset, 0 when the store was unavailable."""
    try:
        stored = await engine.streams.publish(CHANNELS[0], draft("x" * 30_000), LARGE, None)
    except EngineUnavailable:
        return 0
    return stored.position.offset


def main() -> None:
    """Do what the arguments say."""
    _, what, path = sys.argv
    if what == "load":
        os.write(1, b"ready\n")
        sys.stdin.readline()
        asyncio.run(load(path))
    else:
        asyncio.run(full(path))


if __name__ == "__main__":
    main()
