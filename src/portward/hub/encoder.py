"""Encoding of pushes for one endpoint: its protocol and the negotiated framing."""

from collections.abc import Callable
from typing import Protocol

from portward.model.payload import Payload
from portward.model.replies import Push
from portward.wire.message import WireMessage


class PushEncoder(Protocol):
    """The part of a protocol implementation that the hub needs."""

    def push(self, push: Push, now: int) -> Payload | None:
        """Encode a push; None when the protocol has no message for it. `now` is Unix time in milliseconds."""


class Encoder:
    """Encodes a push once for all connections that share this encoder; `name` is the name of the endpoint.

    `time` returns Unix seconds. `late` means that the protocol can mark a publication as late, sent after
    newer ones. Encoders are dictionary keys and are compared by identity.
    """

    __slots__ = ("_frame", "_protocol", "_time", "late", "name")

    def __init__(
        self,
        name: str,
        protocol: PushEncoder,
        frame: Callable[[Payload], WireMessage],
        time: Callable[[], float],
        *,
        late: bool = False,
    ) -> None:
        self.name = name
        self.late = late
        self._protocol = protocol
        self._frame = frame
        self._time = time

    def encode(self, push: Push) -> WireMessage | None:
        """Return the framed message of a push, or None when this protocol has no message for it."""
        payload = self._protocol.push(push, int(self._time() * 1000))
        return None if payload is None else self._frame(payload)
