"""Work nobody waits for, kept alive and waited for at the end."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from portward.model.errors import Unavailable
from portward.node import eager_task


class Background:
    """Runs coroutines eagerly and reports the errors of those that fail to `failed`."""

    def __init__(self, failed: Callable[[BaseException], None]) -> None:
        self._failed = failed
        self._tasks: set[asyncio.Task[Any]] = set()

    def __len__(self) -> int:
        return len(self._tasks)

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        """Start a coroutine and forget it."""
        task = eager_task.start(coroutine, self._done)
        if task is not None:
            self.adopt(task)

    def adopt(self, task: asyncio.Task[Any]) -> None:
        """Wait at the end for a Task of somebody else's, too."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _done(self, _: Any, error: BaseException | None) -> None:
        if error is not None and not isinstance(error, asyncio.CancelledError | Unavailable):
            self._failed(error)

    async def drain(self, seconds: float) -> None:
        """Wait for what is running and what that starts, at most `seconds`, then cancel it."""
        late: set[asyncio.Task[Any]] = set()
        while self._tasks and not late:
            _, late = await asyncio.wait(set(self._tasks), timeout=seconds)
        for task in late:
            task.cancel()
