"""Revocations: in memory as far as they fit, because every handshake is checked against them."""

import sqlite3
from collections.abc import Iterable
from typing import Final

from portward.engines.sqlite.store import SqliteStore
from portward.model.clock import Clock
from portward.model.identity import Identity
from portward.model.revocation import Revocation, RevocationKind, identity_keys

MAX_CACHED: Final = 100_000
"""Most revocations in memory; with more, the file is read for each identity."""

_Key = tuple[RevocationKind, str]

_ADD: Final = "INSERT OR REPLACE INTO revocations (kind, value, at, until) VALUES (?, ?, ?, ?)"
_ALL: Final = "SELECT kind, value, at, until FROM revocations"
_FIND: Final = f"{_ALL} WHERE kind = ? AND value = ?"
_SINCE: Final = f"{_ALL} WHERE at >= ? ORDER BY at"
_SOME: Final = f"{_ALL} LIMIT ?"
_EXPIRED: Final = (
    "DELETE FROM revocations WHERE (kind, value) IN"
    " (SELECT kind, value FROM revocations WHERE until <= ? LIMIT ?)"
)


class SqliteRevocations:
    """Implements `engines.port.Revocations`."""

    def __init__(self, store: SqliteStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._cache: dict[_Key, Revocation] = {}
        self._whole = True
        """Whether the cache has all revocations."""

    def load(self, db: sqlite3.Connection) -> None:
        """Read as many as fit."""
        rows = db.execute(_SOME, (MAX_CACHED + 1,))
        self._cache = {(each.kind, each.value): each for each in map(_revocation, rows)}
        self._whole = True
        self._shrink()

    def _shrink(self) -> None:
        while len(self._cache) > MAX_CACHED:
            del self._cache[next(iter(self._cache))]
            self._whole = False

    async def add(self, revocation: Revocation) -> None:
        """Store a revocation in place of an earlier one for the same kind and value."""
        row = (str(revocation.kind), revocation.value, revocation.at, revocation.until)
        await self._store.write(lambda db: db.execute(_ADD, row), lambda _: self._added(revocation))

    def _added(self, revocation: Revocation) -> None:
        key = (revocation.kind, revocation.value)
        self._cache.pop(key, None)
        self._cache[key] = revocation
        self._shrink()

    async def is_revoked(self, identity: Identity, session: str | None) -> bool:
        """Whether any stored revocation names this identity or session."""
        if self._whole and not self._cache:
            return False
        keys = identity_keys(identity, session)
        kept = [self._cache[key] for key in keys if key in self._cache]
        if not self._whole:
            kept += await self._store.read(lambda db: _read(db, keys))
        return any(each.names(identity, session) for each in kept)

    async def token_revoked(self, token: str) -> bool:  # noqa: ARG002 - the port
        """False: no other application writes this file."""
        return False

    async def since(self, at: float) -> tuple[Revocation, ...]:
        """Revocations made at or after `at`."""
        if self._whole:
            return tuple(each for each in self._cache.values() if each.at >= at)
        return await self._store.read(
            lambda db: tuple(_revocation(row) for row in db.execute(_SINCE, (at,)))
        )

    async def sweep(self) -> None:
        """Remove what has expired."""
        now = self._clock.time()
        if await self._store.purge(_EXPIRED, now):
            self._cache = {key: kept for key, kept in self._cache.items() if kept.until > now}


def _revocation(row: tuple[str, str, float, float]) -> Revocation:
    kind, value, at, until = row
    return Revocation(RevocationKind(kind), value, at, until)


def _read(db: sqlite3.Connection, keys: Iterable[_Key]) -> list[Revocation]:
    return [_revocation(row) for kind, value in keys for row in db.execute(_FIND, (kind, value))]
