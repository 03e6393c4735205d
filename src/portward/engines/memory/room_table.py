"""Records of rooms in a map that publishing checks too: without its record a room accepts nothing."""

import secrets
from collections import Counter
from dataclasses import dataclass

from portward.model.channel import Channel
from portward.model.clock import Clock
from portward.model.room import RoomRecord


@dataclass(slots=True)
class RoomEntry:
    """A record. `due` is when it may end if it is not used, on the monotonic clock; None for never."""

    record: RoomRecord
    due: float | None = None
    idle: float = 0.0


class RoomTable:
    """All records of rooms, and how many each user's joins have made."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._entries: dict[Channel, RoomEntry] = {}
        self._made: Counter[str] = Counter()

    def get(self, channel: Channel) -> RoomEntry | None:
        """The entry of a room, expired or not."""
        return self._entries.get(channel)

    def current(self, channel: Channel) -> RoomRecord | None:
        """The record of a room that has not expired."""
        entry = self._entries.get(channel)
        return None if entry is None or self.expired(entry.record) else entry.record

    def expired(self, record: RoomRecord) -> bool:
        """Whether the fixed end of a record has passed."""
        return record.expires is not None and record.expires <= self._clock.time()

    def alive(self, channel: Channel, life: str) -> bool:
        """Whether the record of a room still has this `life`."""
        entry = self._entries.get(channel)
        if entry is None or entry.record.life != life:
            return False
        return entry.record.expires is None or not self.expired(entry.record)

    def put(self, channel: Channel, entry: RoomEntry) -> None:
        """Store a record in place of another."""
        self.drop(channel)
        self._entries[channel] = entry
        if entry.record.maker:
            self._made[entry.record.maker] += 1

    def drop(self, channel: Channel) -> bool:
        """Remove a record. False when there was none."""
        entry = self._entries.pop(channel, None)
        if entry is None:
            return False
        maker = entry.record.maker
        if maker:
            self._made[maker] -= 1
            if not self._made[maker]:
                del self._made[maker]
        return True

    def made(self) -> int:
        """How many rooms joins have made."""
        return self._made.total()

    def made_by(self, maker: str) -> int:
        """How many rooms the joins of one user have made."""
        return self._made[maker]

    def all(self) -> dict[Channel, RoomEntry]:
        """A copy of everything."""
        return dict(self._entries)


def new_life() -> str:
    """Make an id that no other record has had."""
    return secrets.token_hex(8)
