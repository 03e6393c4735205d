"""Where a reader stands in a channel's stream of publications."""

from typing import Final

import msgspec

EMPTY_EPOCH: Final = "~"
"""How the epoch of a channel begins that has no record, because nothing was published in it."""


class Position(msgspec.Struct, frozen=True):
    """A place in a stream: `offset` is dense and starts at 1, 0 means before the first publication.

    `epoch` names one life of the counter; it changes whenever offsets may have been lost, and two
    positions compare only when their epochs are equal.
    """

    offset: int
    epoch: str

    @property
    def empty(self) -> bool:
        """Whether nothing had been published yet, and nothing was kept of the channel."""
        return self.offset == 0 and self.epoch.startswith(EMPTY_EPOCH)
