"""JSON codec for values in the store and on the bus, decoded by schema only."""

from typing import Any

import msgspec

from portward.model.channel import Channel
from portward.model.events import AnyEvent
from portward.model.publication import Draft, Publication

MALFORMED = (msgspec.DecodeError, RecursionError)
"""Errors of decoding a value of another form."""


class KeptPublication(Draft, frozen=True, kw_only=True, omit_defaults=True):
    """A draft as it is stored."""


class Announced(msgspec.Struct, frozen=True):
    """A publication as it is announced."""

    offset: int
    epoch: str
    draft: KeptPublication


class BusEnvelope(msgspec.Struct, frozen=True):
    """An event on the bus, and the node that sent it."""

    node: str
    event: AnyEvent


def _from_channel(value: Any) -> Any:
    if isinstance(value, Channel):
        return str(value)
    raise TypeError(f"{type(value).__name__} is no JSON value")


def _to_channel(kind: type, value: Any) -> Any:
    if kind is Channel and isinstance(value, str):
        return Channel.parse(value)
    raise ValueError("not a channel")


_encoder = msgspec.json.Encoder(enc_hook=_from_channel)
encode = _encoder.encode
read_announced = msgspec.json.Decoder(Announced, dec_hook=_to_channel).decode
read_kept = msgspec.json.Decoder(KeptPublication, dec_hook=_to_channel).decode
read_event = msgspec.json.Decoder(BusEnvelope, dec_hook=_to_channel).decode


def decoder(kind: type[Any]) -> msgspec.json.Decoder[Any]:
    """Make a decoder of values that may contain channels."""
    return msgspec.json.Decoder(kind, dec_hook=_to_channel)


def keep(draft: Draft) -> bytes:
    """Encode a draft for the store."""
    return encode(
        KeptPublication(
            id=draft.id,
            time=draft.time,
            data=draft.data,
            key=draft.key,
            type=draft.type,
            user=draft.user,
            email=draft.email,
            signature=draft.signature,
            origin=draft.origin,
            attachments=draft.attachments,
            exclude=draft.exclude,
        )
    )


def publication(offset: int, kept: bytes) -> Publication:
    """Decode a publication of the store.

    Raises:
        msgspec.DecodeError: the value is no publication.
    """
    return Publication.at(offset, read_kept(kept))
