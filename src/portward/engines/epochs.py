"""Epochs of channels that have no stream yet, for engines of one process.

An epoch is computed, not stored: subscribing to a channel in which nothing was published costs no record,
and the subscriber's position is still valid when the first publication makes the stream.
"""

from hashlib import blake2b
from typing import Final
from zlib import crc32

import msgspec

from portward.model.channel import Channel
from portward.model.position import Position
from portward.model.publication import HistoryPage, HistoryQuery

GROUPS: Final = 65_536
"""Channels share the counts of ended streams in groups, so that memory is bounded."""
_SIZE: Final = 8
"""Bytes of an epoch, written as hexadecimal digits."""


class NextEpochs(msgspec.Struct):
    """For each channel without a stream: the epoch of its next stream.

    It is computed from a secret of the store, the name of the channel, and how many streams of the channel's
    group have ended. So two streams of one channel never have the same epoch. The end of a stream also
    changes the epochs of the other channels of its group that have no stream: their subscribers cannot
    recover although nothing was lost. With `GROUPS` this is rare.
    """

    secret: str
    ended: dict[int, int] = msgspec.field(default_factory=dict)
    """How many streams of a group have ended; without the groups where none has."""

    def __repr__(self) -> str:
        return f"NextEpochs({len(self.ended)} groups)"

    def of(self, channel: Channel) -> str:
        """The epoch of the next stream of a channel."""
        seed = f"{self.secret} {self.ended.get(_group(channel), 0)} {channel}"
        return blake2b(seed.encode("utf-8", "surrogatepass"), digest_size=_SIZE).hexdigest()

    def page(self, channel: Channel, query: HistoryQuery) -> HistoryPage:
        """The answer to a query about a channel without a stream."""
        position = Position(0, self.of(channel))
        return HistoryPage((), position, complete=query.since in {None, position})

    def end(self, channel: Channel) -> None:
        """Record that a stream has ended: the next one of the channel has another epoch."""
        group = _group(channel)
        self.ended[group] = self.ended.get(group, 0) + 1


def _group(channel: Channel) -> int:
    return crc32(channel.encode("utf-8", "surrogatepass")) % GROUPS
