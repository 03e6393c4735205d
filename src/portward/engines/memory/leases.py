"""Leases in maps, for engines of one process."""

from collections.abc import Collection, Mapping
from typing import Final

from portward.engines.port import Key, LeaseKey
from portward.model.clock import Clock

MAX_LEASED: Final = 200_000
"""Most members of all keys; of more, those of the key that was leased longest ago are removed first."""


class MemoryLeases:
    """The part of `engines.port.KeyValue` about leases. Their times are Unix time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._leased: dict[Key, dict[str, tuple[float, bytes]]] = {}
        self._leased_count = 0

    async def lease(
        self, key: LeaseKey, members: Mapping[str, bytes], ttl: float, limit: int = 0
    ) -> None:
        """Add members, or renew them."""
        until = self._clock.time() + ttl
        leases = self._leased.pop(key.until, {})
        self._leased_count -= len(leases)
        leases |= {member: (until, value) for member, value in members.items()}
        if limit and len(leases) > limit:
            newest = sorted(leases.items(), key=lambda each: each[1][0], reverse=True)[:limit]
            leases = dict(newest)
        self._put_leases(key.until, leases)
        while self._leased_count > MAX_LEASED:
            self._leased_count -= len(self._leased.pop(next(iter(self._leased))))

    def _put_leases(self, key: Key, leases: dict[str, tuple[float, bytes]]) -> None:
        if leases:
            self._leased[key] = leases
            self._leased_count += len(leases)

    async def leased(self, key: LeaseKey) -> dict[str, bytes]:
        """The members whose lease is valid, with their values."""
        now = self._clock.time()
        leases = self._leased.get(key.until, {})
        return {member: value for member, (until, value) in leases.items() if until > now}

    async def release(self, key: LeaseKey, members: Collection[str]) -> frozenset[str]:
        """Remove members; returns those whose lease was valid."""
        leases = self._leased.get(key.until)
        if leases is None:
            return frozenset()
        now = self._clock.time()
        found = {member: leases.pop(member) for member in set(members) & leases.keys()}
        self._leased_count -= len(found)
        if not leases:
            del self._leased[key.until]
        return frozenset(member for member, (until, _) in found.items() if until > now)

    def sweep_leases(self) -> None:
        """Remove what has expired."""
        self.load_leases(self.dump_leases())

    def dump_leases(self) -> list[tuple[Key, dict[str, tuple[float, bytes]]]]:
        """All valid leases by key, with the times when they end."""
        now = self._clock.time()
        every = [
            (key, {member: lease for member, lease in leases.items() if lease[0] > now})
            for key, leases in self._leased.items()
        ]
        return [(key, leases) for key, leases in every if leases]

    def load_leases(self, dumped: list[tuple[Key, dict[str, tuple[float, bytes]]]]) -> None:
        """Replace everything by a dump."""
        self._leased, self._leased_count = {}, 0
        for key, leases in dumped:
            self._put_leases(key, leases)
