"""Puts the comings and goings of users in order, which reach a node in another order than they happened."""

from collections import OrderedDict
from typing import Final, NamedTuple

from portward.model.channel import Channel
from portward.model.clock import Clock
from portward.model.events import UserJoined, UserLeft

CAPACITY: Final = 16_384
"""Users in channels whose last coming or going is remembered, those that moved last."""
WINDOW: Final = 60.0
"""Seconds for which it is: no event is on its way for longer."""


class _Move(NamedTuple):
    order: int
    present: bool
    at: float


class PresenceOrder:
    """Decides which events of presence are news here, by the numbers that the engine gave them.

    Two nodes announce a going and a coming at the same time: the coming may arrive first. It is then no
    news, since the user was not known to be gone; and neither is the going, which is older. What others are
    told alternates, and ends with what is true.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._moves: OrderedDict[tuple[Channel, str], _Move] = OrderedDict()

    def __len__(self) -> int:
        return len(self._moves)

    def is_news(self, event: UserJoined | UserLeft) -> bool:
        """Whether the others are to be told; the event is remembered. One without a number always is."""
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
            # A clock of the store that was set back must not hold events back for longer than that.
            news = True
        self._moves[key] = _Move(event.order, present, now)
        self._moves.move_to_end(key)
        if len(self._moves) > CAPACITY:
            self._moves.popitem(last=False)
        return news
