"""Leases in maps, for engines of one process."""

from collections.abc import Collection, Mapping
from typing import Final

from portward.engines.port import Key
from portward.model.clock import Clock

MAX_LEASED: Final = 200_000
"""Most members of all keys; of more, those of the key that was leased longest ago are removed first."""


class MemoryLeases:
    """The part of `engines.port.KeyValue` about leases. Their times are Unix time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._keys: dict[Key, dict[str, tuple[float, bytes]]] = {}
        self._count = 0

    def lease(self, key: Key, members: Mapping[str, bytes], ttl: float, limit: int) -> None:
        """Add members, or renew them."""
        until = self._clock.time() + ttl
        leases = self._keys.pop(key, {})
        self._count -= len(leases)
        leases |= {member: (until, value) for member, value in members.items()}
        if limit and len(leases) > limit:
            newest = sorted(leases.items(), key=lambda each: each[1][0], reverse=True)[:limit]
            leases = dict(newest)
        self._put(key, leases)
        while self._count > MAX_LEASED:
            self._count -= len(self._keys.pop(next(iter(self._keys))))

    def _put(self, key: Key, leases: dict[str, tuple[float, bytes]]) -> None:
        if leases:
            self._keys[key] = leases
            self._count += len(leases)

    def leased(self, key: Key) -> dict[str, bytes]:
        """The members whose lease is valid, with their values."""
        now = self._clock.time()
        leases = self._keys.get(key, {})
        return {member: value for member, (until, value) in leases.items() if until > now}

    def release(self, key: Key, members: Collection[str]) -> frozenset[str]:
        """Remove members; returns those whose lease was valid."""
        leases = self._keys.get(key)
        if leases is None:
            return frozenset()
        now = self._clock.time()
        found = {member: leases.pop(member) for member in set(members) & leases.keys()}
        self._count -= len(found)
        if not leases:
            del self._keys[key]
        return frozenset(member for member, (until, _) in found.items() if until > now)

    def sweep(self) -> None:
        """Remove what has expired."""
        self.load(self.dump())

    def dump(self) -> list[tuple[Key, dict[str, tuple[float, bytes]]]]:
        """All valid leases by key, with the times when they end."""
        now = self._clock.time()
        every = [
            (key, {member: lease for member, lease in leases.items() if lease[0] > now})
            for key, leases in self._keys.items()
        ]
        return [(key, leases) for key, leases in every if leases]

    def load(self, dumped: list[tuple[Key, dict[str, tuple[float, bytes]]]]) -> None:
        """Replace everything by a dump."""
        self._keys, self._count = {}, 0
        for key, leases in dumped:
            self._put(key, leases)
