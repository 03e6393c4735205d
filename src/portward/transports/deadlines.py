"""Many deadlines of the same length with one timer."""

from typing import Generic, Protocol, TypeVar, runtime_checkable

from portward.model.clock import Clock, Timer


@runtime_checkable
class Waiter(Protocol):
    """Object with a deadline."""

    def overdue(self) -> None:
        """Act on the deadline; it is removed already."""

    def abort(self) -> None:
        """Close at once."""


W = TypeVar("W", bound=Waiter)


class Deadlines(Generic[W]):
    """Waiters in the order of their deadlines, which is the order they were added: all wait `delay` seconds.

    Adding and removing cost one map operation each, and no timer per waiter.
    """

    def __init__(self, clock: Clock, delay: float) -> None:
        self._clock = clock
        self._delay = delay
        self._due: dict[W, float] = {}
        self._timer: Timer | None = None

    def __len__(self) -> int:
        return len(self._due)

    def add(self, waiter: W) -> None:
        """Start the deadline of a waiter. A waiter that is here already keeps its deadline."""
        if waiter not in self._due:
            self._due[waiter] = self._clock.monotonic() + self._delay
            if self._timer is None:
                self._timer = self._clock.call_later(self._delay, self._run)

    def remove(self, waiter: W) -> None:
        """Remove the waiter, if it is here."""
        self._due.pop(waiter, None)

    def waiting(self) -> list[W]:
        """All waiters whose deadline is running."""
        return list(self._due)

    def stop(self) -> None:
        """Remove all waiters, and stop the timer."""
        self._due.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _run(self) -> None:
        self._timer = None
        now = self._clock.monotonic()
        while self._due:
            waiter, due = next(iter(self._due.items()))
            if due > now:
                # A timer may fire early by its resolution: never set one for no time.
                self._timer = self._clock.call_later(max(due - now, 0.001), self._run)
                return
            del self._due[waiter]
            waiter.overdue()
