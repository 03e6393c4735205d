"""Ordering of presence events, which may arrive in another order than they happened."""

from collections import OrderedDict
from typing import Final, NamedTuple

from portward.model.channel import Channel
from portward.model.clock import Clock
from portward.model.events import UserJoined, UserLeft

CAPACITY: Final = 16_384
"""Pairs of user and channel whose last event is stored, the most recent ones."""
WINDOW: Final = 60.0
"""Seconds for which it is stored: no event needs longer to arrive."""


class _Move(NamedTuple):
    order: int
    present: bool
    at: float


class PresenceOrder:
    """Decides which presence events to report, by the numbers that the engine gave them.

    Two nodes may announce a leave and a later join at the same time, and the join may arrive first. Then
    the join changes nothing, since the user still counts as present, and the older leave is dropped. The
    reported events alternate, and the last one is the true state.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._moves: OrderedDict[tuple[Channel, str], _Move] = OrderedDict()

    def __len__(self) -> int:
        return len(self._moves)

    def is_news(self, event: UserJoined | UserLeft) -> bool:
        """Return whether to report the event, and store it. An event without a number is always reported."""
        if not event.order:
            return True
        key, present, now = (
            (event.channel, event.user),
            isinstance(event, UserJoined),
            self._clock.monotonic(),
        )
        last = self._moves.get(key)
        if last is not None and now - last.at < WINDOW:
            if event.order < last.order:
                return False
            news = present is not last.present
        else:
            # A store clock that was set back must not suppress events for longer than this.
            news = True
        self._moves[key] = _Move(event.order, present, now)
        self._moves.move_to_end(key)
        if len(self._moves) > CAPACITY:
            self._moves.popitem(last=False)
        return news
