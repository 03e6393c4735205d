"""Limits as the node applies them: a rate table, its name, and what a refusal looks like."""

from portward.model.errors import CommandError, ErrorKind
from portward.model.limits import LimitMode, LimitName, Rate
from portward.security.rate import RateTable
from portward.telemetry import Telemetry
from portward.telemetry.events import Event

_FAULTS = {
    LimitName.AUTH: ErrorKind.AUTH_RATE_LIMITED,
    LimitName.JOIN: ErrorKind.SUBSCRIBE_RATE_LIMITED,
}

WEIGHTS = (1.0, 1 / 16)
"""What an event costs in the bucket of an IPv6 /64, and in that of the /48 around it."""


class Limiter:
    """One limit of one endpoint, or of all of them: `scope` is the endpoint's name, or empty."""

    __slots__ = ("_fault", "_table", "_telemetry", "name", "rate", "scope")

    def __init__(self, name: LimitName, rate: Rate, telemetry: Telemetry, scope: str = "") -> None:
        self.name = name
        self.scope = scope
        self.rate = rate
        self._fault = _FAULTS.get(name, ErrorKind.RATE_LIMITED)
        self._table = RateTable(rate)
        self._telemetry = telemetry

    def wait(self, keys: tuple[str, ...], now: float, cost: float = 1.0) -> float:
        """Count one event of an address: in its own bucket, and lighter in the wider one around it."""
        for weight, key in zip(WEIGHTS, keys, strict=False):
            wait = self._table.take(key, now, weight * cost)
            if wait and self.record_refusal():
                return wait
        return 0.0

    def peek(self, keys: tuple[str, ...], now: float) -> float:
        """What `wait` would say, without counting anything."""
        if self.rate.mode is LimitMode.ENFORCE:
            for weight, key in zip(WEIGHTS, keys, strict=False):
                wait = self._table.peek(key, now, weight)
                if wait:
                    return wait
        return 0.0

    def record_refusal(self) -> bool:
        """Count a refusal; False when the limit only observes, and the event may pass all the same.

        Who was refused is logged where that is known; what was only observed is logged here.
        """
        self._telemetry.metrics.limit(self.name, self.rate.mode)
        if self.rate.mode is LimitMode.ENFORCE:
            return True
        self._telemetry.record(Event.RATELIMIT_HIT, limit=self.name, mode=self.rate.mode)
        return False

    def check(self, keys: tuple[str, ...], now: float, cost: float = 1.0) -> None:
        """Count one event of a user, or of an address with its wider bucket.

        It costs as much as `cost` of them, and at most the whole burst.

        Raises:
            Fault: it is refused; `retry_after` says when it would pass.
        """
        wait = self.wait(keys, now, cost)
        if wait:
            raise self.fault(wait)

    def fault(self, wait: float) -> CommandError:
        """What is answered to an event that would pass in `wait` seconds."""
        return CommandError(self._fault, retry_after=int(wait * 1000) + 1)
