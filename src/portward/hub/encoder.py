"""How one endpoint speaks: its dialect, and the framing that its connections agreed on."""

from collections.abc import Callable
from typing import Protocol

from portward.model.payload import Words
from portward.model.replies import Push
from portward.wire.message import WireMessage


class PushEncoder(Protocol):
    """The part of a dialect the hub needs."""

    def push(self, push: Push, now: int) -> Words | None:
        """Put a push into words; None when the dialect has no word for it. `now` is milliseconds."""


class Encoder:
    """Encodes once for every connection that shares it; `name` is its endpoint.

    `late` means that its dialect can say of a publication that it comes late, after newer ones. Two
    voices are never equal: they are keys.
    """

    __slots__ = ("_frame", "_now", "_speaker", "late", "name")

    def __init__(
        self,
        name: str,
        speaker: PushEncoder,
        frame: Callable[[Words], WireMessage],
        now: Callable[[], int],
        *,
        late: bool = False,
    ) -> None:
        self.name = name
        self.late = late
        self._speaker = speaker
        self._frame = frame
        self._now = now

    def encode(self, push: Push) -> WireMessage | None:
        """The ready-made message for a push, or None when this dialect does not tell it."""
        payload = self._speaker.push(push, self._now())
        return None if payload is None else self._frame(payload)
