"""Streams in tables, as the writer's thread changes them. Its cache is exact: no other thread writes."""

import sqlite3
from dataclasses import dataclass
from typing import Final, NamedTuple

import portward.engines.sqlite.epochs as epochs
from portward.engines.epochs import NextEpochs
from portward.engines.json_codec import encode
from portward.engines.port import PublishResult
from portward.engines.sqlite.history_query import read_page
from portward.engines.sqlite.room_rows import alive
from portward.model.channel import Channel
from portward.model.limits import IDEMPOTENCY_TIME, SNAPSHOT_KEYS
from portward.model.namespace import Namespace, Snapshot
from portward.model.position import Position
from portward.model.publication import Draft, HistoryPage, HistoryQuery, Publication

MAX_CACHED: Final = 50_000
"""Most streams in the writer's cache; with more it is cleared."""
MAX_STEP: Final = 64
"""Most publications beyond the size of a history before they are deleted together."""


@dataclass(frozen=True, slots=True)
class PublishJob:
    """A publication that is to be stored; `now` is Unix time, `life` that of the room's record."""

    channel: Channel
    draft: Draft
    namespace: Namespace
    key: str | None
    now: float
    life: str | None = None


class StoredJob(NamedTuple):
    """Result of an order. Without `publication` it was a duplicate; `created`: the stream is new."""

    stored: PublishResult
    publication: Publication | None
    created: bool


class StreamSettings(NamedTuple):
    """What a stream takes from its namespace. Times are seconds."""

    size: int
    ttl: float
    idle_ttl: float
    by_key: bool

    @classmethod
    def of(cls, namespace: Namespace) -> "StreamSettings":
        """Read them from a namespace."""
        return cls(
            namespace.history_size,
            namespace.history_ttl,
            namespace.idle_ttl,
            namespace.snapshot is Snapshot.LATEST_BY_KEY,
        )


@dataclass(slots=True)
class Stream:
    """Row of one channel. `keyed` is how many keys have a last publication, None when not yet counted."""

    number: int
    epoch: str
    offset: int
    settings: StreamSettings
    keyed: int | None = None


class StreamTables:
    """Called in the writer's thread, inside its transactions."""

    def __init__(self) -> None:
        self._cache: dict[Channel, Stream] = {}
        self._epochs = NextEpochs("")
        self._written = False  # whether the file has them; each change is then written, too

    def load(self, db: sqlite3.Connection) -> None:
        """Take the epochs of channels without a stream from the file, as the last run wrote them."""
        self._epochs = epochs.take(db)
        self._written = False

    def close(self, db: sqlite3.Connection) -> None:
        """Write the epochs of channels without a stream for the next run."""
        epochs.write(db, self._epochs)
        self._written = True

    def forget(self) -> None:
        """Clear the cache: a transaction was rolled back."""
        self._cache.clear()

    def publish(self, db: sqlite3.Connection, order: PublishJob) -> StoredJob | None:
        """Assign an offset and store, unless its key was used; None when its room has ended."""
        if order.life is not None and not alive(db, order.channel, order.life, order.now):
            return None
        stream, created = self.open(db, order.channel, order.namespace, order.now)
        if order.key is not None:
            first = _seen(db, stream, order.key, order.now)
            if first is not None:
                return StoredJob(first, None, created)
        publication = Publication.at(stream.offset + 1, order.draft)
        stream.offset += 1
        _keep(db, stream, publication, order.now)
        db.execute(
            "UPDATE streams SET offset = ?, used = ? WHERE number = ?",
            (stream.offset, order.now, stream.number),
        )
        if order.key is not None:
            _note_key(db, stream, order.key, publication.id, order.now + IDEMPOTENCY_TIME)
        stored = PublishResult(publication.id, Position(stream.offset, stream.epoch))
        return StoredJob(stored, publication, created)

    def open(
        self, db: sqlite3.Connection, channel: Channel, namespace: Namespace, now: float
    ) -> tuple[Stream, bool]:
        """The stream with the present settings of its namespace, and whether it was made now."""
        settings = StreamSettings.of(namespace)
        stream = self._cache.get(channel)
        created = False
        if stream is None:
            if len(self._cache) >= MAX_CACHED:
                self._cache.clear()
            stream = _find(db, channel)
            if stream is None:
                epoch = self._epochs.of(channel)
                stream, created = _create(db, channel, epoch, settings, now), True
            self._cache[channel] = stream
        if stream.settings != settings:
            _adapt(db, stream, settings, now)
        return stream, created

    def page(
        self,
        db: sqlite3.Connection,
        channel: Channel,
        query: HistoryQuery,
        namespace: Namespace,
        now: float,
    ) -> tuple[HistoryPage, bool]:
        """Read a channel as the writer sees it, and tell whether it has a stream."""
        page = read_page(db, channel, query, namespace, now)
        if page is not None:
            return page, True
        return self._epochs.page(channel, query), False

    def remove(self, db: sqlite3.Connection, channel: Channel) -> bool:
        """Delete a stream and all its content. False when there was none."""
        stream = _find(db, channel)
        self._cache.pop(channel, None)
        if stream is None:
            return False
        for sql in (
            "DELETE FROM publications WHERE stream = ?",
            "DELETE FROM latest WHERE stream = ?",
            "DELETE FROM keys WHERE stream = ?",
            "DELETE FROM streams WHERE number = ?",
        ):
            db.execute(sql, (stream.number,))
        self._epochs.end(channel)
        if self._written:
            epochs.write(db, self._epochs)
        return True


def _find(db: sqlite3.Connection, channel: Channel) -> Stream | None:
    row = db.execute(
        "SELECT number, epoch, offset, size, ttl, idle_ttl, by_key FROM streams WHERE channel = ?",
        (channel,),
    ).fetchone()
    if row is None:
        return None
    number, epoch, offset, size, ttl, idle_ttl, by_key = row
    return Stream(number, epoch, offset, StreamSettings(size, ttl, idle_ttl, bool(by_key)))


def _create(
    db: sqlite3.Connection, channel: Channel, epoch: str, settings: StreamSettings, now: float
) -> Stream:
    due = now + min(settings.ttl, settings.idle_ttl)
    cursor = db.execute(
        "INSERT INTO streams (channel, epoch, offset, size, ttl, idle_ttl, by_key, used, due)"
        " VALUES (?, ?, 0, ?, ?, ?, ?, ?, ?)",
        (channel, epoch, *settings, now, due),
    )
    assert cursor.lastrowid is not None  # noqa: S101 - for the type checker
    return Stream(cursor.lastrowid, epoch, 0, settings)


def _adapt(db: sqlite3.Connection, stream: Stream, settings: StreamSettings, now: float) -> None:
    """Apply changed settings of the namespace; what is no longer kept is deleted at once.

    What is kept must stay without holes, and a history of size 0 makes one with each publication.
    """
    stream.settings = settings
    db.execute(
        "UPDATE streams SET size = ?, ttl = ?, idle_ttl = ?, by_key = ?, due = ? WHERE number = ?",
        (*settings, now, stream.number),
    )
    _trim(db, stream)
    if not settings.by_key:
        db.execute("DELETE FROM latest WHERE stream = ?", (stream.number,))
        stream.keyed = None


def _trim(db: sqlite3.Connection, stream: Stream) -> None:
    db.execute(
        "DELETE FROM publications WHERE stream = ? AND offset <= ?",
        (stream.number, stream.offset - stream.settings.size),
    )


def _keep(db: sqlite3.Connection, stream: Stream, publication: Publication, now: float) -> None:
    size, by_key = stream.settings.size, stream.settings.by_key and publication.key is not None
    if not size and not by_key:
        return
    body = encode(publication)
    if size:
        db.execute(
            "INSERT INTO publications (stream, offset, stored, body) VALUES (?, ?, ?, ?)",
            (stream.number, publication.offset, now, body),
        )
        if publication.offset % max(1, min(MAX_STEP, size // 4)) == 0:
            _trim(db, stream)
    if by_key:
        _remember(db, stream, publication, body)


def _remember(
    db: sqlite3.Connection, stream: Stream, publication: Publication, body: bytes
) -> None:
    """Make this the last publication of its key; of too many keys, the oldest is removed."""
    row = (publication.offset, body, stream.number, publication.key)
    changed = db.execute("UPDATE latest SET offset = ?, body = ? WHERE stream = ? AND key = ?", row)
    if changed.rowcount:
        return
    db.execute("INSERT INTO latest (offset, body, stream, key) VALUES (?, ?, ?, ?)", row)
    if stream.keyed is None:
        count = db.execute("SELECT count(*) FROM latest WHERE stream = ?", (stream.number,))
        stream.keyed = count.fetchone()[0]
    else:
        stream.keyed += 1
    if stream.keyed > SNAPSHOT_KEYS:
        stream.keyed -= db.execute(
            "DELETE FROM latest WHERE stream = ?"
            " AND offset = (SELECT min(offset) FROM latest WHERE stream = ?)",
            (stream.number, stream.number),
        ).rowcount


def _seen(db: sqlite3.Connection, stream: Stream, key: str, now: float) -> PublishResult | None:
    row = db.execute(
        "SELECT id, offset FROM keys WHERE stream = ? AND key = ? AND until > ?",
        (stream.number, key, now),
    ).fetchone()
    if row is None:
        return None
    return PublishResult(row[0], Position(row[1], stream.epoch), duplicate=True)


def _note_key(db: sqlite3.Connection, stream: Stream, key: str, first: str, until: float) -> None:
    db.execute(
        "INSERT OR REPLACE INTO keys (stream, key, until, id, offset) VALUES (?, ?, ?, ?, ?)",
        (stream.number, key, until, first, stream.offset),
    )
