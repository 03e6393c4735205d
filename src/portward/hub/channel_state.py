"""What the hub keeps of one channel: its listeners, its place in the stream, what is pending."""

from typing import Final, NamedTuple, Protocol

from portward.hub.cooldown import Cooldown, Queue
from portward.hub.encoder import Encoder
from portward.model.channel import Channel
from portward.model.limits import OUTBOX_COUNT
from portward.model.position import Position
from portward.model.publication import Publication
from portward.model.replies import Push
from portward.wire.message import WireMessage


class Subscriber(Protocol):
    """Where a listener is written to: a link as the hub sees it."""

    open: bool

    def write(self, message: WireMessage, channel: Channel | None = None) -> None:
        """Send or queue. Never raises."""

    def drop(self, channel: Channel) -> None:
        """Forget what is queued for the channel."""


class DeliveryOptions(NamedTuple):
    """How a family of channels is told.

    With `latest_only` a listener that reads slowly is spared older values of a key, instead of being
    closed for them.
    """

    cooldown: Cooldown | None = None
    latest_only: bool = False


PLAIN: Final = DeliveryOptions()


class BusMessage(NamedTuple):
    """A publication as the bus brought it."""

    publication: Publication
    epoch: str
    exclude: Subscriber | None = None


class Joining:
    """What is collected for an outlet that is not written to now: everything after the position `floor`."""

    __slots__ = ("floor", "overflown", "pushes")

    def __init__(self, floor: Position | None) -> None:
        self.floor = floor
        self.pushes: list[Push] = []
        self.overflown = False

    def add(self, push: Push) -> None:
        """Collect something; of too much the rest is left out, and the outlet has to come once more."""
        if len(self.pushes) < OUTBOX_COUNT:
            self.pushes.append(push)
        else:
            self.overflown = True


NO_OFFSET: Final = 0
"""No publication has this offset: none is next in line."""


class ChannelState:
    """One channel with at least one listener, or with one on the way.

    `next` and `epoch` say which publication is next in line. No epoch: the first one that comes.
    """

    __slots__ = (
        "ahead", "channel", "cooldown", "epoch", "groups", "held", "joining", "late", "latest_only",
        "next", "offset", "pending", "size", "withheld",
    )  # fmt: skip

    late: Queue | None
    """Where publications wait that a cooldown left out."""

    def __init__(self, channel: Channel, traits: DeliveryOptions) -> None:
        self.channel = channel
        self.cooldown = traits.cooldown
        self.late = None
        self.latest_only = traits.latest_only
        self.groups: dict[Encoder, dict[Subscriber, None]] = {}
        self.joining: dict[Subscriber, Joining] = {}
        self.pending: list[tuple[Push, tuple[Subscriber, ...]]] = []
        self.ahead: dict[Subscriber, int] = {}
        self.withheld: dict[Subscriber, Joining] = {}
        """What is kept back from outlets until their rights were judged again."""
        self.held: list[BusMessage] | None = None
        self.offset = self.next = NO_OFFSET
        self.epoch = ""
        self.size = 0

    @property
    def position(self) -> Position | None:
        """The position of the last publication that was told."""
        if not self.epoch:
            return None
        return Position(self.offset if self.held is not None else self.next - 1, self.epoch)

    def move(self, position: Position) -> None:
        """Go on after `position`, whatever lies between."""
        if position.epoch != self.epoch:
            self.ahead.clear()
        self.epoch, self.offset = position.epoch, position.offset
        self.next = position.offset + 1 if self.held is None else NO_OFFSET
        for newcomer in self.joining.values():
            newcomer.floor = position

    def withhold(self, push: Push, spared: tuple[Subscriber, ...]) -> tuple[Subscriber, ...]:
        """Keep a push back from the outlets that wait for a judgement. Returns who is not written to."""
        for outlet, kept in self.withheld.items():
            if outlet not in spared:
                kept.add(push)
        return (*spared, *self.withheld)

    def encoder(self, outlet: Subscriber) -> Encoder | None:
        """The voice of an outlet that is written to; None for one that is not, or not yet."""
        return next((voice for voice, group in self.groups.items() if outlet in group), None)

    def queue(self, voice: Encoder | None) -> Queue | None:
        """Where publications wait for a listener with this voice; None where it cannot be told of them."""
        return self.late if voice is not None and voice.late else None

    def excluded(self, offset: int, exclude: Subscriber | None) -> tuple[Subscriber, ...]:
        """Who is not told the publication with this offset."""
        self.ahead = {outlet: known for outlet, known in self.ahead.items() if known >= offset}
        return (*self.ahead, exclude) if exclude is not None else tuple(self.ahead)
