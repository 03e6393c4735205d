"""Waiting on the injected clock, and bounded waiting without a Task."""

import asyncio
from typing import TypeVar

from portward.engines.port import EngineUnavailable
from portward.model.clock import Clock

T = TypeVar("T")


def pause(clock: Clock, seconds: float) -> asyncio.Future[None]:
    """Make a future that is done after `seconds` of the clock."""
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    timer = clock.call_later(seconds, lambda: wake(future))
    future.add_done_callback(lambda _: timer.cancel())
    return future


def wake(future: asyncio.Future[None]) -> None:
    """End a pause, if it has not ended."""
    if not future.done():
        future.set_result(None)


def bound(future: asyncio.Future[T], seconds: float, outcome: T | EngineUnavailable) -> None:
    """Give a future this result unless it is done within `seconds`."""

    def end() -> None:
        if future.done():
            return
        if isinstance(outcome, EngineUnavailable):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)

    timer = asyncio.get_running_loop().call_later(seconds, end)
    future.add_done_callback(lambda _: timer.cancel())
