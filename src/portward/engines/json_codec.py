"""JSON codec for values in a store and on the bus, decoded by schema only."""

from typing import Any, TypeVar

import msgspec

from portward.model.channel import Channel

T = TypeVar("T")

MALFORMED = (msgspec.DecodeError, RecursionError)
"""Errors of decoding a value of another form."""


def _from_channel(value: Any) -> str:
    """Encode a channel, the only type of the model that msgspec does not know."""
    if isinstance(value, Channel):
        return str(value)
    raise TypeError(f"{type(value).__name__} is no JSON value")


def _to_channel(kind: type, value: Any) -> Channel:
    if kind is Channel and isinstance(value, str):
        return Channel.parse(value)
    raise ValueError("not a channel")


encode = msgspec.json.Encoder(enc_hook=_from_channel).encode


def decoder(kind: type[T]) -> msgspec.json.Decoder[T]:
    """Make a decoder of values that may contain channels."""
    return msgspec.json.Decoder(kind, dec_hook=_to_channel)
