"""Counters in a table. Rates are left to the node: with one process its own limit counts everything."""

import sqlite3
from typing import Final

from portward.engines.sqlite.store import SqliteStore
from portward.model.clock import Clock

MAX_COUNTERS: Final = 100_000
"""Counters that a sweep leaves; of more, the oldest are removed."""

_READ: Final = "SELECT value, until FROM counters WHERE key = ?"
_BEGIN: Final = "INSERT INTO counters (key, value, until) VALUES (?, ?, ?)"
_ADD: Final = "UPDATE counters SET value = value + ? WHERE key = ?"
_EXPIRED: Final = (
    "DELETE FROM counters WHERE number IN (SELECT number FROM counters WHERE until <= ? LIMIT ?)"
)
_SURPLUS: Final = (
    "DELETE FROM counters WHERE number IN (SELECT number FROM counters ORDER BY number LIMIT"
    " min(max(0, (SELECT count(*) FROM counters) - ?), ?))"
)


class SqliteCounters:
    """Implements `engines.port.Counters`."""

    def __init__(self, store: SqliteStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def take(self, key: str, interval: float, burst: int, cost: float = 1.0) -> float:  # noqa: ARG002 - the port
        """Allow."""
        return 0.0

    async def add(self, key: str, amount: int, ttl: float) -> int:
        """Add to a counter."""
        now = self._clock.time()
        if not amount:
            return await self._store.read(lambda db: _read(db, key, now))
        return await self._store.write(lambda db: _add(db, key, amount, (now, now + ttl)))

    async def sweep(self) -> None:
        """Remove what has expired, and what is over the bound."""
        await self._store.purge(_EXPIRED, self._clock.time())
        await self._store.purge(_SURPLUS, MAX_COUNTERS)


def _read(db: sqlite3.Connection, key: str, now: float) -> int:
    value, until = db.execute(_READ, (key,)).fetchone() or (0, 0.0)
    return int(value) if until > now else 0


def _add(db: sqlite3.Connection, key: str, amount: int, span: tuple[float, float]) -> int:
    now, until = span
    value, over = db.execute(_READ, (key,)).fetchone() or (0, 0.0)
    if over > now:
        db.execute(_ADD, (amount, key))
        return int(value) + amount
    db.execute("DELETE FROM counters WHERE key = ?", (key,))
    db.execute(_BEGIN, (key, amount, until))
    return amount
