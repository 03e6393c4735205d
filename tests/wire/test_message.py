import pytest

from portward.model.payload import MultipartPayload
from portward.wire import deflate, message


def test_text_is_one_text_frame() -> None:
    """A text message holds its payload and its frame."""
    made = message.text(b"hello")

    assert (list(made.parts()), made.weight) == ([(b"hello", False)], 1)
    assert made.frame == b"\x81\x05hello"


def test_binary_is_one_binary_frame() -> None:
    """A binary message says so in its frame and beside it."""
    made = message.binary(b"\x00\x01")

    assert made.binary
    assert made.frame == b"\x82\x02\x00\x01"


def test_deflated_text_is_marked_and_reads_back() -> None:
    """A compressed message sets RSV1 and keeps the plain payload beside the frame."""
    payload = b'{"a": 1}' * 20

    made = message.deflated(payload)

    assert made.frame[0] == 0xC1
    assert made.payloads == (payload,)
    assert deflate.inflate(made.frame[2:], len(payload)) == payload


def test_joined_messages_are_one_write_of_several_publications() -> None:
    """Joining puts the frames in a row and counts every payload."""
    made = message.join([message.text(b"one"), message.text(b"two")])

    assert made.payloads == (b"one", b"two")
    assert made.frame == b"\x81\x03one\x81\x03two"
    assert made.weight == 2


def test_messages_of_both_kinds_are_joined() -> None:
    """Text beside bytes stays text beside bytes."""
    made = message.join([message.text(b"a"), message.binary(b"b")])

    assert list(made.parts()) == [(b"a", False), (b"b", True)]
    assert made.frame == b"\x81\x01a\x82\x01b"


def test_nothing_cannot_be_joined() -> None:
    """There is no message without a payload."""
    with pytest.raises(ValueError, match="nothing"):
        message.join([])


@pytest.mark.parametrize(
    ("framing", "mark"), [(message.PLAIN, b""), (message.ENGINE, b"4")], ids=["plain", "engine"]
)
def test_framings(framing: message.FrameBuilder, mark: bytes) -> None:
    """Engine.IO marks text, compressed or not, and no framing marks bytes."""
    assert framing.text(b"a").payloads == (mark + b"a",)
    assert framing.binary(b"a").payloads == (b"a",)
    assert framing.deflated(b"a").payloads == (mark + b"a",)
    assert framing.deflated(b"a").frame[0] == 0xC1


def test_a_parcel_is_one_publication() -> None:
    """Text and its attachments follow each other in one message, which counts as one."""
    made = message.ENGINE.text(MultipartPayload(b"51-x", (b"\x00", b"\x01")))

    assert list(made.parts()) == [(b"451-x", False), (b"\x00", True), (b"\x01", True)]
    assert made.frame == b"\x81\x05451-x\x82\x01\x00\x82\x01\x01"
    assert made.weight == 1


def test_a_keyed_message_keeps_its_parts() -> None:
    """A key changes nothing but what the message replaces."""
    made = message.keyed(message.join([message.text(b"a"), message.text(b"b")]), "k")

    assert (made.key, made.weight, made.payloads) == ("k", 2, (b"a", b"b"))


def test_the_payload_does_not_show() -> None:
    """A message's representation tells sizes, not words."""
    assert repr(message.text(b"secret")) == "<Message text x1, 8 bytes>"
    assert "binary" in repr(message.binary(b"secret"))
