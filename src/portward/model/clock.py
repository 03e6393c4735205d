"""Time as the house sees it: injected, so that tests can make it leap."""

from collections.abc import Callable
from typing import Protocol


class Timer(Protocol):
    """A scheduled call that can still be taken back."""

    def cancel(self) -> None:
        """Forget the call; harmless when it already ran."""


class Clock(Protocol):
    """Two readings and one way to be woken."""

    def monotonic(self) -> float:
        """Seconds that only ever grow: for every deadline and limit."""

    def time(self) -> float:
        """Unix seconds: for tokens and stamps alone."""

    def call_later(self, delay: float, callback: Callable[[], None]) -> Timer:
        """Run `callback` once, `delay` seconds from now."""
