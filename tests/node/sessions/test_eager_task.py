"""A coroutine runs at once, and becomes a Task only when it waits."""

import asyncio
from typing import Any

import pytest

from portward.node.sessions import start_eager
from portward.node.sessions.eager_task import _Resumed


class Outcome:
    """What `done` was told."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, BaseException | None]] = []

    def __call__(self, result: Any, error: BaseException | None) -> None:
        """Keep it."""
        self.calls.append((result, error))


async def turns(count: int = 4) -> None:
    """Let the loop turn."""
    for _ in range(count):
        await asyncio.sleep(0)


async def test_finishes_at_once_without_a_task() -> None:
    """A coroutine that never waits is over when `start` returns, and no Task was made."""
    done, before = Outcome(), asyncio.all_tasks()

    async def work() -> str:
        return "result"

    assert start_eager(work(), done) is None
    assert done.calls == [("result", None)]
    assert asyncio.all_tasks() == before


async def test_exception_at_once_is_handed_over() -> None:
    """A coroutine that fails before it waits tells `done` its error, and raises nothing here."""
    done, error = Outcome(), ValueError("wrong")

    async def work() -> None:
        raise error

    assert start_eager(work(), done) is None
    assert done.calls == [(None, error)]


async def test_cancellation_at_once_is_handed_over() -> None:
    """A coroutine that raises a cancellation before it waits does not cancel its caller."""
    done = Outcome()

    async def work() -> None:
        raise asyncio.CancelledError

    assert start_eager(work(), done) is None
    assert isinstance(done.calls[0][1], asyncio.CancelledError)


async def test_carries_on_as_a_task() -> None:
    """A coroutine that waits goes on in a Task, with the result of what it waited for."""
    done = Outcome()
    future: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def work() -> int:
        return await future + 1

    task = start_eager(work(), done)
    assert task is not None
    await turns()
    assert done.calls == []
    future.set_result(41)
    assert await task == 42
    assert done.calls == [(42, None)]


async def test_runs_up_to_its_first_wait_before_start_returns() -> None:
    """What stands before the first wait is done when `start` returns."""
    steps = []

    async def work() -> None:
        steps.append("before")
        await asyncio.sleep(0)
        steps.append("after")

    task = start_eager(work(), Outcome())
    assert steps == ["before"]
    assert task is not None
    await task
    assert steps == ["before", "after"]


async def test_future_that_is_done_early_is_not_missed() -> None:
    """A future that completes before the Task takes its first step is noticed."""
    done = Outcome()
    future: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def work() -> str:
        return await future

    start_eager(work(), done)
    future.set_result("early")
    await turns()
    assert done.calls == [("early", None)]


async def test_waits_several_times() -> None:
    """A coroutine may wait as often as it likes, on bare yields and on futures."""
    done = Outcome()

    async def work() -> int:
        total = 0
        for number in range(5):
            await asyncio.sleep(0)
            total += await asyncio.ensure_future(asyncio.sleep(0, number))
        return total

    task = start_eager(work(), done)
    assert task is not None
    assert await task == 10


async def test_exception_after_waiting_is_handed_over() -> None:
    """A coroutine that fails later tells `done` its error."""
    done, error = Outcome(), ValueError("wrong")

    async def work() -> None:
        await asyncio.sleep(0)
        raise error

    task = start_eager(work(), done)
    assert task is not None
    await turns()
    assert done.calls == [(None, error)]


async def test_error_of_what_it_waits_for_is_raised_inside() -> None:
    """An error of the awaited future can be caught where it is awaited."""
    done = Outcome()
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def work() -> str:
        try:
            await future
        except LookupError:
            return "caught"
        return "missed"

    start_eager(work(), done)
    future.set_exception(LookupError())
    await turns()
    assert done.calls == [("caught", None)]


@pytest.mark.parametrize("begun", [0, 1, 2])
async def test_cancellation_reaches_the_inside(begun: int) -> None:
    """A cancelled coroutine hears of it where it waits, even before its Task took a step."""
    done, cleaned = Outcome(), []
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def work() -> None:
        try:
            await future
        finally:
            await asyncio.sleep(0)
            cleaned.append(True)

    task = start_eager(work(), done)
    assert task is not None
    await turns(begun)
    task.cancel()
    await turns()
    assert cleaned == [True]
    assert future.cancelled()
    [(_, error)] = done.calls
    assert isinstance(error, asyncio.CancelledError)


async def test_cancellation_before_a_bare_yield_is_handed_on() -> None:
    """A cancellation also reaches a coroutine that waits for no future at all."""
    done = Outcome()

    async def work() -> None:
        await asyncio.sleep(0)

    task = start_eager(work(), done)
    assert task is not None
    task.cancel()
    await turns()
    assert isinstance(done.calls[0][1], asyncio.CancelledError)


async def test_inside_has_a_current_task_after_its_first_wait() -> None:
    """From the first wait on the coroutine may use what needs a Task, such as timeouts."""

    async def work() -> bool:
        await asyncio.sleep(0)
        async with asyncio.timeout(60):
            await asyncio.sleep(0)
        return asyncio.current_task() is task

    task = start_eager(work(), Outcome())
    assert task is not None
    assert await task


async def test_abandoned_coroutine_is_closed() -> None:
    """A Task whose loop is gone lets its coroutine end, so that nothing is left half-way."""
    closed = []

    async def work() -> None:
        try:
            await asyncio.sleep(3600)
        finally:
            closed.append(True)

    task = start_eager(work(), Outcome())
    assert task is not None
    rest = task.get_coro()
    assert rest is not None
    rest.close()
    assert closed == [True]
    task.cancel()
    await turns()


async def test_can_be_awaited_from_elsewhere() -> None:
    """The rest of a coroutine is itself awaitable."""

    async def work() -> str:
        await asyncio.sleep(0)
        return "result"

    coroutine = work()
    coroutine.send(None)
    assert await _Resumed(coroutine, None) == "result"
