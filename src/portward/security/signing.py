"""Signatures on messages, so that a program that stores messages can detect changes later."""

import hmac
from hashlib import sha256
from typing import Any

import msgspec
from msgspec.structs import replace

from portward.model.channel import Channel
from portward.model.publication import Draft
from portward.security.redaction import same


def canonical(channel: str, message: dict[str, Any]) -> bytes:
    """Return the bytes to sign: compact JSON, with sorted keys, of the channel and the message's parts."""
    # msgspec encodes only plain strings, and a checked channel name is a separate type.
    signed = {"channel": str(channel), **message}
    return msgspec.json.encode(signed, order="sorted")


def signature(channel: str, message: dict[str, Any], secret: bytes) -> str:
    """Return the HMAC-SHA256 of the canonical message, in hexadecimal."""
    return hmac.new(secret, canonical(channel, message), sha256).hexdigest()


def parts(identifier: str, user: str | None, data: Any, time: int) -> dict[str, Any]:
    """Return the parts of a message that its signature covers."""
    return {"id": identifier, "user": user, "data": data, "time": time}


def sign_message(draft: Draft, channel: Channel, secret: bytes) -> Draft:
    """Add the signature to a draft."""
    covered = parts(draft.id, draft.user, draft.data, draft.time)
    return replace(draft, signature=signature(channel, covered, secret))


def verify_message(channel: str, message: dict[str, Any], given: str, secret: bytes) -> bool:
    """Return whether `given` is the signature of the message; compares in constant time."""
    return same(signature(channel, message, secret), given)
