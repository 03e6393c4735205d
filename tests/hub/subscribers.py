"""Outlets, voices and an observer that keep what they are told."""

from collections import Counter
from collections.abc import Callable
from typing import Any

from portward.hub.channel_state import DeliveryOptions
from portward.hub.encoder import Encoder
from portward.hub.hub import Hub
from portward.hub.late import NEVER
from portward.model.channel import Channel
from portward.model.publication import Publication
from portward.model.replies import Delivery, Push, Signalled
from portward.wire import message as wire
from portward.wire.message import WireMessage

ROOM = Channel.parse("rooms:a")
OTHER = Channel.parse("rooms:b")


class EncodingBroke(Exception):  # noqa: N818 - what a broken dialect raises
    """Something that cannot be put into words."""


class Payload:
    """A dialect of one prefix. It has no word for the data `unheard`, and breaks on `poison`."""

    def __init__(self, prefix: str = "") -> None:
        self.prefix = prefix
        self.said: list[Push] = []

    def push(self, push: Push, now: int) -> bytes | None:
        """Put a push into words."""
        self.said.append(push)
        word = spoken(push)
        if word == f"poison{self.prefix}":
            raise EncodingBroke
        return None if word == "unheard" else f"{self.prefix}{word}@{now}".encode()


def spoken(push: Push) -> str:
    """The word of a push."""
    if isinstance(push, Delivery):
        spared = f"+{push.suppressed}" if push.suppressed else ""
        return f"{push.publication.data}{spared}{' late' if push.late else ''}"
    if isinstance(push, Signalled):
        return f"{push.user}:{push.name}:{push.active}"
    return type(push).__name__


class FakeSubscriber:
    """An outlet that keeps what is written to it."""

    def __init__(self, then: Callable[[], Any] = lambda: None) -> None:
        self.open = True
        self.writes: list[WireMessage] = []
        self.channels: list[Channel | None] = []
        self.dropped: list[Channel] = []
        self.then = then

    def write(self, message: WireMessage, channel: Channel | None = None) -> None:
        """Keep a message."""
        self.writes.append(message)
        self.channels.append(channel)
        self.then()

    def drop(self, channel: Channel) -> None:
        """Note that a channel's queue is dropped."""
        self.dropped.append(channel)

    @property
    def heard(self) -> list[str]:
        """Every word, in order."""
        return [
            payload.decode().partition("@")[0] for each in self.writes for payload in each.payloads
        ]


class CountingObserver:
    """An observer that counts."""

    def __init__(self) -> None:
        self.fan_outs: list[tuple[Channel, int, int, float]] = []
        self.errors: list[tuple[Channel, Exception]] = []
        self.encoded: list[tuple[Encoder, int]] = []

    def fanned_out(
        self, channel: Channel, publications: int, deliveries: int, seconds: float
    ) -> None:
        """Note a flush."""
        self.fan_outs.append((channel, publications, deliveries, seconds))

    def on_encoded(
        self,
        encoder: Encoder,
        push: Push,  # noqa: ARG002 - the port
        message: WireMessage,  # noqa: ARG002 - the port
        count: int,
    ) -> None:
        """Note an encoding."""
        self.encoded.append((encoder, count))

    def encode_failed(self, channel: Channel, error: Exception) -> None:
        """Note what could not be said."""
        self.errors.append((channel, error))


class HubBench:
    """Channels whose turns of the loop are called by hand."""

    def __init__(self, traits: DeliveryOptions | None = None, *, late: bool = False) -> None:
        self.watch = CountingObserver()
        self.due = NEVER
        self.scheduled: list[Callable[[], None]] = []
        self.time = 0.0
        chosen = traits or DeliveryOptions()
        self.channels = Hub(
            self.scheduled.append, self.watch, lambda: self.time, lambda _: chosen, self._wake_at
        )
        self.words = Payload()
        self.encoder = Encoder("rooms", self.words, wire.PLAIN.text, lambda: 0.007, late=late)
        self.offset = 0
        self.offsets: Counter[Channel] = Counter()

    def _wake_at(self, _: object, moment: float) -> None:
        self.due = min(self.due, moment)

    def leap(self, moment: float) -> None:
        """Let time pass, and the wheel turn when something is due by then."""
        self.time = moment
        while self.due <= moment:
            self.due = NEVER
            self.due = min(self.due, self.channels.fire(moment, late=False))

    def listener(self, channel: Channel = ROOM, encoder: Encoder | None = None) -> FakeSubscriber:
        """An outlet that listens."""
        subscriber = FakeSubscriber()
        self.channels.join(channel, subscriber)
        self.channels.go_live(channel, subscriber, encoder or self.encoder)
        return subscriber

    def publish(
        self,
        data: object,
        channel: Channel = ROOM,
        *,
        exclude: FakeSubscriber | None = None,
        key: str | None = None,
        kind: str | None = None,
    ) -> None:
        """Deliver the next publication."""
        self.offsets[channel] += 1
        offset = self.offsets[channel]
        publication = Publication(id="i", offset=offset, time=0, data=data, key=key, type=kind)
        self.channels.deliver(channel, publication, "e", exclude)

    def signal(self, user: str, *, active: bool, exclude: FakeSubscriber | None = None) -> None:
        """Announce somebody's typing."""
        push = Signalled(channel=ROOM, user=user, name="typing", active=active)
        self.channels.announce(ROOM, push, exclude)

    def turn(self) -> None:
        """End the turn of the loop."""
        scheduled, self.scheduled[:] = list(self.scheduled), []
        for action in scheduled:
            action()
