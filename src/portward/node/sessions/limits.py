"""Rate limits of a node: a rate table with its name and the command error of a refusal."""

from portward.model.errors import CommandError
from portward.model.limits import LimitMode, LimitName, Rate
from portward.security.rate import RateTable
from portward.telemetry import Telemetry
from portward.telemetry.events import Event

WEIGHTS = (1.0, 1 / 16)
"""The cost of an event in the bucket of an IPv6 /64, and in that of its /48."""


class Limiter:
    """One limit. `scope` is the name of its endpoint, or empty for a limit of all endpoints."""

    __slots__ = ("_table", "_telemetry", "interval", "name", "rate", "scope")

    def __init__(self, name: LimitName, rate: Rate, telemetry: Telemetry, scope: str = "") -> None:
        self.name = name
        self.scope = scope
        self.rate = rate
        self.interval = rate.interval
        self._table = RateTable(rate)
        self._telemetry = telemetry

    def wait(self, keys: tuple[str, ...], now: float, cost: float = 1.0) -> float:
        """Count one event of an address, weighted by key; return seconds to wait, 0.0 when allowed."""
        for weight, key in zip(WEIGHTS, keys, strict=False):
            wait = self._table.take(key, now, weight * cost)
            if wait and self.record_refusal():
                return wait
        return 0.0

    def peek(self, keys: tuple[str, ...], now: float) -> float:
        """Return the result of `wait` without counting."""
        if self.rate.mode is LimitMode.ENFORCE:
            for weight, key in zip(WEIGHTS, keys, strict=False):
                wait = self._table.peek(key, now, weight)
                if wait:
                    return wait
        return 0.0

    def record_refusal(self) -> bool:
        """Count a refusal; return False in the mode observe, where the event is allowed anyway.

        A real refusal is logged by the caller, which knows the client; an observed one is logged here.
        """
        self._telemetry.metrics.limit_refusals_total.add((self.name, self.rate.mode))
        if self.rate.mode is LimitMode.ENFORCE:
            return True
        self._telemetry.record(Event.RATELIMIT_HIT, limit=self.name, mode=self.rate.mode)
        return False

    def check(self, keys: tuple[str, ...], now: float, cost: float = 1.0) -> None:
        """Count one event of a user, or of an address with its wider bucket.

        It costs as much as `cost` events, at most the whole burst.

        Raises:
            CommandError: over the limit; `retry_after` is the wait in milliseconds.
        """
        wait = self.wait(keys, now, cost)
        if wait:
            raise self.fault(wait)

    def fault(self, wait: float) -> CommandError:
        """Return the command error for an event that would be allowed in `wait` seconds."""
        return CommandError(self.name.error, retry_after=int(wait * 1000) + 1)
