"""Signatures on messages: over everything that makes one up, and over nothing less."""

import hmac
import json
from hashlib import sha256
from typing import Any

import pytest

from portward.model.channel import Channel
from portward.model.publication import Draft
from portward.security.signing import canonical, parts, sign_message, signature, verify_message

ROOM = Channel.parse("rooms:a")
SECRET = b"s" * 32
DRAFT = Draft(id="i", time=99, data={"b": 1, "a": "ž"}, user="ann", email="e", key="k")


def test_canonical_form() -> None:
    """The signed bytes are compact JSON with sorted keys, of the channel and the message."""
    message = parts("i", "ann", {"b": 1, "a": "ž"}, 99)
    expected = {
        "channel": "rooms:a",
        "id": "i",
        "user": "ann",
        "data": {"b": 1, "a": "ž"},
        "time": 99,
    }
    text = json.dumps(expected, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    assert canonical("rooms:a", message) == text.encode()


def test_signature_is_an_hmac() -> None:
    """Anybody with the secret can compute the signature with other means."""
    message = parts("i", None, "x", 1)
    digest = hmac.new(SECRET, canonical("rooms:a", message), sha256).hexdigest()
    assert signature("rooms:a", message, SECRET) == digest


def test_signed_draft() -> None:
    """A signed draft is the draft with a signature that verifies."""
    signed = sign_message(DRAFT, ROOM, SECRET)
    message = parts("i", "ann", {"a": "ž", "b": 1}, 99)
    assert signed.signature is not None
    assert verify_message("rooms:a", message, signed.signature, SECRET)
    assert (signed.id, signed.data, signed.key) == (DRAFT.id, DRAFT.data, DRAFT.key)


@pytest.mark.parametrize(
    "change",
    [{"id": "j"}, {"user": "bob"}, {"user": None}, {"data": {"b": 1}}, {"time": 100}],
    ids=str,
)
def test_altered_message(change: dict[str, Any]) -> None:
    """A message altered anywhere does not verify."""
    given = sign_message(DRAFT, ROOM, SECRET).signature or ""
    message = parts("i", "ann", {"b": 1, "a": "ž"}, 99)
    assert verify_message("rooms:a", message, given, SECRET)
    assert not verify_message("rooms:a", message | change, given, SECRET)


def test_other_channel_secret_or_signature() -> None:
    """A message moved to another channel, or signed with another secret, does not verify."""
    given = sign_message(DRAFT, ROOM, SECRET).signature or ""
    message = parts("i", "ann", {"b": 1, "a": "ž"}, 99)
    assert not verify_message("rooms:b", message, given, SECRET)
    assert not verify_message("rooms:a", message, given, b"t" * 32)
    assert not verify_message("rooms:a", message, given[:-1] + "0" * (given[-1] != "0"), SECRET)
    assert not verify_message("rooms:a", message, "", SECRET)
    assert not verify_message("rooms:a", message, "é\ud800", SECRET)


def test_parts_are_not_mixed_up() -> None:
    """Two messages whose parts only look alike when joined have different signatures."""
    first = signature("rooms:a", parts("1", "2", "x", 1), SECRET)
    second = signature("rooms:a", parts("12", "", "x", 1), SECRET)
    assert first != second
