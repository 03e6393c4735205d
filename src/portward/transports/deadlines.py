"""Many deadlines of the same length behind one timer."""

from typing import Generic, Protocol, TypeVar, runtime_checkable

from portward.model.clock import Clock, Timer


@runtime_checkable
class Waiter(Protocol):
    """Object with a deadline."""

    def overdue(self) -> None:
        """The time is up; the deadline is forgotten already."""

    def abort(self) -> None:
        """Leave at once."""


W = TypeVar("W", bound=Waiter)


class Deadlines(Generic[W]):
    """Waiters in the order they came, which is the order they fall due: all wait `delay` seconds.

    Adding and removing cost one map operation each; a timer per waiter would cost a timer.
    """

    def __init__(self, clock: Clock, delay: float) -> None:
        self._clock = clock
        self._delay = delay
        self._due: dict[W, float] = {}
        self._timer: Timer | None = None

    def __len__(self) -> int:
        return len(self._due)

    def add(self, waiter: W) -> None:
        """Start the waiter's time. One that waits already keeps its deadline."""
        if waiter not in self._due:
            self._due[waiter] = self._clock.monotonic() + self._delay
            if self._timer is None:
                self._timer = self._clock.call_later(self._delay, self._run)

    def remove(self, waiter: W) -> None:
        """Forget the waiter, if it is known."""
        self._due.pop(waiter, None)

    def waiting(self) -> list[W]:
        """Everyone whose time is running."""
        return list(self._due)

    def stop(self) -> None:
        """Forget everyone, and the timer."""
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
                # A timer may come early by its resolution: never ask for none at all.
                self._timer = self._clock.call_later(max(due - now, 0.001), self._run)
                return
            del self._due[waiter]
            waiter.overdue()
