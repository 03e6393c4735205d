"""Time for the client: the clock of the machine, and waits on a clock that tests can replace."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from portward.model.clock import Clock, Timer


class SystemClock:
    """Implements `Clock` with the time of this machine and the timers of the running loop."""

    def monotonic(self) -> float:
        """Seconds since some moment."""
        return time.monotonic()

    def time(self) -> float:
        """Unix seconds."""
        return time.time()

    def call_later(self, delay: float, callback: Callable[[], None]) -> Timer:
        """Run `callback` in `delay` seconds."""
        return asyncio.get_running_loop().call_later(delay, callback)


@asynccontextmanager
async def time_limit(clock: Clock, seconds: float) -> AsyncIterator[None]:
    """Cancel the block after `seconds`, as `asyncio.timeout` does, on a clock that is given.

    Raises:
        TimeoutError: the block took longer.
    """
    task = asyncio.current_task()
    assert task is not None  # noqa: S101 - a coroutine of asyncio runs in a task
    before = task.cancelling()
    expired = False

    def expire() -> None:
        nonlocal expired
        expired = True
        task.cancel()

    timer = clock.call_later(seconds, expire)
    try:
        yield
    except asyncio.CancelledError:
        if expired and task.uncancel() <= before:
            raise TimeoutError from None
        raise
    finally:
        timer.cancel()


async def sleep(clock: Clock, seconds: float) -> None:
    """Wait, on a clock that is given."""
    waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    timer = clock.call_later(seconds, lambda: finish(waiting))
    try:
        await waiting
    finally:
        timer.cancel()


def finish(waiting: "asyncio.Future[None]") -> None:
    """Let a wait end, unless it has."""
    if not waiting.done():
        waiting.set_result(None)
