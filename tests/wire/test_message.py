import pytest

from portward.wire import deflate, message


def test_text_is_one_text_frame() -> None:
    """A text message holds its payload and its frame."""
    made = message.text(b"hello")

    assert (made.payloads, made.binary, made.weight) == ((b"hello",), False, 1)
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


@pytest.mark.parametrize("parts", [[], [message.text(b"a"), message.binary(b"b")]])
def test_only_messages_of_one_kind_are_joined(parts: list[message.Message]) -> None:
    """Nothing, or text beside binary, cannot be joined."""
    with pytest.raises(ValueError, match="one kind"):
        message.join(parts)


def test_the_payload_does_not_show() -> None:
    """A message's representation tells sizes, not words."""
    assert repr(message.text(b"secret")) == "<Message text x1, 8 bytes>"
    assert "binary" in repr(message.binary(b"secret"))
