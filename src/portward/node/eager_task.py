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


class _Resumed(Coroutine[Any, Any, T]):
    """A coroutine that has already yielded its first future, and yields it again to its Task.

    It is no coroutine function around the other: a Task that is cancelled before its first step would
    end such a function before it began, and the coroutine inside would never hear of it.
    """

    __slots__ = ("_begun", "_coroutine", "_first")

    def __init__(self, coroutine: Coroutine[Any, Any, T], first: Any) -> None:
        self._coroutine = coroutine
        self._first = first
        self._begun = False

    def send(self, value: Any) -> Any:
        """Hand over the first future, then carry on."""
        if self._begun:
            return self._coroutine.send(value)
        self._begun = True
        return self._first

    def throw(self, *error: Any) -> Any:
        """Raise inside; what was waited for and never handed over is given up as well."""
        if not self._begun and isinstance(self._first, asyncio.Future):
            self._first.cancel()
        self._begun = True
        return self._coroutine.throw(*error)

    def close(self) -> None:
        """Give the coroutine up."""
        self._coroutine.close()

    def __await__(self) -> Generator[Any, Any, T]:
        return self._coroutine.__await__()


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
    task: asyncio.Task[T] = asyncio.ensure_future(_Resumed(coroutine, first))
    task.add_done_callback(lambda ended: _report(ended, done))
    return task


def _report(task: asyncio.Task[T], done: Callable[[T | None, BaseException | None], None]) -> None:
    if task.cancelled():
        done(None, asyncio.CancelledError())
        return
    error = task.exception()
    done(None, error) if error is not None else done(task.result(), None)
