"""A circuit breaker: after repeated failures of a service, it stops calls for a while."""

from typing import Final

FAILURES: Final = 10
"""Failures in a row after which the circuit opens."""
SHORTEST: Final = 5.0
"""Seconds of the first pause, in which no call is made."""
LONGEST: Final = 60.0
"""The longest pause in seconds; the pause grows while the service keeps failing."""


class Permit:
    """The permission for one call; the caller reports the result of the call with it."""

    __slots__ = ()


class Breaker:
    """A circuit breaker. It has no clock of its own: `now` is in seconds and never decreases.

    Closed, it permits every call. After `FAILURES` in a row it opens and permits no call for a pause, then
    one call: a probe. When the probe fails, the pause doubles; the first success closes the circuit.
    """

    def __init__(self) -> None:
        self._failures = 0
        self._pause = SHORTEST
        self._until: float | None = None
        self._probe: Permit | None = None

    @property
    def closed(self) -> bool:
        """Whether the circuit is closed, so that calls are permitted."""
        return self._until is None

    def refuses(self, now: float) -> bool:
        """Return whether a call would be refused, without taking a permit."""
        return self._until is not None and (now < self._until or self._probe is not None)

    def enter(self, now: float) -> Permit | None:
        """Ask for a permit; None refuses the call. The caller reports its result to a method below."""
        if self.refuses(now):
            return None
        permit = Permit()
        if self._until is not None:
            self._probe = permit
        return permit

    def succeeded(self) -> None:
        """Report that a call got an answer, also for a call made before the circuit opened."""
        self._failures = 0
        self._pause = SHORTEST
        self._until = self._probe = None

    def failed(self, permit: Permit, now: float) -> None:
        """Report that a call got no answer; ignored for a call that was made before the circuit opened."""
        if permit is self._probe:
            self._probe = None
            self._pause = min(2 * self._pause, LONGEST)
            self._until = now + self._pause
        elif self._until is None:
            self._failures += 1
            if self._failures >= FAILURES:
                self._until = now + self._pause

    def withdrawn(self, permit: Permit) -> None:
        """Report a call that shows nothing about the service; after such a probe, the next call probes."""
        if permit is self._probe:
            self._probe = None
