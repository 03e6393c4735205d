"""Values of the model as JSON in a column, and back."""

from typing import Any, TypeVar

import msgspec

from portward.model.channel import Channel

T = TypeVar("T")


def _plain(value: Any) -> str:
    """Channels are the one type of the model that msgspec does not know by itself.

    Raises:
        TypeError: the value is nothing that JSON could say.
    """
    if isinstance(value, Channel):
        return str(value)
    raise TypeError(f"no JSON for a {type(value).__name__}")


def _typed(_: type, value: Any) -> Channel:
    return Channel.parse(value)


_ENCODER = msgspec.json.Encoder(enc_hook=_plain)
pack = _ENCODER.encode


def reader(kind: type[T]) -> msgspec.json.Decoder[T]:
    """What reads columns that hold a `kind`; its `decode` raises `msgspec.DecodeError` on anything else."""
    return msgspec.json.Decoder(kind, dec_hook=_typed)
