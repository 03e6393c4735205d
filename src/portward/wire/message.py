"""Messages ready to be sent: framed once, written to every recipient as the same bytes object."""

from collections.abc import Sequence

from portward.wire import deflate, frames


class Message:
    """One or more payloads of one kind, and all their frames in a row.

    `frame` is what goes to a socket; `payloads` goes through a server that frames by itself. A message
    with a `key` takes the place of an earlier one with the same key that a slow reader has not got yet.
    """

    __slots__ = ("binary", "frame", "key", "payloads")

    def __init__(
        self, payloads: tuple[bytes, ...], frame: bytes, *, binary: bool, key: str | None = None
    ) -> None:
        self.key = key
        self.payloads = payloads
        self.frame = frame
        self.binary = binary

    @property
    def weight(self) -> int:
        """How many publications this counts as in a queue."""
        return len(self.payloads)

    def __repr__(self) -> str:
        kind = "binary" if self.binary else "text"
        return f"<Message {kind} x{len(self.payloads)}, {len(self.frame)} bytes>"


def text(payload: bytes) -> Message:
    """Frame UTF-8 text."""
    return Message((payload,), frames.frame(frames.FIN | frames.TEXT, payload), binary=False)


def binary(payload: bytes) -> Message:
    """Frame bytes."""
    return Message((payload,), frames.frame(frames.FIN | frames.BINARY, payload), binary=True)


def deflated(payload: bytes) -> Message:
    """Frame UTF-8 text compressed, for connections that negotiated it.

    Nothing of one message is used to compress the next, so that one frame serves every recipient
    and no message tells about another.
    """
    first = frames.FIN | frames.RSV1 | frames.TEXT
    return Message((payload,), frames.frame(first, deflate.compress(payload)), binary=False)


def keyed(message: Message, key: str) -> Message:
    """The same message, to replace an earlier one with this key."""
    return Message(message.payloads, message.frame, binary=message.binary, key=key)


def join(messages: Sequence[Message]) -> Message:
    """Several messages as one write. They are of one kind: all text or all binary.

    Raises:
        ValueError: there are none, or they are of both kinds.
    """
    if len(messages) == 1:
        return messages[0]
    if len({each.binary for each in messages}) != 1:
        raise ValueError("only messages of one kind can be joined")
    return Message(
        tuple(payload for each in messages for payload in each.payloads),
        b"".join([each.frame for each in messages]),
        binary=messages[0].binary,
    )
