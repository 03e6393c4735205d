"""The state of one channel in the hub: its subscribers, its stream position, and pending pushes."""

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
    """A connection as the hub sees it: a target for encoded messages."""

    open: bool

    def write(self, message: WireMessage, channel: Channel | None = None) -> None:
        """Send the message or queue it. Never raises."""

    def drop(self, channel: Channel) -> None:
        """Drop the queued messages of the channel."""


class DeliveryOptions(NamedTuple):
    """Delivery settings of a channel.

    With `latest_only`, a slow subscriber is not closed: of each publication key only the newest value stays
    in its queue.
    """

    cooldown: Cooldown | None = None
    latest_only: bool = False


PLAIN: Final = DeliveryOptions()


class BusMessage(NamedTuple):
    """A publication as received from the bus."""

    publication: Publication
    epoch: str
    exclude: Subscriber | None = None


class Joining:
    """Pushes collected for a subscriber that is not written to yet: everything after the position `floor`."""

    __slots__ = ("floor", "overflown", "pushes")

    def __init__(self, floor: Position | None) -> None:
        self.floor = floor
        self.pushes: list[Push] = []
        self.overflown = False

    def add(self, push: Push) -> None:
        """Collect a push. Over `OUTBOX_COUNT` it is lost; `overflown` means the subscriber must recover."""
        if len(self.pushes) < OUTBOX_COUNT:
            self.pushes.append(push)
        else:
            self.overflown = True


NO_OFFSET: Final = 0
"""An offset that no publication has. As `next` it means: deliver nothing now."""


class ChannelState:
    """The state of a channel with at least one subscriber, live or joining.

    `next` and `epoch` name the publication that is delivered next. With an empty epoch, the first
    publication that arrives sets them.
    """

    __slots__ = (
        "ahead", "channel", "cooldown", "epoch", "groups", "held", "joining", "late", "latest_only",
        "next", "offset", "pending", "size", "withheld",
    )  # fmt: skip

    late: Queue | None
    """The queue for publications that a cooldown suppressed."""

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
        """Pushes withheld from subscribers while their rights are checked again."""
        self.held: list[BusMessage] | None = None
        self.offset = self.next = NO_OFFSET
        self.epoch = ""
        self.size = 0

    @property
    def position(self) -> Position | None:
        """The position of the last delivered publication."""
        if not self.epoch:
            return None
        return Position(self.offset if self.held is not None else self.next - 1, self.epoch)

    def move(self, position: Position) -> None:
        """Continue the stream after `position`, and skip what lies between."""
        if position.epoch != self.epoch:
            self.ahead.clear()
        self.epoch, self.offset = position.epoch, position.offset
        self.next = position.offset + 1 if self.held is None else NO_OFFSET
        for handshake in self.joining.values():
            handshake.floor = position

    def withhold(self, push: Push, spared: tuple[Subscriber, ...]) -> tuple[Subscriber, ...]:
        """Collect a push for withheld subscribers. Returns all subscribers that must not be written to."""
        for subscriber, kept in self.withheld.items():
            if subscriber not in spared:
                kept.add(push)
        return (*spared, *self.withheld)

    def encoder(self, subscriber: Subscriber) -> Encoder | None:
        """The encoder of a live subscriber; None for one that is joining or unknown."""
        return next(
            (encoder for encoder, group in self.groups.items() if subscriber in group), None
        )

    def queue(self, encoder: Encoder | None) -> Queue | None:
        """The queue of late publications for this encoder; None if its protocol cannot mark them as late."""
        return self.late if encoder is not None and encoder.late else None

    def excluded(self, offset: int, exclude: Subscriber | None) -> tuple[Subscriber, ...]:
        """The subscribers that must not get the publication with this offset."""
        self.ahead = {
            subscriber: known for subscriber, known in self.ahead.items() if known >= offset
        }
        return (*self.ahead, exclude) if exclude is not None else tuple(self.ahead)
