"""Background tasks of a node: kept alive while they run, and awaited when the node stops."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from portward.model.errors import Unavailable
from portward.node.sessions.eager_task import start_eager


class Background:
    """Runs coroutines eagerly and reports the errors of those that fail to `failed`."""

    def __init__(self, failed: Callable[[BaseException], None]) -> None:
        self._failed = failed
        self._tasks: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        """Start a coroutine; the caller does not wait for it."""
        task = start_eager(coroutine, self._done)
        if task is not None:
            self.adopt(task)

    def adopt(self, task: asyncio.Task[Any]) -> None:
        """Keep a Task that was started elsewhere, so that `drain` waits for it."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _done(self, _: Any, error: BaseException | None) -> None:
        if error is not None and not isinstance(error, asyncio.CancelledError | Unavailable):
            self._failed(error)

    async def drain(self, seconds: float) -> None:
        """Wait at most `seconds` per round for running tasks and those they start, then cancel the rest."""
        late: set[asyncio.Task[Any]] = set()
        while self._tasks and not late:
            _, late = await asyncio.wait(set(self._tasks), timeout=seconds)
        for task in late:
            task.cancel()
