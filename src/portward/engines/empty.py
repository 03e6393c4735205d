"""Positions of channels without a record: nothing is kept of them, and still their epochs last."""

from hashlib import blake2b
from typing import Final
from zlib import crc32

import msgspec

from portward.model.channel import Channel
from portward.model.position import EMPTY_EPOCH

GROUPS: Final = 4096
_SIZE: Final = 6


class EmptyEpochs(msgspec.Struct):
    """The epochs of one store's channels as long as they have no record.

    An epoch follows from a secret of the store, from the channel's name, and from a number that goes up
    when a stream is dropped. The first publication makes the record, with this very epoch; the next life
    of a channel that was dropped has another one. Channels share the numbers in `GROUPS`, so that they
    stay bounded: a drop also changes the epochs of a few channels that are empty, whose readers are then
    told to start afresh though they missed nothing.
    """

    secret: str
    numbers: dict[int, int] = msgspec.field(default_factory=dict)
    """By group, those that are not 0."""

    def __repr__(self) -> str:
        return f"EmptyEpochs({len(self.numbers)} numbers)"

    def of(self, channel: Channel) -> str:
        """The epoch of a channel as long as it has no record, and of the record it gets next."""
        seed = f"{self.secret} {self.numbers.get(_group(channel), 0)} {channel}"
        return EMPTY_EPOCH + blake2b(seed.encode(), digest_size=_SIZE).hexdigest()

    def dropped(self, channel: Channel) -> None:
        """A stream is gone: the next one has another epoch."""
        group = _group(channel)
        self.numbers[group] = self.numbers.get(group, 0) + 1


def _group(channel: Channel) -> int:
    return crc32(channel.encode()) % GROUPS
