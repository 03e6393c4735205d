"""Signals of a gateway as a process: SIGTERM and SIGINT end it, SIGHUP reloads it."""

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Final, Self

NUMBERS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Signals:
    """SIGTERM and SIGINT ask for a drain, the second one for an end; SIGHUP for a reload.

    As a context manager it handles them from before the start until after the end. A SIGHUP that comes
    before :meth:`on_reload` is carried out then. What cannot be reloaded ends when its terminal is closed,
    of which SIGHUP tells as well. After the block signals are handled as before it.

    A worker may be signalled by its parent's terminal or service manager as well, so that for one
    that is not `alone` the second means no more than the first.
    """

    def __init__(self, *, alone: bool = True) -> None:
        self.asked = asyncio.Event()
        self.insisted = asyncio.Event()
        self._alone = alone
        self._reload: Callable[[], None] | None = None
        self._reload_missed = False
        self._terminal = _has_terminal()
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        loop = asyncio.get_running_loop()
        actions = (self._ask, self._ask, self._hang_up)
        for number, action in zip(NUMBERS, actions, strict=True):
            self._before[number] = signal.getsignal(number)
            loop.add_signal_handler(number, action)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        loop = asyncio.get_running_loop()
        # The loop sets the default action first, which would kill the process.
        masked = signal.pthread_sigmask(signal.SIG_BLOCK, NUMBERS)
        for number, handler in self._before.items():
            loop.remove_signal_handler(number)
            if handler is not None:
                signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, masked)

    def on_reload(self, reload: Callable[[], None]) -> None:
        """Call `reload` for each SIGHUP from now on, and now if one has come already."""
        self._reload = reload
        if self._reload_missed:
            reload()

    def _hang_up(self) -> None:
        if self._reload is not None:
            self._reload()
        elif self._terminal and not _has_terminal():
            self._ask()
        else:
            self._reload_missed = True

    def _ask(self) -> None:
        if self._alone and self.asked.is_set():
            self.insisted.set()
        self.asked.set()

    def end(self) -> None:
        """Ask for the end at once."""
        self.asked.set()
        self.insisted.set()

    async def unless_asked(self, starting: Coroutine[Any, Any, object]) -> bool:
        """Do something that takes its time; False when it was given up because a signal came first."""
        task = asyncio.ensure_future(starting)
        asked = asyncio.ensure_future(self.asked.wait())
        try:
            await asyncio.wait({task, asked}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                await task
                return not self.asked.is_set()
            return False
        finally:
            for each in (task, asked):
                each.cancel()
            await asyncio.gather(task, asked, return_exceptions=True)


def _has_terminal() -> bool:
    return any(os.isatty(descriptor) for descriptor in range(3))
