"""Subscriptions of this node, and the handling of their messages.

A node receives its own publications over Pub/Sub like all others, so that all subscribers get them in the
order of offsets; the publisher waits for that for a short time.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress

from portward.engines.port import EngineUnavailable, Sink
from portward.engines.redis import codec
from portward.engines.redis.keys import Keys
from portward.engines.redis.options import Timing
from portward.engines.redis.pubsub_pool import PubSubPool
from portward.engines.redis.timeouts import bound
from portward.model.channel import Channel
from portward.model.clock import Clock, Timer
from portward.model.events import BusEvent
from portward.model.position import Position
from portward.model.publication import Publication


class _Subscribed:
    """A channel that is subscribed to, or was until recently."""

    __slots__ = ("books", "channel", "last", "lingering", "waiting")

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.last: Position | None = None
        self.waiting: list[tuple[Position, asyncio.Future[None]]] = []
        self.lingering: Timer | None = None
        self.books = 0

    def reached(self, position: Position) -> bool:
        """Whether this publication was received already."""
        last = self.last
        return last is not None and last.epoch == position.epoch and last.offset >= position.offset

    def wake(self) -> None:
        """Wake the callers whose publications have been received."""
        waiting, self.waiting = self.waiting, []
        for position, future in waiting:
            if not self.reached(position):
                self.waiting.append((position, future))
            elif not future.done():
                future.set_result(None)


class RedisSubscriptions:
    """Sorts messages: publications go to the sink, events to `tell`, the rest is counted.

    `ignored` counts messages that were neither, `gaps` publications that did not follow the one before.
    """

    def __init__(
        self,
        ears: PubSubPool,
        keys: Keys,
        uid: str,
        timing: Timing,
        clock: Clock,
        tell: Callable[[BusEvent], None],
    ) -> None:
        self.sink: Sink | None = None
        self.ignored = 0
        self.gaps = 0
        self._ears = ears
        self._keys = keys
        self._uid = uid
        self._timing = timing
        self._clock = clock
        self._tell = tell
        self._bus = keys.bus.encode()
        self._heard: dict[bytes, _Subscribed] = {}
        self._renewed = clock.monotonic()
        self._deaf = False

    # -- subscribing

    async def listen(self, channel: Channel) -> None:
        """Subscribe to a channel.

        Raises:
            EngineUnavailable: the subscription is not confirmed yet.
        """
        name = self._keys.pubsub_channel(channel)
        heard = self._heard.setdefault(name.encode(), _Subscribed(channel))
        if heard.lingering is not None:
            heard.lingering.cancel()
            heard.lingering = None
        await self._ears.listen(name)

    def ignore(self, channel: Channel) -> None:
        """Unsubscribe from a channel after a pause."""
        heard = self._heard.get(self._keys.pubsub_channel(channel).encode())
        if heard is not None and heard.lingering is None:
            heard.lingering = self._clock.call_later(
                self._timing.linger, lambda: self._forget(channel)
            )

    def _forget(self, channel: Channel) -> None:
        name = self._keys.pubsub_channel(channel)
        heard = self._heard.pop(name.encode(), None)
        if heard is not None:
            self._ears.ignore(name)

    def close(self) -> None:
        """Forget all channels."""
        for heard in self._heard.values():
            if heard.lingering is not None:
                heard.lingering.cancel()
        self._heard.clear()

    # -- metadata of streams

    def note_stream_counts(self, channel: Channel, books: int) -> None:
        """Record for how many milliseconds the metadata of a subscribed channel are kept."""
        heard = self._heard.get(self._keys.pubsub_channel(channel).encode())
        if heard is not None:
            heard.books = books

    def books(self) -> Mapping[str, int]:
        """How many channels are subscribed to, by namespace."""
        return Counter(heard.channel.namespace for heard in self._listened())

    def due(self) -> list[tuple[Channel, int]]:
        """Channels whose metadata must be renewed now, with the milliseconds; empty most of the time."""
        now = self._clock.monotonic()
        if now - self._renewed < self._timing.books:
            return []
        self._renewed = now
        return [(heard.channel, heard.books) for heard in self._listened() if heard.books]

    def _listened(self) -> list[_Subscribed]:
        return [heard for heard in self._heard.values() if heard.lingering is None]

    # -- receiving

    async def settled(self, channel: Channel) -> None:
        """Wait until the subscription to a channel is confirmed, for a short time only.

        A later read of the stream then joins the received publications without a gap, also for subscribers
        that come while the first one still waits.
        """
        name = self._keys.pubsub_channel(channel)
        heard = self._heard.get(name.encode())
        if heard is None or heard.lingering is not None or self._ears.is_subscribed(name):
            return
        with suppress(EngineUnavailable):
            await self._ears.listen(name, self._timing.echo)

    async def echo(self, channel: Channel, position: Position) -> None:
        """Wait until this node has received a publication, if it subscribes, for a short time only."""
        name = self._keys.pubsub_channel(channel)
        heard = self._heard.get(name.encode())
        if heard is None or heard.lingering is not None or heard.reached(position):
            return
        if self._deaf or not self._ears.is_subscribed(name):
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heard.waiting.append((position, future))
        bound(future, self._timing.echo, None)
        await future
        # The next publisher does not wait: the connection may be lost.
        self._deaf = not heard.reached(position)

    def on_message(self, name: bytes, payload: bytes) -> None:
        """Handle a message. Never raises."""
        heard = self._heard.get(name)
        self._deaf = False
        try:
            if name == self._bus:
                self._event(payload)
            elif heard is not None:
                self._publication(heard, payload)
        except codec.MALFORMED:
            self.ignored += 1

    def _event(self, payload: bytes) -> None:
        told = codec.read_told(payload)
        if told.node != self._uid:
            self._tell(told.event)

    def _publication(self, heard: _Subscribed, payload: bytes) -> None:
        announced = codec.read_announced(payload)
        position = Position(announced.offset, announced.epoch)
        if heard.reached(position):
            return
        last, heard.last = heard.last, position
        sink = self.sink
        if sink is not None and heard.lingering is None:
            if (
                last is not None
                and last.epoch == position.epoch
                and position.offset > last.offset + 1
            ):
                self.gaps += 1
                sink.interrupted()
            draft = announced.draft
            publication = Publication.at(position.offset, draft)
            sink.published(heard.channel, publication, position.epoch, draft.exclude)
        heard.waiting = [pair for pair in heard.waiting if not pair[1].done()]
        heard.wake()
