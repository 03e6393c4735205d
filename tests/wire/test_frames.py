import pytest
from hypothesis import given
from hypothesis import strategies as st

from portward.model.disconnects import Disconnect
from portward.wire import frames
from portward.wire.errors import WireFault


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

    assert frames.frame(frames.FIN | frames.BINARY, payload) == header + payload


def test_a_pong_carries_the_payload_of_the_ping() -> None:
    """The answer to a ping repeats its payload."""
    assert frames.pong(b"abc") == b"\x8a\x03abc"


def test_a_close_frame_holds_code_and_reason() -> None:
    """A close frame's body is the code and the reason."""
    assert frames.close(3001, "shutdown") == b"\x88\x0a\x0b\xb9shutdown"


def test_a_close_frame_without_status_has_no_body() -> None:
    """Code 1005 is never written."""
    assert frames.close(frames.NO_STATUS) == b"\x88\x00"


def test_a_long_reason_is_cut_between_characters() -> None:
    """A reason that does not fit loses its end, never half a character."""
    frame = frames.close(1000, "é" * 100)

    assert frame[1] == 124
    assert frame[4:].decode() == "é" * 61


def test_an_empty_body_means_no_status() -> None:
    """A close frame without a body reads as 1005."""
    assert frames.close_code(b"") == 1005


@pytest.mark.parametrize("code", [1000, 1001, 1002, 1003, 1007, 1011, 1014, 3000, 3999, 4999])
def test_codes_a_peer_may_use_are_read(code: int) -> None:
    """The registered, library and private codes are accepted."""
    assert frames.close_code(code.to_bytes(2, "big") + b"bye") == code


@pytest.mark.parametrize("code", [0, 1, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535])
def test_codes_a_peer_must_not_use_are_refused(code: int) -> None:
    """A code that has no place on the wire is a protocol error."""
    with pytest.raises(WireFault) as caught:
        frames.close_code(code.to_bytes(2, "big"))

    assert caught.value.ending is Disconnect.PROTOCOL_ERROR


def test_half_a_code_is_refused() -> None:
    """A body of one byte is a protocol error."""
    with pytest.raises(WireFault) as caught:
        frames.close_code(b"\x03")

    assert caught.value.ending is Disconnect.PROTOCOL_ERROR


def test_a_reason_that_is_not_utf8_is_refused() -> None:
    """The reason of a close frame is text."""
    with pytest.raises(WireFault) as caught:
        frames.close_code(b"\x03\xe8\xff")

    assert caught.value.ending is Disconnect.INVALID_UTF8


@given(st.integers(0, 4999), st.text(max_size=40))
def test_what_is_closed_with_reads_back(code: int, reason: str) -> None:
    """A close frame that may be sent is read as it was meant."""
    body = frames.close(code, reason)[2:]
    try:
        assert frames.close_code(body) == code
    except WireFault:
        assert code < 3000
