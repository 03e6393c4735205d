"""Eager execution of a coroutine: it runs at once and becomes a Task only when it suspends.

With the memory engine no await of a handler suspends, so a message is handled without the cost of a
Task and without another iteration of the event loop. Python 3.12 has eager tasks; this is the part that
3.11 needs. Until its first suspension the coroutine has no current task: code that it awaits must not
need one, which is why ports that do network I/O use tasks of their own.
"""

import asyncio
from collections.abc import Callable, Coroutine, Generator
from typing import Any, TypeVar

T = TypeVar("T")


class _Resumed(Coroutine[Any, Any, T]):
    """A wrapper of a coroutine that has yielded its first future; it yields that future again to a Task.

    It is a class because a Task that is cancelled before its first step would end a wrapping coroutine
    function before its start, and the inner coroutine would never get the cancellation.
    """

    __slots__ = ("_begun", "_coroutine", "_first")

    def __init__(self, coroutine: Coroutine[Any, Any, T], first: Any) -> None:
        self._coroutine = coroutine
        self._first = first
        self._begun = False

    def send(self, value: Any) -> Any:
        """Return the first future, then resume the coroutine."""
        if self._begun:
            return self._coroutine.send(value)
        self._begun = True
        return self._first

    def throw(self, *error: Any) -> Any:
        """Raise inside the coroutine; cancel the first future when no Task has received it yet."""
        if not self._begun and isinstance(self._first, asyncio.Future):
            self._first.cancel()
        self._begun = True
        return self._coroutine.throw(*error)

    def close(self) -> None:
        """Close the coroutine."""
        self._coroutine.close()

    def __await__(self) -> Generator[Any, Any, T]:
        return self._coroutine.__await__()


def start_eager(
    coroutine: Coroutine[Any, Any, T], done: Callable[[T | None, BaseException | None], None]
) -> asyncio.Task[T] | None:
    """Run `coroutine` until it suspends; call `done(result, error)` at its end, perhaps before returning.

    Returns the Task that continues a suspended coroutine, None when the coroutine has ended. The caller
    keeps the Task alive and may cancel it; `done` is called in that case too.
    """
    try:
        first = coroutine.send(None)
    except StopIteration as stop:
        done(stop.value, None)
        return None
    except BaseException as error:  # noqa: BLE001 - handed to the caller, as a Task would
        done(None, error)
        return None
    task: asyncio.Task[T] = asyncio.ensure_future(_Resumed(coroutine, first))
    task.add_done_callback(lambda ended: _report(ended, done))
    return task


def _report(task: asyncio.Task[T], done: Callable[[T | None, BaseException | None], None]) -> None:
    if task.cancelled():
        done(None, asyncio.CancelledError())
        return
    error = task.exception()
    done(None, error) if error is not None else done(task.result(), None)
