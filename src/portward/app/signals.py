"""Signals of a gateway process: SIGTERM and SIGINT stop it, SIGHUP reloads it."""

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Final, Self

NUMBERS: Final = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class Signals:
    """Signal handlers: SIGTERM and SIGINT request a drain, the second one an immediate stop; SIGHUP a reload.

    As a context manager it handles signals from before the start until after the stop; after the block the
    old handlers are active again. A SIGHUP before :meth:`on_reload` is carried out at that call. A gateway
    without a reload stops when its terminal is closed, which also sends SIGHUP.

    The terminal or service manager of the parent may send a signal to a worker as well, so for a worker
    (`alone` is false) a second signal has no further effect.
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
        # The loop sets the default action first: a signal in between would kill the process.
        masked = signal.pthread_sigmask(signal.SIG_BLOCK, NUMBERS)
        for number, handler in self._before.items():
            loop.remove_signal_handler(number)
            if handler is not None:
                signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, masked)

    def on_reload(self, reload: Callable[[], None]) -> None:
        """Call `reload` for each SIGHUP from now on, and at once if one has come before."""
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
        """Request an immediate stop."""
        self.asked.set()
        self.insisted.set()

    async def unless_asked(self, starting: Coroutine[Any, Any, object]) -> bool:
        """Run a coroutine, at most until a signal requests a stop; returns False if there was one."""
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
