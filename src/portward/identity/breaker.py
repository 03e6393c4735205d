"""Spares a service that keeps failing, and everybody the wait for it."""

from typing import Final

FAILURES: Final = 10
"""Failures in a row after which the circuit opens."""
SHORTEST: Final = 5.0
"""Seconds nobody asks after that."""
LONGEST: Final = 60.0
"""Seconds that pause grows to while the service stays away."""


class Permit:
    """The right to one call; what came of the call is told with it."""

    __slots__ = ()


class Breaker:
    """A circuit breaker. It has no clock: `now` is in seconds, and only ever grows.

    Closed, it lets every call pass. After `FAILURES` in a row it is open and lets none pass for a
    while, then one: a probe. When that fails the pause doubles; the first success closes the circuit.
    """

    def __init__(self) -> None:
        self._failures = 0
        self._pause = SHORTEST
        self._until: float | None = None
        self._probe: Permit | None = None

    @property
    def closed(self) -> bool:
        """Whether calls pass."""
        return self._until is None

    def refuses(self, now: float) -> bool:
        """Whether a call would be refused, without asking for one."""
        return self._until is not None and (now < self._until or self._probe is not None)

    def enter(self, now: float) -> Permit | None:
        """Ask for a call: None refuses it. Each permit is given back to one of the methods below."""
        if self.refuses(now):
            return None
        permit = Permit()
        if self._until is not None:
            self._probe = permit
        return permit

    def succeeded(self) -> None:
        """A call got an answer, be it one that was made before the circuit opened."""
        self._failures = 0
        self._pause = SHORTEST
        self._until = self._probe = None

    def failed(self, permit: Permit, now: float) -> None:
        """A call got none. Calls from before the circuit opened say nothing new."""
        if permit is self._probe:
            self._probe = None
            self._pause = min(2 * self._pause, LONGEST)
            self._until = now + self._pause
        elif self._until is None:
            self._failures += 1
            if self._failures >= FAILURES:
                self._until = now + self._pause

    def withdrawn(self, permit: Permit) -> None:
        """A call says nothing of the service. After a probe of that kind the next call is one."""
        if permit is self._probe:
            self._probe = None
