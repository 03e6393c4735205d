"""Injected time sources, so that tests can control time."""

from collections.abc import Callable
from typing import Protocol


class Timer(Protocol):
    """A scheduled call that can be cancelled."""

    def cancel(self) -> None:
        """Cancel the call; no effect when it already ran."""


class Clock(Protocol):
    """Monotonic time, Unix time, and timers."""

    def monotonic(self) -> float:
        """Return monotonic seconds: for every deadline and limit."""

    def time(self) -> float:
        """Return Unix seconds: only for tokens and timestamps."""

    def call_later(self, delay: float, callback: Callable[[], None]) -> Timer:
        """Run `callback` once, `delay` seconds from now."""
