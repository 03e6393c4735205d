"""Revocations, each stored until what it revokes would have expired.

Every node also holds revocations in memory. Where no other process writes the store, these are all of
them, and no handshake reads the store. Elsewhere a node writes those that it holds again to a store that
lost its data, and until then still rejects what it knows to be revoked.
"""

import asyncio
from collections import OrderedDict
from contextlib import suppress
from math import inf
from typing import Final

from portward.engines.port import (
    Change,
    EngineUnavailable,
    IndexEntry,
    IndexKey,
    Key,
    KeyValue,
    KeyValueFull,
)
from portward.model.clock import Clock
from portward.model.identity import Identity
from portward.model.revocation import Revocation, RevocationKind, identity_keys

MAX_HELD: Final = 10_000
"""Most revocations in the memory of one of several nodes; of more, the oldest is removed."""
MAX_ALL: Final = 100_000
"""Most in memory where these are all; with more, the store is read for each identity."""

_GROUP: Final = "revoked"
_AT: Final = Key(":at", _GROUP)
_UNTIL: Final = Key(":until", _GROUP)
_BY_TIME: Final = IndexKey(_AT, until=_UNTIL)
_FIELDS: Final = ("at", "until")
_ATTEMPTS: Final = 256
"""Most tries to store one: each that fails was overtaken by another revocation of the same."""
_TOGETHER: Final = 256

_Name = tuple[RevocationKind, str]


class RevocationsFull(Exception):  # noqa: N818 - an answer, not an error of the program
    """The engine has as many revocations as it can store; this one was not stored, and none was removed."""


class Revocations:
    """Revocations by kind and value. With `exclusive` no other process writes the store."""

    def __init__(self, kv: KeyValue, clock: Clock, *, exclusive: bool) -> None:
        self._kv = kv
        self._clock = clock
        self._exclusive = exclusive
        self._held: OrderedDict[_Name, Revocation] = OrderedDict()
        self._complete = False
        """Whether those in memory are all there are."""

    async def load(self) -> None:
        """Read as many revocations as are held, where no other process writes the store."""
        if self._exclusive:
            self._complete = True
            for revocation in await self._read_since(-inf, MAX_ALL + 1):
                self.hold(revocation)

    def hold(self, revocation: Revocation) -> None:
        """Keep a revocation in memory until it expires; of too many, the oldest is removed."""
        if revocation.until <= self._clock.time():
            return
        name = (revocation.kind, revocation.value)
        before = self._held.get(name, revocation)
        self._held[name] = Revocation(
            *name, max(before.at, revocation.at), max(before.until, revocation.until)
        )
        self._held.move_to_end(name)
        if len(self._held) > (MAX_ALL if self._exclusive else MAX_HELD):
            self._held.popitem(last=False)
            self._complete = False

    async def add(self, revocation: Revocation) -> None:
        """Store a revocation; of two for the same kind and value, the later and longer one.

        The caller announces it.

        Raises:
            RevocationsFull: there is no place for it.
        """
        if not self._exclusive:
            self.hold(revocation)
        try:
            await self._store(revocation)
        except asyncio.CancelledError:
            self.hold(revocation)  # the store carries out what it was asked for
            raise
        self.hold(revocation)

    async def _store(self, revocation: Revocation) -> None:
        name = f"{revocation.kind.value}:{revocation.value}"
        key = Key(f":{name}", _GROUP)
        kept: dict[str, bytes] = {}
        for _ in range(_ATTEMPTS):
            at = max(revocation.at, float(kept.get("at", revocation.at)))
            until = max(revocation.until, float(kept.get("until", revocation.until)))
            ttl = until - self._clock.time()
            if ttl <= 0:
                return
            change = Change(
                set={"at": repr(at).encode(), "until": repr(until).encode()},
                when={field: kept.get(field) for field in _FIELDS},
                ttl=ttl,
                indexes=(IndexEntry(_AT, name, at), IndexEntry(_UNTIL, name, until)),
                read=_FIELDS,
            )
            try:
                stored, kept = await self._kv.update(key, change)
            except KeyValueFull:
                raise RevocationsFull from None
            if stored:
                return
        raise EngineUnavailable("a revocation was changed too often at the same time")

    async def is_revoked(self, identity: Identity, session: str | None) -> bool:
        """Whether this identity, or this session id, was revoked."""
        if self._complete and not self._held:
            return False
        names = identity_keys(identity, session)
        for name in names:
            held = self._held.get(name)
            if held is not None and held.names(identity, session):
                return True
        if self._complete or not names:
            return False
        keys = [Key(f":{kind.value}:{value}", _GROUP) for kind, value in names]
        found = await self._kv.records(keys, _FIELDS)
        return any(
            Revocation(*name, *_times(fields)).names(identity, session)
            for name, fields in zip(names, found, strict=True)
            if len(fields) == len(_FIELDS)
        )

    async def token_revoked(self, token: str) -> bool:
        """Whether another application that shares the store revoked exactly this token.

        It has set the key `revoked_token:<token>`, with any value. Such a revocation is not announced.
        """
        return not self._exclusive and await self._kv.exists(
            Key(f"revoked_token:{token}", external=True)
        )

    async def since(self, at: float) -> tuple[Revocation, ...]:
        """Revocations made at or after `at`."""
        if self._complete:
            self.sweep()
            return tuple(each for each in self._held.values() if each.at >= at)
        found = await self._read_since(at)
        for revocation in found:
            self.hold(revocation)
        return found

    async def _read_since(self, at: float, limit: int = 0) -> tuple[Revocation, ...]:
        found: list[Revocation] = []
        for name, fields in await self._kv.indexed(_BY_TIME, _FIELDS, at, limit):
            kind, _, value = name.partition(":")
            with suppress(ValueError, KeyError):
                found.append(Revocation(RevocationKind(kind), value, *_times(fields)))
        return tuple(found)

    def sweep(self) -> None:
        """Remove what has expired from memory; the store does it by itself."""
        now = self._clock.time()
        for name in [name for name, held in self._held.items() if held.until <= now]:
            del self._held[name]

    async def restore(self) -> None:
        """Write all revocations in memory to a store that may have lost them.

        Raises:
            EngineUnavailable: not all of them could be written.
        """
        if self._exclusive:
            return
        self.sweep()
        held = list(self._held.values())
        for low in range(0, len(held), _TOGETHER):
            await asyncio.gather(*map(self._store, held[low : low + _TOGETHER]))


def _times(fields: dict[str, bytes]) -> tuple[float, float]:
    return float(fields["at"]), float(fields["until"])
