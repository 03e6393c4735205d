"""Streams in a file: stored by the writer, read by the reader, announced in the order of commits."""

from collections import Counter
from collections.abc import Mapping
from functools import partial
from sqlite3 import Connection

from portward.engines.port import EngineEvents, PublishResult, RoomEnded
from portward.engines.sqlite.expiry import EXPIRED_KEYS, Moment, look, still_idle, touch
from portward.engines.sqlite.history_query import keeps, read_page
from portward.engines.sqlite.store import BATCH, SqliteStore
from portward.engines.sqlite.stream_tables import PublishJob, StoredJob, StreamTables
from portward.model.channel import Channel
from portward.model.clock import Clock
from portward.model.events import BusEvent
from portward.model.namespace import Namespace
from portward.model.publication import Draft, HistoryPage, HistoryQuery


class SqliteStreams:
    """Implements `engines.port.Streams`. The bus is a method call: a file has one process."""

    def __init__(self, store: SqliteStore, streams: StreamTables, clock: Clock) -> None:
        self.sink: EngineEvents | None = None
        self._store = store
        self._streams = streams
        self._clock = clock
        self._started = clock.time()
        self._stream_counts: Counter[str] = Counter()
        self._subscribed: set[Channel] = set()
        self._used: dict[Channel, float] = {}
        """When streams were last used since the last sweep: too frequent to be written each time."""
        self._dropping: set[Channel] = set()

    def load(self, channels: list[str]) -> None:
        """Take over the existing streams."""
        self._started = self._clock.time()
        self._stream_counts = Counter(channel.partition(":")[0] for channel in channels)
        self._subscribed = set()
        self._used = {}
        self._dropping = set()

    async def publish(
        self,
        channel: Channel,
        draft: Draft,
        namespace: Namespace,
        idempotency_key: str | None,
        life: str | None = None,
    ) -> PublishResult:
        """Assign the offset, store and announce."""
        order = PublishJob(channel, draft, namespace, idempotency_key, self._clock.time(), life)
        outcome = await self._store.write(
            lambda db: self._streams.publish(db, order),
            lambda outcome: self._published(order, outcome),
        )
        if outcome is None:
            raise RoomEnded
        return outcome.stored

    def _published(self, order: PublishJob, outcome: StoredJob | None) -> None:
        if outcome is None:
            return
        if outcome.created:
            self._stream_counts[order.channel.namespace] += 1
        if outcome.publication is not None and self.sink is not None:
            epoch = outcome.stored.position.epoch
            self.sink.on_publication(order.channel, outcome.publication, epoch, order.draft.exclude)

    async def history(
        self, channel: Channel, query: HistoryQuery, namespace: Namespace
    ) -> HistoryPage:
        """Read a part of the stream. Of one that does not exist, the writer computes the epoch."""
        now = self._clock.time()
        self._used[channel] = now
        if channel not in self._dropping:
            found = await self._store.read(lambda db: read_page(db, channel, query, namespace, now))
            if found is not None:
                return found
        page, exists = await self._store.write(
            lambda db: self._streams.page(db, channel, query, namespace, now)
        )
        if not exists:
            self._used.pop(channel, None)
        return page

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
        self._used[channel] = self._clock.time()

    async def remove(self, channel: Channel) -> None:
        """Remove a stream."""
        await self._store.write(
            lambda db: self._streams.remove(db, channel),
            lambda removed: self.removed(channel, removed),
        )

    def removed(self, channel: Channel, removed: bool) -> None:
        """Count a removed stream, if there was one."""
        self._stream_counts[channel.namespace] -= removed

    def is_subscribed(self, channel: Channel) -> bool:
        """Whether a channel has any subscriber."""
        return channel in self._subscribed

    async def is_readable(self, channel: Channel) -> bool:
        """Whether anything can be read back."""
        now = self._clock.time()
        return await self._store.read(lambda db: keeps(db, channel, now))

    async def channels(self) -> tuple[Channel, ...]:
        """Channels that have a stream."""
        rows = await self._store.read(
            lambda db: db.execute("SELECT channel FROM streams").fetchall()
        )
        return tuple(Channel.parse(channel) for (channel,) in rows)

    def stream_counts(self) -> Mapping[str, int]:
        """How many streams there are, by namespace."""
        return +self._stream_counts

    # -- sweeping

    async def sweep(self) -> None:
        """Trim the streams that are due, and remove those that are not in use."""
        moment = Moment(self._clock.time(), self._started)
        await self.flush()
        await self._store.purge(EXPIRED_KEYS, moment.now)
        more = True
        while more:
            found = await self._store.write(lambda db: look(db, moment))
            await self._drop(found.idle, moment)
            more = found.more

    async def flush(self) -> None:
        """Write the times of last use."""
        touched, self._used = self._used, {}
        entries = [(used, channel) for channel, used in touched.items()]
        try:
            for low in range(0, len(entries), BATCH):
                await self._store.write(partial(touch, used=entries[low : low + BATCH]))
        except BaseException:
            self._used = touched | self._used
            raise

    async def _drop(self, idle: tuple[Channel, ...], moment: Moment) -> None:
        """Remove streams, unless they were used since they were found to be idle.

        A read of a stream during its removal goes to the writer, after the removal.
        """
        going = [each for each in idle if each not in self._subscribed and each not in self._used]
        if going:
            self._dropping.update(going)
            try:
                await self._store.write(lambda db: self._gone(db, going, moment), self._went)
            finally:
                self._dropping.difference_update(going)

    def _gone(self, db: Connection, going: list[Channel], moment: Moment) -> list[Channel]:
        idle = [channel for channel in going if still_idle(db, channel, moment)]
        return [channel for channel in idle if self._streams.remove(db, channel)]

    def _went(self, dropped: list[Channel]) -> None:
        for channel in dropped:
            self.removed(channel, removed=True)
