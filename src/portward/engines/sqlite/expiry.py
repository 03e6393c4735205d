"""Finds streams with expired content, and streams that are not in use. Runs in the writer's thread."""

import sqlite3
from collections.abc import Iterable
from typing import Final, NamedTuple

from portward.engines.sqlite.history_query import first_kept
from portward.engines.sqlite.store import BATCH
from portward.model.channel import Channel

RETURN_TIME: Final = 300.0
"""Most seconds after a start in which earlier subscribers may return to a stream."""

EXPIRED_KEYS: Final = (
    "DELETE FROM keys WHERE (stream, key) IN"
    " (SELECT stream, key FROM keys WHERE until <= ? LIMIT ?)"
)


class Moment(NamedTuple):
    """Unix time: of the sweep, and of the engine's start."""

    now: float
    started: float


class Looked(NamedTuple):
    """Streams that seem idle, and whether more streams are due."""

    idle: tuple[Channel, ...]
    more: bool


class _ExpiryRow(NamedTuple):
    number: int
    channel: str
    offset: int
    size: int
    ttl: float
    idle_ttl: float
    used: float


_COLUMNS: Final = "SELECT number, channel, offset, size, ttl, idle_ttl, used FROM streams"
_DUE: Final = f"{_COLUMNS} WHERE due <= ? ORDER BY due LIMIT ?"
_ONE: Final = f"{_COLUMNS} WHERE channel = ?"


def look(db: sqlite3.Connection, moment: Moment) -> Looked:
    """Trim the streams that are due, `BATCH` of them and `BATCH` publications at most."""
    rows = [_ExpiryRow(*row) for row in db.execute(_DUE, (moment.now, BATCH)).fetchall()]
    left = BATCH
    idle: list[Channel] = []
    for row in rows:
        first = first_kept(db, row.number, row.offset - row.size, moment.now - row.ttl)
        left -= _trim(db, row, first[0] if first is not None else row.offset + 1, left)
        if left <= 0:
            return Looked(tuple(idle), more=True)
        _put_off(db, row, moment.now, first[1] if first is not None else None)
        if first is None and _is_idle(db, row, moment):
            idle.append(Channel.parse(row.channel))
    return Looked(tuple(idle), more=len(rows) == BATCH)


def _trim(db: sqlite3.Connection, row: _ExpiryRow, end: int, limit: int) -> int:
    return db.execute(
        "DELETE FROM publications WHERE stream = ? AND offset IN"
        " (SELECT offset FROM publications WHERE stream = ? AND offset < ?"
        " ORDER BY offset LIMIT ?)",
        (row.number, row.number, end, limit),
    ).rowcount


def _put_off(db: sqlite3.Connection, row: _ExpiryRow, now: float, oldest: float | None) -> None:
    """Set when the stream is due next: when its oldest publication expires, and not later than a new one."""
    due = now + min(row.ttl, row.idle_ttl)
    if oldest is not None:
        due = min(due, oldest + row.ttl)
    db.execute("UPDATE streams SET due = ? WHERE number = ?", (max(due, now + 1), row.number))


def _is_idle(db: sqlite3.Connection, row: _ExpiryRow, moment: Moment) -> bool:
    """Whether nothing is stored and it was not used for its idle time, nor just after a start."""
    if row.used > moment.now - row.idle_ttl:
        return False
    if moment.now < moment.started + min(row.idle_ttl, RETURN_TIME):
        return False
    (kept,) = db.execute(
        "SELECT EXISTS (SELECT 1 FROM publications WHERE stream = ?)"
        " OR EXISTS (SELECT 1 FROM keys WHERE stream = ?)"
        " OR EXISTS (SELECT 1 FROM latest WHERE stream = ?)",
        (row.number, row.number, row.number),
    ).fetchone()
    return not kept


def still_idle(db: sqlite3.Connection, channel: Channel, moment: Moment) -> bool:
    """Whether a stream that `look` found is still idle."""
    row = db.execute(_ONE, (channel,)).fetchone()
    return row is not None and _is_idle(db, _ExpiryRow(*row), moment)


def touch(db: sqlite3.Connection, used: Iterable[tuple[float, Channel]]) -> None:
    """Record when streams were last read or subscribed to."""
    db.executemany("UPDATE streams SET used = max(used, ?) WHERE channel = ?", used)
