"""Envelopes: `{"type", "data", "timestamp"}`, with an `id` where an answer is expected."""

import time
from collections.abc import Mapping
from typing import Any

import msgspec


class Envelope(msgspec.Struct, frozen=True):
    """One message of the dialect. Unknown keys are passed over: a newer gateway may have some."""

    type: str
    data: dict[str, Any]
    timestamp: float | None = None
    id: str | None = None


_decoder = msgspec.json.Decoder(Envelope)


def decode(text: str) -> Envelope:
    """Read an envelope.

    Raises:
        ValueError: the text is none.
    """
    return _decoder.decode(text)


def encode(kind: str, data: Mapping[str, Any], identifier: str | None = None) -> str:
    """Write an envelope, stamped with the time of now."""
    envelope = {"type": kind, "data": data, "timestamp": int(time.time() * 1000)}
    if identifier is not None:
        envelope["id"] = identifier
    return msgspec.json.encode(envelope).decode()
