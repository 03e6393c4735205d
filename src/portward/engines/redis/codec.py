"""Values as they lie in the store and travel over the bus: JSON, read back by schema and by nothing else."""

from typing import Any

import msgspec

from portward.model.channel import Channel
from portward.model.events import AnyEvent
from portward.model.publication import Draft, Publication

MALFORMED = (msgspec.DecodeError, RecursionError)
"""What reading something else than was expected raises."""


class KeptPublication(Draft, frozen=True, kw_only=True, omit_defaults=True):
    """A draft as it is stored."""


class Announced(msgspec.Struct, frozen=True):
    """A publication as it is announced."""

    offset: int
    epoch: str
    draft: KeptPublication


class BusEnvelope(msgspec.Struct, frozen=True):
    """An event on the bus, and the node that told it."""

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
read_told = msgspec.json.Decoder(BusEnvelope, dec_hook=_to_channel).decode


def decoder(kind: type[Any]) -> msgspec.json.Decoder[Any]:
    """A decoder of values that may name channels."""
    return msgspec.json.Decoder(kind, dec_hook=_to_channel)


def keep(draft: Draft) -> bytes:
    """A draft for the store."""
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
    """A publication from the store.

    Raises:
        msgspec.DecodeError: it is none.
    """
    return Publication.at(offset, read_kept(kept))
