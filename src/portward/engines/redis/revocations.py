"""Revocations.

Every node also stores the revocations that it received: it writes them again to a store that lost its
data, and until then this node still rejects what it knows to be revoked.
"""

from collections import OrderedDict
from contextlib import suppress
from typing import Final

from portward.engines.redis.commands import RedisCommands, together
from portward.engines.redis.keys import Keys
from portward.engines.redis.scripts import script
from portward.model.clock import Clock
from portward.model.identity import Identity
from portward.model.revocation import Revocation, RevocationKind, identity_keys

REMEMBERED: Final = 10_000

_REVOKE = script("revoke")
_REVOKED = script("revoked")
_SINCE = script("since")

_Name = tuple[RevocationKind, str]


class RedisRevocations:
    """Implements `engines.port.Revocations`."""

    def __init__(self, commands: RedisCommands, keys: Keys, clock: Clock) -> None:
        self._commands = commands
        self._keys = keys
        self._clock = clock
        self._known: OrderedDict[_Name, Revocation] = OrderedDict()

    def remember(self, revocation: Revocation) -> None:
        """Store a revocation in memory; of too many, the oldest is removed."""
        name = (revocation.kind, revocation.value)
        self._known[name] = revocation
        self._known.move_to_end(name)
        if len(self._known) > REMEMBERED:
            self._known.popitem(last=False)

    async def add(self, revocation: Revocation) -> None:
        """Store a revocation; of two for the same kind and value, the later and longer one."""
        self.remember(revocation)
        await self._store(revocation)

    async def _store(self, revocation: Revocation) -> None:
        entry = f"{revocation.kind.value}:{revocation.value}"
        await self._commands.run(
            _REVOKE,
            (self._keys.revoked(entry), self._keys.revoked_at, self._keys.revoked_until),
            (repr(revocation.at), repr(revocation.until), entry),
        )

    async def is_revoked(self, identity: Identity, session: str | None) -> bool:
        """Whether any stored revocation names this identity or session."""
        names = identity_keys(identity, session)
        known = (self._known.get(name) for name in names)
        if any(each is not None and each.names(identity, session) for each in known):
            return True
        keys = [self._keys.revoked(f"{kind.value}:{value}") for kind, value in names]
        if not keys:
            return False
        found = await self._commands.run(_REVOKED, keys, ())
        return any(
            Revocation(kind, value, float(times[0]), float(times[1])).names(identity, session)
            for (kind, value), times in zip(names, found, strict=True)
            if times
        )

    async def token_revoked(self, token: str) -> bool:
        """Whether another application has set a key `revoked_token:<token>`, with any value."""
        key = self._keys.revoked_token(token)
        return bool(await self._commands.send(key, "EXISTS", key))

    async def since(self, at: float) -> tuple[Revocation, ...]:
        """Revocations made at or after `at`."""
        keys = (self._keys.revoked_at, self._keys.revoked_until)
        found: list[Revocation] = []
        for entry, made, until in await self._commands.run(_SINCE, keys, (repr(at),), bulk=True):
            kind, _, value = entry.decode().partition(":")
            with suppress(ValueError):
                found.append(Revocation(RevocationKind(kind), value, float(made), float(until)))
        for revocation in found:
            self.remember(revocation)
        return tuple(found)

    def sweep(self) -> None:
        """Remove what has expired from memory; the store does it by itself."""
        now = self._clock.time()
        for name in [name for name, kept in self._known.items() if kept.until <= now]:
            del self._known[name]

    async def restore(self) -> None:
        """Write all known revocations to the store again.

        Raises:
            EngineUnavailable: not all of them could be written.
        """
        self.sweep()
        await together([self._store(revocation) for revocation in self._known.values()])
