"""Requests for a decision in a table."""

import sqlite3
from typing import Final

from msgspec.structs import replace

from portward.engines.port import APPROVAL_KEPT, MAX_PENDING
from portward.engines.sqlite.codec import pack, reader
from portward.engines.sqlite.store import SqliteStore
from portward.model.approval import Approval, Verdict
from portward.model.channel import Channel
from portward.model.clock import Clock

_APPROVAL: Final = reader(Approval)

_COUNT: Final = (
    "SELECT count(*) FROM approvals WHERE channel = ? AND decided = 0 AND expires_at > ?"
)
_ADD: Final = (
    "INSERT OR IGNORE INTO approvals (id, channel, created_at, expires_at, decided, body)"
    " VALUES (?, ?, ?, ?, ?, ?)"
)
_GET: Final = "SELECT body FROM approvals WHERE id = ? AND expires_at > ?"
_PENDING: Final = (
    "SELECT body FROM approvals WHERE channel = ? AND decided = 0 AND expires_at > ?"
    " ORDER BY created_at, number"
)
_DECIDE: Final = "UPDATE approvals SET decided = 1, body = ? WHERE id = ?"
_EXPIRED: Final = (
    "DELETE FROM approvals WHERE number IN"
    " (SELECT number FROM approvals WHERE expires_at <= ? LIMIT ?)"
)


class SqliteApprovals:
    """Implements `engines.port.Approvals`."""

    def __init__(self, store: SqliteStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def add(self, approval: Approval) -> bool:
        """Store a request."""
        now = self._clock.time()
        return await self._store.write(lambda db: _add(db, approval, now))

    async def get(self, approval: str) -> Approval | None:
        """The request with this id."""
        bound = self._clock.time() - APPROVAL_KEPT
        return await self._store.read(lambda db: _get(db, approval, bound))

    async def pending(self, channel: Channel) -> tuple[Approval, ...]:
        """Requests that can still be decided."""
        now = self._clock.time()
        return await self._store.read(
            lambda db: tuple(
                _APPROVAL.decode(body) for (body,) in db.execute(_PENDING, (channel, now))
            )
        )

    async def decide(self, approval: str, verdict: Verdict) -> tuple[Approval | None, bool]:
        """Decide, once."""
        bound = self._clock.time() - APPROVAL_KEPT
        return await self._store.write(lambda db: _decide(db, approval, verdict, bound))

    async def sweep(self) -> None:
        """Remove what has expired."""
        await self._store.purge(_EXPIRED, self._clock.time() - APPROVAL_KEPT)


def _add(db: sqlite3.Connection, approval: Approval, now: float) -> bool:
    channel = approval.channel
    (waiting,) = db.execute(_COUNT, (channel, now)).fetchone()
    if waiting >= MAX_PENDING:
        return False
    decided = approval.verdict is not None
    times = (approval.created_at, approval.expires_at)
    row = (approval.id, channel, *times, decided, pack(approval))
    return db.execute(_ADD, row).rowcount > 0


def _get(db: sqlite3.Connection, approval: str, bound: float) -> Approval | None:
    row = db.execute(_GET, (approval, bound)).fetchone()
    return _APPROVAL.decode(row[0]) if row is not None else None


def _decide(
    db: sqlite3.Connection, approval: str, verdict: Verdict, bound: float
) -> tuple[Approval | None, bool]:
    kept = _get(db, approval, bound)
    if kept is None or not kept.pending(verdict.at):
        return kept, False
    decided = replace(kept, verdict=verdict)
    db.execute(_DECIDE, (pack(decided), approval))
    return decided, True
