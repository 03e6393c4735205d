"""Subscriptions of this node, and the handling of their messages.

A node receives its own publications over Pub/Sub like all others, so that all subscribers get them in the
order of offsets; the publisher waits for that for a short time.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress

import portward.engines.redis.codec as codec
from portward.engines.json_codec import MALFORMED
from portward.engines.port import EngineEvents, EngineUnavailable
from portward.engines.redis.context import RedisContext
from portward.engines.redis.pubsub_pool import PubSubPool
from portward.engines.redis.timeouts import bound
from portward.model.channel import Channel
from portward.model.clock import Timer
from portward.model.events import BusEvent
from portward.model.position import Position
from portward.model.publication import Publication


class _Subscribed:
    """A channel that is subscribed to, or was until recently."""

    __slots__ = ("channel", "last", "lingering", "metadata_time", "waiting")

    def __init__(self, channel: Channel) -> None:
        self.channel = channel
        self.last: Position | None = None
        self.waiting: list[tuple[Position, asyncio.Future[None]]] = []
        self.lingering: Timer | None = None
        self.metadata_time = 0

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


class RedisSubscriptions(PubSubPool):
    """Sorts messages: publications go to the sink, events to `on_control`, the rest is counted.

    `ignored` counts messages that were neither, `gaps` publications that did not follow the one before.
    """

    def __init__(
        self,
        context: RedisContext,
        interrupted: Callable[[], None],
        on_control: Callable[[BusEvent], None],
    ) -> None:
        super().__init__(context, interrupted)
        self.sink: EngineEvents | None = None
        self.ignored = 0
        self.gaps = 0
        self._on_control = on_control
        self._bus = context.keys.bus.encode()
        self._channels: dict[bytes, _Subscribed] = {}
        self._renewed = context.clock.monotonic()
        self._echo_late = False

    # -- subscribing

    async def subscribe(self, channel: Channel) -> None:
        """Subscribe to a channel.

        Raises:
            EngineUnavailable: the subscription is not confirmed yet.
        """
        name = self._keys.pubsub_channel(channel)
        subscribed = self._channels.setdefault(name.encode(), _Subscribed(channel))
        if subscribed.lingering is not None:
            subscribed.lingering.cancel()
            subscribed.lingering = None
        await self.add_name(name)

    def unsubscribe(self, channel: Channel) -> None:
        """Unsubscribe from a channel after a pause."""
        subscribed = self._channels.get(self._keys.pubsub_channel(channel).encode())
        if subscribed is not None and subscribed.lingering is None:
            subscribed.lingering = self._clock.call_later(
                self._timing.linger, lambda: self._forget(channel)
            )

    def _forget(self, channel: Channel) -> None:
        name = self._keys.pubsub_channel(channel)
        subscribed = self._channels.pop(name.encode(), None)
        if subscribed is not None:
            self.remove_name(name)

    async def close(self) -> None:
        """Forget all channels, and close all connections."""
        for subscribed in self._channels.values():
            if subscribed.lingering is not None:
                subscribed.lingering.cancel()
        self._channels.clear()
        await super().close()

    # -- metadata of streams

    def note_metadata_time(self, channel: Channel, metadata_time: int) -> None:
        """Record for how many milliseconds the metadata of a subscribed channel are kept."""
        subscribed = self._channels.get(self._keys.pubsub_channel(channel).encode())
        if subscribed is not None:
            subscribed.metadata_time = metadata_time

    def stream_counts(self) -> Mapping[str, int]:
        """How many channels are subscribed to, by namespace."""
        return Counter(subscribed.channel.namespace for subscribed in self._active())

    def due(self) -> list[tuple[Channel, int]]:
        """Channels whose metadata must be renewed now, with the milliseconds; empty most of the time."""
        now = self._clock.monotonic()
        if now - self._renewed < self._timing.metadata_renewal:
            return []
        self._renewed = now
        return [
            (subscribed.channel, subscribed.metadata_time)
            for subscribed in self._active()
            if subscribed.metadata_time
        ]

    def _active(self) -> list[_Subscribed]:
        return [
            subscribed for subscribed in self._channels.values() if subscribed.lingering is None
        ]

    # -- receiving

    async def settled(self, channel: Channel) -> None:
        """Wait until the subscription to a channel is confirmed, for a short time only.

        A later read of the stream then joins the received publications without a gap, also for subscribers
        that come while the first one still waits.
        """
        name = self._keys.pubsub_channel(channel)
        subscribed = self._channels.get(name.encode())
        if subscribed is None or subscribed.lingering is not None or self.is_subscribed(name):
            return
        with suppress(EngineUnavailable):
            await self.add_name(name, self._timing.echo)

    async def echo(self, channel: Channel, position: Position) -> None:
        """Wait until this node has received a publication, if it subscribes, for a short time only."""
        name = self._keys.pubsub_channel(channel)
        subscribed = self._channels.get(name.encode())
        if subscribed is None or subscribed.lingering is not None or subscribed.reached(position):
            return
        if self._echo_late or not self.is_subscribed(name):
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        subscribed.waiting.append((position, future))
        bound(future, self._timing.echo, None)
        await future
        # The next publisher does not wait: the connection may be lost.
        self._echo_late = not subscribed.reached(position)

    def on_message(self, name: bytes, payload: bytes) -> None:
        """Handle a message. Never raises."""
        subscribed = self._channels.get(name)
        self._echo_late = False
        try:
            if name == self._bus:
                self._event(payload)
            elif subscribed is not None:
                self._publication(subscribed, payload)
        except MALFORMED:
            self.ignored += 1

    def _event(self, payload: bytes) -> None:
        sent = codec.read_event(payload)
        if sent.node != self._uid:
            self._on_control(sent.event)

    def _publication(self, subscribed: _Subscribed, payload: bytes) -> None:
        announced = codec.read_announced(payload)
        position = Position(announced.offset, announced.epoch)
        if subscribed.reached(position):
            return
        last, subscribed.last = subscribed.last, position
        sink = self.sink
        if sink is not None and subscribed.lingering is None:
            if (
                last is not None
                and last.epoch == position.epoch
                and position.offset > last.offset + 1
            ):
                self.gaps += 1
                sink.on_interrupted()
            draft = announced.draft
            publication = Publication.at(position.offset, draft)
            sink.on_publication(subscribed.channel, publication, position.epoch, draft.exclude)
        subscribed.waiting = [pair for pair in subscribed.waiting if not pair[1].done()]
        subscribed.wake()
