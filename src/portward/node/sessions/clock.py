"""The real clock, with timers of the running event loop."""

import asyncio
import time
from collections.abc import Callable

from portward.model.clock import Timer


class LoopClock:
    """Implements `model.clock.Clock`. Create it while its loop runs."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()

    monotonic = staticmethod(time.monotonic)
    time = staticmethod(time.time)

    def call_later(self, delay: float, callback: Callable[[], None]) -> Timer:
        """Run `callback` after `delay` seconds."""
        return self._loop.call_later(delay, callback)
