import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from portward.engines.port import Key
from portward.engines.sqlite import SqliteEngine
from portward.node.stores import Stores
from portward.testing import FakeClock
from portward.testing.engine_contract import Recorder


class SlowStores:
    """The stores over a file whose writer can be held up."""

    def __init__(self, engine: SqliteEngine, stores: Stores) -> None:
        self._engine = engine
        self.stores = stores

    async def cancelled(
        self, command: Coroutine[Any, Any, None], meanwhile: Callable[[], Coroutine[Any, Any, Any]]
    ) -> None:
        """Cancel a command that waits for the writer, do something, and wait until it is carried out."""
        release = threading.Event()

        def wait(_: sqlite3.Connection) -> None:
            release.wait(30)

        held = self._engine.store.write(wait)
        task = asyncio.ensure_future(command)
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled()
        await meanwhile()
        release.set()
        await held
        await self._engine.kv.put(Key("later"), b"")


@pytest.fixture
async def slow(tmp_path: Path) -> AsyncIterator[SlowStores]:
    """Started stores."""
    clock = FakeClock()
    engine = SqliteEngine(str(tmp_path / "engine.db"), clock)
    await engine.start(Recorder())
    try:
        stores = Stores(engine, clock)
        await stores.start()
        yield SlowStores(engine, stores)
    finally:
        await engine.stop()
