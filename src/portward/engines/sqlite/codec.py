"""JSON codec for values of the model in columns."""

from typing import Any, TypeVar

import msgspec

from portward.model.channel import Channel

T = TypeVar("T")


def _plain(value: Any) -> str:
    """Encode a channel, the only type of the model that msgspec does not know.

    Raises:
        TypeError: the value has no form in JSON.
    """
    if isinstance(value, Channel):
        return str(value)
    raise TypeError(f"no JSON for a {type(value).__name__}")


def _typed(_: type, value: Any) -> Channel:
    return Channel.parse(value)


_ENCODER = msgspec.json.Encoder(enc_hook=_plain)
pack = _ENCODER.encode


def reader(kind: type[T]) -> msgspec.json.Decoder[T]:
    """Make a decoder of columns that hold a `kind`; `decode` raises `msgspec.DecodeError` on others."""
    return msgspec.json.Decoder(kind, dec_hook=_typed)
