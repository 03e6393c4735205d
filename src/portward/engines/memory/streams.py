"""Streams in memory: a deque per channel, and a bus that is a method call."""

import secrets
from collections import Counter, deque
from collections.abc import Mapping
from itertools import islice

from msgspec.structs import replace

from portward.engines.epochs import NextEpochs
from portward.engines.memory.room_table import RoomTable
from portward.engines.port import EngineEvents, PublishResult, RoomEnded
from portward.model.channel import Channel
from portward.model.clock import Clock
from portward.model.events import BusEvent
from portward.model.limits import IDEMPOTENCY_TIME, SNAPSHOT_KEYS
from portward.model.namespace import Namespace, Snapshot
from portward.model.position import Position
from portward.model.publication import Draft, HistoryPage, HistoryQuery, Publication


class _Stream:
    """Stream of one channel. `times` is parallel to `kept`: when each was stored (monotonic)."""

    __slots__ = ("epoch", "idle_ttl", "kept", "keys", "latest", "offset", "times", "ttl", "used")

    def __init__(self, namespace: Namespace, now: float, epoch: str) -> None:
        self.epoch = epoch
        self.offset = 0
        self.kept: deque[Publication] = deque(maxlen=namespace.history_size)
        self.times: deque[float] = deque(maxlen=namespace.history_size)
        self.keys: dict[str, tuple[float, PublishResult]] | None = None
        by_key = namespace.snapshot is Snapshot.LATEST_BY_KEY
        self.latest: dict[str, Publication] | None = {} if by_key else None
        self.ttl = namespace.history_ttl
        self.idle_ttl = namespace.idle_ttl
        self.used = now

    @property
    def position(self) -> Position:
        return Position(self.offset, self.epoch)

    def append(self, draft: Draft, now: float) -> Publication:
        self.offset += 1
        self.used = now
        publication = Publication.at(self.offset, draft)
        self.kept.append(publication)
        self.times.append(now)
        if self.latest is not None and publication.key is not None:
            self._remember(self.latest, publication.key, publication)
        return publication

    @staticmethod
    def _remember(latest: dict[str, Publication], key: str, publication: Publication) -> None:
        latest.pop(key, None)
        latest[key] = publication
        if len(latest) > SNAPSHOT_KEYS:
            del latest[next(iter(latest))]

    def trim(self, now: float) -> None:
        """Remove publications and idempotency keys that have expired."""
        while self.times and self.times[0] <= now - self.ttl:
            self.times.popleft()
            self.kept.popleft()
        if self.keys:
            self.keys = {k: kept for k, kept in self.keys.items() if kept[0] > now} or None

    @property
    def readable(self) -> bool:
        """Whether anything can be read back; call `trim` first."""
        return bool(self.kept or self.latest)

    def idle(self, now: float) -> bool:
        """Whether nothing is stored and it was not used for the idle time."""
        return not (self.readable or self.keys) and self.used <= now - self.idle_ttl


class MemoryStreams:
    """Implements `engines.port.Streams`. `rooms` tells which records are current."""

    def __init__(self, clock: Clock, rooms: RoomTable) -> None:
        self.sink: EngineEvents | None = None
        self._clock = clock
        self._rooms = rooms
        self._streams: dict[Channel, _Stream] = {}
        self._epochs = NextEpochs(secrets.token_hex(16))
        self._subscribed: set[Channel] = set()

    async def publish(
        self,
        channel: Channel,
        draft: Draft,
        namespace: Namespace,
        idempotency_key: str | None,
        life: str | None = None,
    ) -> PublishResult:
        """Assign the offset, store and announce."""
        if life is not None and not self._rooms.alive(channel, life):
            raise RoomEnded
        now = self._clock.monotonic()
        stream = self._streams.get(channel)
        if stream is None:
            stream = self._streams[channel] = _Stream(namespace, now, self._epochs.of(channel))
        if idempotency_key is not None and stream.keys is not None:
            until, first = stream.keys.get(idempotency_key, (0.0, None))
            if first is not None and until > now:
                return PublishResult(first.id, first.position, duplicate=True)
        publication = stream.append(draft, now)
        stored = PublishResult(publication.id, Position(stream.offset, stream.epoch))
        if idempotency_key is not None:
            if stream.keys is None:
                stream.keys = {}
            stream.keys[idempotency_key] = (now + IDEMPOTENCY_TIME, stored)
        if self.sink is not None:
            self.sink.on_publication(channel, publication, stream.epoch, draft.exclude)
        return stored

    async def history(
        self,
        channel: Channel,
        query: HistoryQuery,
        namespace: Namespace,  # noqa: ARG002 - the port's: a stream has the settings it was made with
    ) -> HistoryPage:
        """Read a part of the stream."""
        stream = self._streams.get(channel)
        if stream is None:
            return self._epochs.page(channel, query)
        now = stream.used = self._clock.monotonic()
        stream.trim(now)
        return _read(stream, query)

    async def publish_control(self, event: BusEvent) -> None:
        """Send an event to the only node."""
        if self.sink is not None:
            self.sink.on_control(event)

    async def subscribe(self, channel: Channel) -> None:
        """Record that a channel has subscribers."""
        self._subscribed.add(channel)

    async def unsubscribe(self, channel: Channel) -> None:
        """Record that a channel has no subscriber."""
        self._subscribed.discard(channel)
        stream = self._streams.get(channel)
        if stream is not None:
            stream.used = self._clock.monotonic()

    async def remove(self, channel: Channel) -> None:
        """Remove a stream."""
        self.forget(channel)

    def forget(self, channel: Channel) -> bool:
        """Remove a stream now. False when there was none."""
        if self._streams.pop(channel, None) is None:
            return False
        self._epochs.end(channel)
        return True

    async def is_readable(self, channel: Channel) -> bool:
        """Whether anything can be read back."""
        return self.kept(channel)

    def kept(self, channel: Channel) -> bool:
        """Whether anything can be read back from a channel."""
        stream = self._trimmed(channel)
        return stream is not None and stream.readable

    def busy(self, channel: Channel) -> bool:
        """Whether a stream has publications, or idempotency keys."""
        stream = self._trimmed(channel)
        return stream is not None and bool(stream.readable or stream.keys)

    def is_subscribed(self, channel: Channel) -> bool:
        """Whether a channel has any subscriber."""
        return channel in self._subscribed

    def _trimmed(self, channel: Channel) -> _Stream | None:
        stream = self._streams.get(channel)
        if stream is not None:
            stream.trim(self._clock.monotonic())
        return stream

    async def channels(self) -> tuple[Channel, ...]:
        """Channels that have a stream."""
        return tuple(self._streams)

    def stream_counts(self) -> Mapping[str, int]:
        """How many streams there are, by namespace."""
        return Counter(channel.namespace for channel in self._streams)

    def sweep(self) -> None:
        """Trim every stream and remove those that are not in use."""
        now = self._clock.monotonic()
        for channel, stream in list(self._streams.items()):
            stream.trim(now)
            if channel not in self._subscribed and stream.idle(now):
                self.forget(channel)


def _read(stream: _Stream, query: HistoryQuery) -> HistoryPage:
    page = _page(stream, query)
    if query.latest and stream.latest:
        return replace(page, latest=tuple(stream.latest.values()))
    return page


def _page(stream: _Stream, query: HistoryQuery) -> HistoryPage:
    if query.since is not None and query.since.epoch != stream.epoch:
        return HistoryPage((), stream.position, complete=False)
    first = stream.offset - len(stream.kept) + 1
    low = max(first, query.since.offset + 1 if query.since is not None else first)
    high = stream.offset + 1 if query.before is None else min(stream.offset + 1, query.before)
    if query.reverse or (query.since is None and query.before is not None):
        low = max(low, high - query.limit)
    high = min(high, low + query.limit)
    chosen = tuple(islice(stream.kept, low - first, max(low, high) - first))
    complete = query.since is None or query.since.offset + 1 >= first
    return HistoryPage(chosen, stream.position, complete=complete)
