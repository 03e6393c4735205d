"""Where a reader stands in a channel's stream of publications."""

import msgspec


class Position(msgspec.Struct, frozen=True):
    """A place in a stream: `offset` is dense and starts at 1, 0 means before the first publication.

    `epoch` names one life of the counter; it changes whenever offsets may have been lost, and two
    positions compare only when their epochs are equal.
    """

    offset: int
    epoch: str
