"""Bounded queue of messages that a peer has not read yet, between a link and its transport."""

from collections import deque
from itertools import islice
from typing import Final

from portward.model.channel import Channel
from portward.model.limits import OUTBOX_AGE, OUTBOX_BYTES, OUTBOX_COUNT
from portward.wire.message import WireMessage

_Entry = tuple[WireMessage, Channel | None, float]
_CHUNK: Final = 512
"""Frames returned at once: within what one `writev` takes (IOV_MAX, 1024 on Linux)."""


class SendQueue:
    """Messages in order, each with its channel and the time (monotonic seconds) it was queued.

    `size` is in bytes of frames, at most `room`; `weight` in publications.
    """

    __slots__ = ("_entries", "_room", "size", "weight")

    def __init__(self, room: int = OUTBOX_BYTES) -> None:
        self._room = room
        self._entries: deque[_Entry] = deque()
        self.size = 0
        self.weight = 0

    def __len__(self) -> int:
        return len(self._entries)

    def push(self, message: WireMessage, channel: Channel | None, now: float, ahead: int) -> bool:
        """Queue a message; False, and nothing queued, when that would break a bound.

        `ahead` is the number of bytes that wait in front of this queue.
        """
        if message.key is not None:
            self._supersede(message.key, channel)
        size = self.size + len(message.frame)
        weight = self.weight + message.weight
        entries = self._entries
        if size + ahead > self._room or weight > OUTBOX_COUNT:
            return False
        if entries and now - entries[0][2] > OUTBOX_AGE:
            return False
        entries.append((message, channel, now))
        self.size = size
        self.weight = weight
        return True

    def _supersede(self, key: str, channel: Channel | None) -> None:
        """Remove the earlier message with this key of this channel."""
        for entry in self._entries:
            earlier = entry[0]
            if earlier.key == key and entry[1] == channel:
                self._entries.remove(entry)
                self.size -= len(earlier.frame)
                self.weight -= earlier.weight
                return

    def stale(self, now: float) -> bool:
        """Whether the oldest message has waited too long."""
        return bool(self._entries) and now - self._entries[0][2] > OUTBOX_AGE

    def frames(self) -> list[bytes]:
        """The first frames in order, to be written; call `sent` with the number of bytes written."""
        entries = self._entries
        return [entry[0].frame for entry in islice(entries, _CHUNK)]

    def sent(self, count: int) -> bytes:
        """Remove the first `count` bytes; returns the rest of a frame that was cut, to be sent next."""
        while self._entries:
            frame = self._entries[0][0].frame
            if count < len(frame):
                break
            self.pop()
            count -= len(frame)
        return self.pop().frame[count:] if count else b""

    def pop(self) -> WireMessage:
        """Take the oldest message.

        Raises:
            IndexError: there is none.
        """
        return self.take()[0]

    def take(self) -> tuple[WireMessage, Channel | None]:
        """Take the oldest message, with its channel.

        Raises:
            IndexError: there is none.
        """
        message, channel, _ = self._entries.popleft()
        self.size -= len(message.frame)
        self.weight -= message.weight
        return message, channel

    def drop(self, channel: Channel) -> None:
        """Remove the queued messages of this channel."""
        kept = [entry for entry in self._entries if entry[1] != channel]
        self._entries = deque(kept)
        self.size = sum(len(message.frame) for message, _, _ in kept)
        self.weight = sum(message.weight for message, _, _ in kept)

    def clear(self) -> None:
        """Remove everything."""
        self._entries.clear()
        self.size = self.weight = 0
