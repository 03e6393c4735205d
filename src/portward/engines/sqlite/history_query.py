"""Reading a stream: which publications are kept, and which of them a query selects."""

import sqlite3
from typing import NamedTuple

from portward.engines.json_codec import decoder
from portward.model.channel import Channel
from portward.model.namespace import Namespace, Snapshot
from portward.model.position import Position
from portward.model.publication import HistoryPage, HistoryQuery, Publication

_PUBLICATION = decoder(Publication)


class _Range(NamedTuple):
    """A stream's number, and its kept offsets: from `first` up to, not including, `end`."""

    number: int
    first: int
    end: int


def first_kept(
    db: sqlite3.Connection, number: int, floor: int, cutoff: float
) -> tuple[int, float] | None:
    """Offset and time of the oldest publication above offset `floor` that is younger than `cutoff`.

    It and all after it are kept: a clock that was set back leaves no holes.
    """
    row: tuple[int, float] | None = db.execute(
        "SELECT offset, stored FROM publications"
        " WHERE stream = ? AND offset > ? AND stored > ? ORDER BY offset LIMIT 1",
        (number, floor, cutoff),
    ).fetchone()
    return row


def keeps(db: sqlite3.Connection, channel: Channel, now: float) -> bool:
    """Whether anything can be read back from a channel at Unix time `now`."""
    row = db.execute(
        "SELECT number, offset - size, ttl FROM streams WHERE channel = ?", (channel,)
    ).fetchone()
    if row is None:
        return False
    number, floor, ttl = row
    if first_kept(db, number, floor, now - ttl) is not None:
        return True
    (latest,) = db.execute(
        "SELECT EXISTS (SELECT 1 FROM latest WHERE stream = ?)", (number,)
    ).fetchone()
    return bool(latest)


def read_page(
    db: sqlite3.Connection, channel: Channel, query: HistoryQuery, namespace: Namespace, now: float
) -> HistoryPage | None:
    """Read a part of the stream at Unix time `now`. None when there is no stream."""
    row = db.execute(
        "SELECT number, epoch, offset FROM streams WHERE channel = ?", (channel,)
    ).fetchone()
    if row is None:
        return None
    number, epoch, offset = row
    position = Position(offset, epoch)
    latest = _latest(db, number) if query.latest and _by_key(namespace) else ()
    if query.since is not None and query.since.epoch != epoch:
        return HistoryPage((), position, complete=False, latest=latest)
    kept = first_kept(db, number, offset - namespace.history_size, now - namespace.history_ttl)
    first = kept[0] if kept is not None else offset + 1
    chosen = _chosen(db, query, _Range(number, first, offset + 1))
    complete = query.since is None or query.since.offset + 1 >= first
    return HistoryPage(chosen, position, complete=complete, latest=latest)


def _by_key(namespace: Namespace) -> bool:
    return namespace.snapshot is Snapshot.LATEST_BY_KEY


def _chosen(db: sqlite3.Connection, query: HistoryQuery, kept: _Range) -> tuple[Publication, ...]:
    low, high = kept.first, kept.end
    if query.since is not None:
        low = max(low, query.since.offset + 1)
    if query.before is not None:
        high = min(high, query.before)
    if query.reverse or (query.since is None and query.before is not None):
        low = max(low, high - query.limit)
    high = min(high, low + query.limit)
    if low >= high:
        return ()
    rows = db.execute(
        "SELECT body FROM publications"
        " WHERE stream = ? AND offset >= ? AND offset < ? ORDER BY offset",
        (kept.number, low, high),
    )
    return tuple(_PUBLICATION.decode(body) for (body,) in rows)


def _latest(db: sqlite3.Connection, number: int) -> tuple[Publication, ...]:
    rows = db.execute("SELECT body FROM latest WHERE stream = ? ORDER BY offset", (number,))
    return tuple(_PUBLICATION.decode(body) for (body,) in rows)
