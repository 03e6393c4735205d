"""Signatures on messages, so that who stores one elsewhere can tell later whether it was altered."""

import hmac
from hashlib import sha256
from typing import Any

import msgspec
from msgspec.structs import replace

from portward.model.channel import Channel
from portward.model.publication import Draft
from portward.security.redaction import same


def canonical(channel: str, message: dict[str, Any]) -> bytes:
    """The signed bytes: compact JSON with sorted keys of the channel and what makes up the message."""
    # msgspec writes plain strings alone, and a checked channel name is a type of its own.
    signed = {"channel": str(channel), **message}
    return msgspec.json.encode(signed, order="sorted")


def signature(channel: str, message: dict[str, Any], secret: bytes) -> str:
    """HMAC-SHA256 over the canonical message, in hexadecimal."""
    return hmac.new(secret, canonical(channel, message), sha256).hexdigest()


def parts(identifier: str, user: str | None, data: Any, time: int) -> dict[str, Any]:
    """The parts of a message that its signature covers."""
    return {"id": identifier, "user": user, "data": data, "time": time}


def sign_message(draft: Draft, channel: Channel, secret: bytes) -> Draft:
    """Add the signature to a draft."""
    covered = parts(draft.id, draft.user, draft.data, draft.time)
    return replace(draft, signature=signature(channel, covered, secret))


def verify_message(channel: str, message: dict[str, Any], given: str, secret: bytes) -> bool:
    """Whether `given` is the signature of the message, compared in constant time."""
    return same(signature(channel, message, secret), given)
