"""Forms of publications and events in the store and on the bus."""

import msgspec

from portward.engines.json_codec import decoder, encode
from portward.model.events import AnyEvent
from portward.model.publication import Draft, Publication


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


read_announced = decoder(Announced).decode
read_kept = decoder(KeptPublication).decode
read_event = decoder(BusEnvelope).decode


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
