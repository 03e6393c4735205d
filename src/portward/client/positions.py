"""Actions for the messages of one channel: deliver each once, in order, and report every gap."""

from collections.abc import Iterable
from typing import Final, Generic, NamedTuple, TypeVar

from portward.model.position import Position

T = TypeVar("T")
_MOST_HELD: Final = 1000


class Deliver(NamedTuple, Generic[T]):
    """Give a message to the application."""

    item: T


class Missed(NamedTuple):
    """Messages after `start` are lost; the channel goes on after `end`. None: not known."""

    start: Position | None
    end: Position | None


class Load(NamedTuple):
    """Ask the application for its state, as of this position or later."""

    position: Position


Action = Deliver[T] | Missed | Load


class PositionTracker(Generic[T]):
    """The position in one channel up to which everything was received.

    With `loads` the application has its state from elsewhere: every entry and every gap then makes a
    `Load`, and messages are held until `loaded`. Too many held messages make another `Load`.
    """

    def __init__(self, *, loads: bool = False, most_held: int = _MOST_HELD) -> None:
        self.position: Position | None = None
        self.loading = False
        self._loads = loads
        self._most_held = most_held
        self._held: list[tuple[int, T]] = []

    def forget(self) -> None:
        """Start again, as if nothing was ever received."""
        self.position = None
        self.loading = False
        self._held.clear()

    def entered(
        self,
        position: Position,
        recovered: bool | None,
        items: Iterable[tuple[int, T]] = (),
    ) -> list[Action[T]]:
        """The channel was entered; it stands at `position`.

        `recovered` is None where no recovery was asked for, or the gateway did not answer it. `items` are
        what was missed, in order, with their offsets.
        """
        known = self.position
        if known is None:
            self.position = position
            return self._load(position) if self._loads else []
        same_life = known.epoch == position.epoch
        if same_life and (recovered or (recovered is None and known.offset == position.offset)):
            actions = [action for offset, item in items for action in self.received(offset, item)]
            self._advance(position.offset)
            return actions
        self.position = position
        return self._load(position) if self._loads else [Missed(known, position)]

    def received(self, offset: int, item: T) -> list[Action[T]]:
        """Take a message. One that is not after the current position was received before."""
        if self.position is None or offset <= self.position.offset:
            return []
        self._advance(offset)
        if not self.loading:
            return [Deliver(item)]
        self._held.append((offset, item))
        return self._load(self.position) if len(self._held) > self._most_held else []

    def loaded(self, covered: Position | None = None) -> list[Action[T]]:
        """The application has its state; what it does not cover yet is delivered."""
        held, self._held = self._held, []
        self.loading = False
        epoch = None if self.position is None else self.position.epoch
        if covered is not None and covered.epoch == epoch:
            held = [(offset, item) for offset, item in held if offset > covered.offset]
        return [Deliver(item) for _, item in held]

    def _load(self, position: Position) -> list[Action[T]]:
        self._held.clear()
        self.loading = True
        return [Load(position)]

    def _advance(self, offset: int) -> None:
        if self.position is not None and offset > self.position.offset:
            self.position = Position(offset, self.position.epoch)
