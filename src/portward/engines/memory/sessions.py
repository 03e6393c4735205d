"""Resumable sessions and tickets in maps, with their times on the monotonic clock."""

from msgspec.structs import replace

from portward.engines.port import SessionRecord
from portward.engines.returns import Returns
from portward.model.channel import Channel
from portward.model.clock import Clock
from portward.model.identity import Identity


class MemorySessions:
    """Implements `engines.port.Sessions`."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._records: dict[str, tuple[SessionRecord, float]] = {}
        self._tickets: dict[str, tuple[Identity, float]] = {}
        self._returns = Returns(clock)

    async def save(self, record: SessionRecord, ttl: float) -> None:
        """Store a record."""
        self._records[record.id] = (record, self._clock.monotonic() + ttl)

    async def swap(self, session: str, nonce: str, new: str, client: str) -> SessionRecord | None:
        """Exchange the nonce, once."""
        record, until = self._records.get(session, (None, 0.0))
        if record is None or until <= self._clock.monotonic() or record.nonce != nonce:
            return None
        record = replace(record, nonce=new, client=client)
        self._records[session] = (record, until)
        return record

    async def release(self, session: str, client: str, ttl: float) -> None:
        """Shorten the record's time after its connection closed."""
        record, _ = self._records.get(session, (None, 0.0))
        if record is not None and record.client == client:
            self._records[session] = (record, self._clock.monotonic() + ttl)

    async def drop(self, session: str) -> None:
        """Remove a record."""
        self._records.pop(session, None)

    async def put_ticket(self, ticket: str, identity: Identity, ttl: float) -> None:
        """Store a ticket."""
        self._tickets[ticket] = (identity, self._clock.monotonic() + ttl)

    async def take_ticket(self, ticket: str) -> Identity | None:
        """Redeem a ticket, once."""
        identity, until = self._tickets.pop(ticket, (None, 0.0))
        return identity if until > self._clock.monotonic() else None

    async def put_returns(self, user: str, channels: tuple[Channel, ...], ttl: float) -> None:
        """Store channels of a user."""
        self._returns.put(user, channels, ttl)

    async def take_returns(self, user: str, channels: tuple[Channel, ...]) -> frozenset[Channel]:
        """Those that are stored, once."""
        return self._returns.take(user, channels)

    def sweep(self) -> None:
        """Remove what has expired."""
        self._returns.sweep()
        now = self._clock.monotonic()
        self._records = {k: kept for k, kept in self._records.items() if kept[1] > now}
        self._tickets = {k: kept for k, kept in self._tickets.items() if kept[1] > now}
