"""Real time, as the gateway reads it outside of tests."""

import asyncio
import time

from portward.node.sessions.clock import LoopClock


async def test_readings() -> None:
    """The two readings are those of the system."""
    clock = LoopClock()
    before = (time.monotonic(), time.time())
    now = (clock.monotonic(), clock.time())
    after = (time.monotonic(), time.time())
    assert before[0] <= now[0] <= after[0]
    assert before[1] <= now[1] <= after[1]


async def test_call_later() -> None:
    """A call is made by the loop, unless it was taken back."""
    clock, called = LoopClock(), asyncio.Event()
    cancelled = []
    clock.call_later(0, lambda: cancelled.append(True)).cancel()
    clock.call_later(0, called.set)
    await called.wait()
    assert cancelled == []
