"""Revocations in a map by kind and value."""

from typing import Final

from portward.engines.port import RevocationsFull
from portward.model.clock import Clock
from portward.model.identity import Identity
from portward.model.revocation import Revocation, RevocationKind, identity_keys

MAX_REVOCATIONS: Final = 250_000
"""Most revocations; of more, the new one is rejected, because none may be removed."""


class MemoryRevocations:
    """Implements `engines.port.Revocations`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: dict[tuple[RevocationKind, str], Revocation] = {}

    async def add(self, revocation: Revocation) -> None:
        """Store a revocation in place of an earlier one for the same kind and value."""
        key = (revocation.kind, revocation.value)
        if key not in self._kept and len(self._kept) >= MAX_REVOCATIONS:
            self.sweep()
            if len(self._kept) >= MAX_REVOCATIONS:
                raise RevocationsFull
        self._kept[key] = revocation

    async def is_revoked(self, identity: Identity, session: str | None) -> bool:
        """Whether any stored revocation names this identity or session."""
        if not self._kept:
            return False
        return any(
            (kept := self._kept.get(key)) is not None and kept.names(identity, session)
            for key in identity_keys(identity, session)
        )

    async def token_revoked(self, token: str) -> bool:  # noqa: ARG002 - the port
        """False: no other application shares this memory."""
        return False

    async def since(self, at: float) -> tuple[Revocation, ...]:
        """Revocations made at or after `at`."""
        return tuple(kept for kept in self._kept.values() if kept.at >= at)

    def sweep(self) -> None:
        """Remove what has expired."""
        now = self._clock.time()
        self._kept = {key: kept for key, kept in self._kept.items() if kept.until > now}
