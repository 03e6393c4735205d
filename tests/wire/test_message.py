import pytest
from hypothesis import given
from hypothesis import strategies as st

from portward.model.disconnects import Disconnect
from portward.model.payload import MultipartPayload
from portward.wire import deflate, message
from portward.wire.errors import WireFault


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
    made = message.with_conflation_key(message.join([message.text(b"a"), message.text(b"b")]), "k")

    assert (made.key, made.weight, made.payloads) == ("k", 2, (b"a", b"b"))


def test_the_payload_does_not_show() -> None:
    """A message's representation tells sizes, not words."""
    assert repr(message.text(b"secret")) == "<Message text x1, 8 bytes>"
    assert "binary" in repr(message.binary(b"secret"))


@pytest.mark.parametrize(
    ("size", "header"),
    [
        (0, b"\x82\x00"),
        (125, b"\x82\x7d"),
        (126, b"\x82\x7e\x00\x7e"),
        (65535, b"\x82\x7e\xff\xff"),
        (65536, b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00"),
    ],
)
def test_the_length_is_written_in_its_shortest_form(size: int, header: bytes) -> None:
    """A frame's header holds the length in 7, 16 or 64 bits."""
    payload = b"x" * size

    assert message.frame(message.FIN | message.BINARY, payload) == header + payload


def test_a_pong_carries_the_payload_of_the_ping() -> None:
    """The answer to a ping repeats its payload."""
    assert message.pong(b"abc") == b"\x8a\x03abc"


def test_a_close_frame_holds_code_and_reason() -> None:
    """A close frame's body is the code and the reason."""
    assert message.close(3001, "shutdown") == b"\x88\x0a\x0b\xb9shutdown"


def test_a_close_frame_without_status_has_no_body() -> None:
    """Code 1005 is never written."""
    assert message.close(message.NO_STATUS) == b"\x88\x00"


def test_a_long_reason_is_cut_between_characters() -> None:
    """A reason that does not fit loses its end, never half a character."""
    frame = message.close(1000, "é" * 100)

    assert frame[1] == 124
    assert frame[4:].decode() == "é" * 61


def test_an_empty_body_means_no_status() -> None:
    """A close frame without a body reads as 1005."""
    assert message.close_code(b"") == 1005


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, 1007, 1011, 1014, 3000, 3999, 4999])
def test_codes_a_peer_may_use_are_read(code: int) -> None:
    """The registered, library and private codes are accepted."""
    assert message.close_code(code.to_bytes(2, "big") + b"bye") == code


@pytest.mark.parametrize("code", [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535])
def test_codes_a_peer_must_not_use_are_refused(code: int) -> None:
    """A code that has no place on the wire is a protocol error."""
    with pytest.raises(WireFault) as caught:
        message.close_code(code.to_bytes(2, "big"))

    assert caught.value.ending is Disconnect.PROTOCOL_ERROR


def test_half_a_code_is_refused() -> None:
    """A body of one byte is a protocol error."""
    with pytest.raises(WireFault) as caught:
        message.close_code(b"\x03")

    assert caught.value.ending is Disconnect.PROTOCOL_ERROR


def test_a_reason_that_is_not_utf8_is_refused() -> None:
    """The reason of a close frame is text."""
    with pytest.raises(WireFault) as caught:
        message.close_code(b"\x03\xe8\xff")

    assert caught.value.ending is Disconnect.INVALID_UTF8


@given(st.integers(0, 4999), st.text(max_size=40))
def test_what_is_closed_with_reads_back(code: int, reason: str) -> None:
    """A close frame that may be sent is read as it was meant."""
    body = message.close(code, reason)[2:]
    try:
        assert message.close_code(body) == code
    except WireFault:
        assert code < 3000
