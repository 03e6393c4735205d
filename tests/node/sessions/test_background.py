"""Work nobody waits for is kept alive, reported when it fails, and waited for at the end."""

import asyncio

from portward.model.errors import Unavailable
from portward.node.sessions.background import Background


async def turns(count: int = 4) -> None:
    """Let the loop turn."""
    for _ in range(count):
        await asyncio.sleep(0)


async def test_work_that_never_waits_is_done_at_once() -> None:
    """What needs no waiting is over when `run` returns, without a Task."""
    background, ran = Background(lambda _: None), []

    async def work() -> None:
        ran.append(True)

    background.run(work())
    assert (ran, len(background)) == ([True], 0)


async def test_waiting_work_is_kept() -> None:
    """What waits is held until it is over."""
    background, event = Background(lambda _: None), asyncio.Event()
    background.run(event.wait())
    assert len(background) == 1
    event.set()
    await turns()
    assert len(background) == 0


async def test_errors_are_reported() -> None:
    """An error goes to `failed`, whether it comes at once or later."""
    found: list[BaseException] = []
    background, errors = Background(found.append), [ValueError("now"), ValueError("later")]

    async def now() -> None:
        raise errors[0]

    async def later() -> None:
        await asyncio.sleep(0)
        raise errors[1]

    background.run(now())
    background.run(later())
    await turns()
    assert found == errors


async def test_states_of_the_world_are_no_errors() -> None:
    """A store that is away, or a cancellation, is nothing to report."""
    found: list[BaseException] = []
    background = Background(found.append)

    async def away() -> None:
        raise Unavailable

    async def cancelled() -> None:
        raise asyncio.CancelledError

    background.run(away())
    background.run(cancelled())
    assert found == []


async def test_drain_waits_for_all_and_what_they_start() -> None:
    """Draining returns when everything is over, also what began meanwhile."""
    background, ran = Background(lambda _: None), []

    async def second() -> None:
        await asyncio.sleep(0)
        ran.append("second")

    async def first() -> None:
        await asyncio.sleep(0)
        background.run(second())
        ran.append("first")

    background.run(first())
    await background.drain(10)
    assert ran == ["first", "second"]


async def test_drain_cancels_what_takes_too_long() -> None:
    """What is not over in time is cancelled."""
    background, ended = Background(lambda _: None), []

    async def forever() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    background.run(forever())
    await background.drain(0)
    await turns()
    assert (ended, len(background)) == ([True], 0)


async def test_drain_of_nothing_returns() -> None:
    """Without work there is nothing to wait for."""
    await Background(lambda _: None).drain(10)


async def test_task_of_another_is_waited_for() -> None:
    """A Task that was adopted is waited for like its own."""
    background = Background(lambda _: None)
    task = asyncio.ensure_future(asyncio.sleep(0, "done"))
    background.adopt(task)
    await background.drain(10)
    assert task.result() == "done"
