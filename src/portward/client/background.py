"""An event loop in a thread of its own, for programs without one."""

import asyncio
import concurrent.futures
import inspect
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

from portward.client.errors import ClosedError

T = TypeVar("T")
_LOOK: Final = 0.5
"""Seconds between two checks of the signals of the calling thread."""


class ClientTasks:
    """An event loop in a thread of its own."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="portward-client", daemon=True)
        self._closed = False
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def call(self, work: Callable[[], Coroutine[Any, Any, T]], timeout: float | None = None) -> T:
        """Run a coroutine there, and wait for its result, at most `timeout` seconds.

        Raises:
            ClosedError: the client is closed.
            RuntimeError: an event loop runs in the calling thread and would be blocked.
            TimeoutError: it took longer.
        """
        if self._closed:
            raise ClosedError
        if _in_a_loop():
            raise RuntimeError(
                "portward.client.sync would stop the running event loop; use portward.client there"
            )
        limited = work() if timeout is None else asyncio.wait_for(work(), timeout)
        future = asyncio.run_coroutine_threadsafe(limited, self._loop)
        try:
            while True:
                # A wait on a lock may not be interrupted by Ctrl-C; short waits are.
                done, _ = concurrent.futures.wait([future], _LOOK)
                if done:
                    return future.result()
        except BaseException:
            future.cancel()
            raise

    def close(self, last: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run a last coroutine, then end the thread."""
        if self._closed:
            return
        try:
            self.call(last)
            self.call(self._loop.shutdown_asyncgens)
            self.call(self._loop.shutdown_default_executor)
        finally:
            self._closed = True
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()


def _in_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def unblocked(function: Callable[..., Any] | None) -> Callable[..., Any] | None:
    """Return a function that does not block the loop: a plain one runs in a separate thread."""
    if function is None or inspect.iscoroutinefunction(function):
        return function

    async def call(*arguments: Any) -> Any:
        result = await asyncio.to_thread(function, *arguments)
        return await result if inspect.isawaitable(result) else result

    call.__signature__ = _signature(function)  # type: ignore[attr-defined]
    return call


def _signature(function: Callable[..., Any]) -> inspect.Signature:
    try:
        return inspect.signature(function)
    except (TypeError, ValueError):
        return inspect.Signature()
