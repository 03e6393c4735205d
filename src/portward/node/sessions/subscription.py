"""The subscription of one session to one channel."""

from portward.model.channel import Channel
from portward.model.rights import Right
from portward.model.room import RoomRecord


class Subscription:
    """One session in one channel, with the rights it was granted.

    `present` means that it may be in the presence store, `settled` that the hub writes to it. `checks`
    counts the rights checks that have begun; a `trusted` subscription has none.
    """

    __slots__ = ("channel", "checks", "present", "record", "rights", "settled", "trusted")

    def __init__(
        self, channel: Channel, rights: Right, record: RoomRecord | None, *, trusted: bool = False
    ) -> None:
        self.trusted = trusted
        self.channel = channel
        self.rights = rights
        self.record = record
        self.present = False
        self.settled = False
        self.checks = 0
