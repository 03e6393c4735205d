"""Resumable sessions and tickets in tables."""

import sqlite3
from typing import Final

from portward.engines.port import SessionRecord
from portward.engines.returns import Returns
from portward.engines.sqlite.codec import pack, reader
from portward.engines.sqlite.store import SqliteStore
from portward.model.channel import Channel
from portward.model.clock import Clock
from portward.model.identity import Identity

_IDENTITY: Final = reader(Identity)
_USERS: Final = reader(dict[str, dict[Channel, float]])
_RETURNS: Final = "returns"
_KEEP: Final = "INSERT OR REPLACE INTO kept (key, value) VALUES (?, ?)"

_SAVE: Final = (
    "INSERT OR REPLACE INTO sessions (id, nonce, client, until, identity) VALUES (?, ?, ?, ?, ?)"
)
_FIND: Final = "SELECT identity FROM sessions WHERE id = ? AND nonce = ? AND until > ?"
_SWAP: Final = "UPDATE sessions SET nonce = ?, client = ? WHERE id = ?"
_RELEASE: Final = "UPDATE sessions SET until = ? WHERE id = ? AND client = ?"
_PUT: Final = "INSERT OR REPLACE INTO tickets (digest, until, identity) VALUES (?, ?, ?)"
_EXPIRED_SESSIONS: Final = (
    "DELETE FROM sessions WHERE id IN (SELECT id FROM sessions WHERE until <= ? LIMIT ?)"
)
_EXPIRED_TICKETS: Final = (
    "DELETE FROM tickets WHERE digest IN (SELECT digest FROM tickets WHERE until <= ? LIMIT ?)"
)


class SqliteSessions:
    """Implements `engines.port.Sessions`."""

    def __init__(self, store: SqliteStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._returns = Returns(clock)

    def load(self, db: sqlite3.Connection) -> None:
        """Take the lost subscriptions that the last run stored out of the file."""
        row = db.execute("SELECT value FROM kept WHERE key = ?", (_RETURNS,)).fetchone()
        self._returns.load({} if row is None else _USERS.decode(row[0]))
        db.execute("DELETE FROM kept WHERE key = ?", (_RETURNS,))

    async def flush(self) -> None:
        """Store the lost subscriptions for the next run: they change too often to be written each time."""
        kept = self._returns.dump()
        if kept:
            await self._store.execute(_KEEP, (_RETURNS, pack(kept).decode()))

    async def save(self, record: SessionRecord, ttl: float) -> None:
        """Store a record."""
        until = self._clock.time() + ttl
        row = (record.id, record.nonce, record.client, until, pack(record.identity))
        await self._store.execute(_SAVE, row)

    async def swap(self, session: str, nonce: str, new: str, client: str) -> SessionRecord | None:
        """Exchange the nonce, once."""
        now = self._clock.time()

        def work(db: sqlite3.Connection) -> SessionRecord | None:
            row = db.execute(_FIND, (session, nonce, now)).fetchone()
            if row is None:
                return None
            db.execute(_SWAP, (new, client, session))
            identity = _IDENTITY.decode(row[0])
            return SessionRecord(id=session, identity=identity, nonce=new, client=client)

        return await self._store.write(work)

    async def release(self, session: str, client: str, ttl: float) -> None:
        """Shorten the record's time after its connection closed."""
        await self._store.execute(_RELEASE, (self._clock.time() + ttl, session, client))

    async def drop(self, session: str) -> None:
        """Remove a record."""
        await self._store.execute("DELETE FROM sessions WHERE id = ?", (session,))

    async def put_ticket(self, ticket: str, identity: Identity, ttl: float) -> None:
        """Store a ticket."""
        await self._store.execute(_PUT, (ticket, self._clock.time() + ttl, pack(identity)))

    async def take_ticket(self, ticket: str) -> Identity | None:
        """Redeem a ticket, once."""
        now = self._clock.time()

        def work(db: sqlite3.Connection) -> Identity | None:
            row = db.execute(
                "SELECT identity, until FROM tickets WHERE digest = ?", (ticket,)
            ).fetchone()
            if row is None:
                return None
            db.execute("DELETE FROM tickets WHERE digest = ?", (ticket,))
            return _IDENTITY.decode(row[0]) if row[1] > now else None

        return await self._store.write(work)

    async def put_returns(self, user: str, channels: tuple[Channel, ...], ttl: float) -> None:
        """Store channels of a user, in memory."""
        self._returns.put(user, channels, ttl)

    async def take_returns(self, user: str, channels: tuple[Channel, ...]) -> frozenset[Channel]:
        """Those that are stored, once."""
        return self._returns.take(user, channels)

    async def sweep(self) -> None:
        """Remove what has expired."""
        self._returns.sweep()
        now = self._clock.time()
        await self._store.purge(_EXPIRED_SESSIONS, now)
        await self._store.purge(_EXPIRED_TICKETS, now)
