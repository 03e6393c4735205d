"""One session in one channel."""

from portward.model.channel import Channel
from portward.model.rights import Right
from portward.model.room import RoomRecord


class Subscription:
    """One session in one channel, with the rights it was judged to have.

    `present` means that presence may know of it, `settled` that the channel is heard; `judged` counts
    the judgements begun, of which there are none for one that is `trusted`.
    """

    __slots__ = ("channel", "judged", "present", "record", "rights", "settled", "trusted")

    def __init__(
        self, channel: Channel, rights: Right, record: RoomRecord | None, *, trusted: bool = False
    ) -> None:
        self.trusted = trusted
        self.channel = channel
        self.rights = rights
        self.record = record
        self.present = False
        self.settled = False
        self.judged = 0
