"""Spares listeners repetition: the same type from the same channel, only once in a while."""

from collections.abc import Callable

from portward.model.limits import COOLDOWN_TYPES
from portward.model.replies import Delivery, Push


class Cooldown:
    """Who was told what in one channel, and when they may be told again.

    Per listener at most `COOLDOWN_TYPES` types are remembered, the ones told last.
    """

    __slots__ = ("_now", "_seconds", "_told")

    def __init__(self, seconds: float, now: Callable[[], float]) -> None:
        self._seconds = seconds
        self._now = now
        self._told: dict[object, dict[str, tuple[float, int]]] = {}

    def passes(self, listener: object, push: Push) -> int | None:
        """None: spare the listener this one. Else tell it, and how many it was spared before."""
        if not isinstance(push, Delivery):
            return 0
        kind = push.publication.type or ""
        types = self._told.setdefault(listener, {})
        until, spared = types.pop(kind, (0.0, 0))
        now = self._now()
        if now < until:
            types[kind] = (until, spared + 1)
            return None
        types[kind] = (now + self._seconds, 0)
        if len(types) > COOLDOWN_TYPES:
            del types[next(iter(types))]
        return spared

    def forget(self, listener: object) -> None:
        """The listener left."""
        self._told.pop(listener, None)
