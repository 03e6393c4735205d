"""Queue of messages that wait for a poll, with bounds; it uses no memory while it is empty."""

from portward.model.channel import Channel
from portward.wire.message import WireMessage
from portward.wire.send_queue import SendQueue


class PollingQueue:
    """Messages in order. `room` is how many bytes may wait, `size` how many do."""

    __slots__ = ("_outbox", "_room")

    def __init__(self, room: int) -> None:
        self._room = room
        self._outbox: SendQueue | None = None

    def __bool__(self) -> bool:
        return bool(self._outbox)

    @property
    def size(self) -> int:
        """Bytes that wait, as frames."""
        return self._outbox.size if self._outbox is not None else 0

    def push(self, message: WireMessage, channel: Channel | None, now: float, ahead: int) -> bool:
        """Queue, unless that would break a bound; `ahead` bytes wait in front of this queue."""
        if self._outbox is None:
            self._outbox = SendQueue(self._room)
        return self._outbox.push(message, channel, now, ahead)

    def stale(self, now: float) -> bool:
        """Whether the oldest message has waited too long."""
        return self._outbox is not None and self._outbox.stale(now)

    def drop(self, channel: Channel) -> None:
        """Remove the queued messages of this channel."""
        if self._outbox is not None:
            self._outbox.drop(channel)

    def clear(self) -> None:
        """Remove everything."""
        self._outbox = None

    def empty(self) -> list[tuple[WireMessage, Channel | None]]:
        """Take everything."""
        outbox, self._outbox = self._outbox, None
        return [outbox.take() for _ in range(len(outbox))] if outbox is not None else []
