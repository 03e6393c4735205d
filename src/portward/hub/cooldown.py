"""Spares listeners repetition: the same type from the same channel, only once in a while."""

from collections.abc import Callable

from portward.model.channel import Channel
from portward.model.limits import COOLDOWN_TYPES
from portward.model.replies import Delivery, Push

_Kind = tuple[Channel | None, str | None]
"""Where it was said, in a combined channel, and its type."""


class Cooldown:
    """Who was told what in one channel, and when they may be told again.

    Per listener at most `remembered` kinds are remembered, the ones told last.
    """

    __slots__ = ("_now", "_remembered", "_seconds", "_told")

    def __init__(
        self, seconds: float, now: Callable[[], float], remembered: int = COOLDOWN_TYPES
    ) -> None:
        self._seconds = seconds
        self._now = now
        self._remembered = remembered
        self._told: dict[object, dict[_Kind, tuple[float, int]]] = {}

    def passes(self, listener: object, push: Push) -> int | None:
        """None: spare the listener this one. Else tell it, and how many it was spared before."""
        if not isinstance(push, Delivery):
            return 0
        kind = (push.publication.origin, push.publication.type)
        kinds = self._told.setdefault(listener, {})
        until, spared = kinds.pop(kind, (0.0, 0))
        now = self._now()
        if now < until:
            kinds[kind] = (until, spared + 1)
            return None
        kinds[kind] = (now + self._seconds, 0)
        if len(kinds) > self._remembered:
            del kinds[next(iter(kinds))]
        return spared

    def forget(self, listener: object) -> None:
        """The listener left."""
        self._told.pop(listener, None)
