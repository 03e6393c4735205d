"""The position in the stream of publications of a channel."""

import msgspec


class Position(msgspec.Struct, frozen=True):
    """A position in a stream: `offset` has no holes and starts at 1; 0 is before the first publication.

    `epoch` identifies one period of the counter. It changes whenever offsets may have been lost; positions
    can be compared only when their epochs are equal.
    """

    offset: int
    epoch: str
