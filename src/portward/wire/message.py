"""Messages ready to be sent: framed once, written to every recipient as the same bytes object."""

from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from portward.model.payload import MultipartPayload, Payload
from portward.wire import deflate, frames

ENGINE_MESSAGE: Final = b"4"
"""Type character of a text message in Engine.IO, protocol 4; binary messages have none."""

_TEXT: Final = frames.FIN | frames.TEXT
_BINARY: Final = frames.FIN | frames.BINARY
_DEFLATED: Final = frames.FIN | frames.RSV1 | frames.TEXT


class WireMessage:
    """One or more payloads, and all their frames in a row.

    `frame` is written to a socket; `payloads` go through a server that frames by itself, each as text
    or, where `kinds` is True, as bytes. `weight` is how many publications it counts as in a queue. A
    message with a `key` replaces an earlier one with the same key that is still queued for a slow peer.
    """

    __slots__ = ("frame", "key", "kinds", "payloads", "weight")

    def __init__(
        self,
        payloads: tuple[bytes, ...],
        kinds: tuple[bool, ...],
        frame: bytes,
        *,
        weight: int = 1,
        key: str | None = None,
    ) -> None:
        self.payloads = payloads
        self.kinds = kinds
        self.frame = frame
        self.weight = weight
        self.key = key

    @property
    def binary(self) -> bool:
        """Whether the first payload is binary."""
        return self.kinds[0]

    def parts(self) -> Iterator[tuple[bytes, bool]]:
        """Each payload, and whether it is binary."""
        return zip(self.payloads, self.kinds, strict=True)

    def __repr__(self) -> str:
        kind = "binary" if self.binary else "text"
        return f"<Message {kind} x{len(self.payloads)}, {len(self.frame)} bytes>"


def text(payload: bytes) -> WireMessage:
    """Frame UTF-8 text."""
    return WireMessage((payload,), (False,), frames.frame(_TEXT, payload))


def binary(payload: bytes) -> WireMessage:
    """Frame binary data."""
    return WireMessage((payload,), (True,), frames.frame(_BINARY, payload))


def deflated(payload: bytes) -> WireMessage:
    """Frame UTF-8 text compressed, for connections that negotiated it.

    No message is a context for compressing the next, so that one frame serves every recipient
    and the size of a message shows nothing about another.
    """
    return WireMessage((payload,), (False,), frames.frame(_DEFLATED, deflate.compress(payload)))


class FrameBuilder(NamedTuple):
    """Functions that turn the payloads of a protocol into messages for one kind of transport."""

    text: Callable[[Payload], WireMessage]
    deflated: Callable[[Payload], WireMessage]
    binary: Callable[[bytes], WireMessage]


def framing(mark: bytes = b"") -> FrameBuilder:
    """Make a frame builder that puts `mark` in front of each text."""

    def with_text(frame: Callable[[bytes], WireMessage]) -> Callable[[Payload], WireMessage]:
        return lambda words: (
            _parcel(words, mark, frame)
            if isinstance(words, MultipartPayload)
            else frame(mark + words)
        )

    return FrameBuilder(with_text(text), with_text(deflated), binary)


def _parcel(
    parcel: MultipartPayload, mark: bytes, frame: Callable[[bytes], WireMessage]
) -> WireMessage:
    """Join text and its attachments into one publication that no other message can divide."""
    parts = [frame(mark + parcel.text), *(binary(each) for each in parcel.attachments)]
    if parcel.then is not None:
        rest = parcel.then
        parts.append(
            _parcel(rest, mark, frame) if isinstance(rest, MultipartPayload) else frame(mark + rest)
        )
    whole = join(parts)
    return WireMessage(whole.payloads, whole.kinds, whole.frame)


PLAIN: Final = framing()
"""WebSocket messages without a mark."""
ENGINE: Final = framing(ENGINE_MESSAGE)
"""Messages of Engine.IO."""


def keyed(message: WireMessage, key: str) -> WireMessage:
    """The same message with a key: it replaces an earlier one with this key."""
    return WireMessage(
        message.payloads, message.kinds, message.frame, weight=message.weight, key=key
    )


def join(messages: Sequence[WireMessage]) -> WireMessage:
    """Join several messages into one write.

    Raises:
        ValueError: there are none.
    """
    if len(messages) == 1:
        return messages[0]
    if not messages:
        raise ValueError("there is nothing to join")
    return WireMessage(
        tuple(payload for each in messages for payload in each.payloads),
        tuple(kind for each in messages for kind in each.kinds),
        b"".join([each.frame for each in messages]),
        weight=sum(each.weight for each in messages),
    )
