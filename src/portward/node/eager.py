"""Runs a coroutine at once, and as a Task only when it really waits.

With the memory engine nothing a handler awaits ever suspends, so a message is served without the cost
of a Task and without a turn of the loop. Python 3.12 has eager tasks; this is the part of them that
3.11 needs. Until its first suspension the coroutine has no current task: what it awaits must not ask
for one, which is why ports that do network I/O run it in tasks of their own.
"""

import asyncio
from collections.abc import Callable, Coroutine, Generator
from typing import Any, TypeVar

T = TypeVar("T")


class _Rest:
    """Awaitable for a coroutine that has already yielded its first future."""

    __slots__ = ("_coroutine", "_first")

    def __init__(self, coroutine: Coroutine[Any, Any, T], first: Any) -> None:
        self._coroutine = coroutine
        self._first = first

    def __await__(self) -> Generator[Any, Any, Any]:
        waiting = self._first
        while True:
            step: Callable[[Any], Any] = self._coroutine.send
            try:
                argument = yield waiting
            except BaseException as error:  # noqa: BLE001 - cancellation too is passed inside
                step, argument = self._coroutine.throw, error
            try:
                waiting = step(argument)
            except StopIteration as stop:
                return stop.value


async def _finish(rest: _Rest) -> Any:
    return await rest


def start(
    coroutine: Coroutine[Any, Any, T], done: Callable[[T | None, BaseException | None], None]
) -> asyncio.Task[T] | None:
    """Step `coroutine` now; call `done(result, error)` when it ends, perhaps before returning.

    Returns the Task that carries on when the coroutine suspended, None when it is already over. The
    caller keeps the Task alive and may cancel it; `done` is called in that case too.
    """
    try:
        first = coroutine.send(None)
    except StopIteration as stop:
        done(stop.value, None)
        return None
    except BaseException as error:  # noqa: BLE001 - handed to the caller, as a Task would
        done(None, error)
        return None
    task: asyncio.Task[T] = asyncio.ensure_future(_finish(_Rest(coroutine, first)))
    task.add_done_callback(lambda ended: _report(ended, done))
    return task


def _report(task: asyncio.Task[T], done: Callable[[T | None, BaseException | None], None]) -> None:
    if task.cancelled():
        done(None, asyncio.CancelledError())
        return
    error = task.exception()
    done(None, error) if error is not None else done(task.result(), None)
