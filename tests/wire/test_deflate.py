import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portward.model.disconnects import Disconnect
from portward.model.limits import HEAD_TOTAL
from portward.wire import deflate
from portward.wire.errors import WireFault

PLAIN = "permessage-deflate; server_no_context_takeover; client_no_context_takeover"
TAIL = b"\x00\x00\xff\xff"


def compressed(payload: bytes) -> bytes:
    """What a client with the full window and no context takeover sends."""
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    return (deflater.compress(payload) + deflater.flush(zlib.Z_SYNC_FLUSH)).removesuffix(TAIL)


@pytest.mark.parametrize(
    "offer",
    [
        "permessage-deflate",
        "permessage-deflate; client_max_window_bits",
        "permessage-deflate; client_max_window_bits=10",
        "permessage-deflate;server_no_context_takeover ; client_no_context_takeover",
        "x-unknown, permessage-deflate",
        "permessage-deflate; server_max_window_bits=8, permessage-deflate",
    ],
)
def test_an_offer_that_can_be_kept_is_accepted(offer: str) -> None:
    """The answer always rules out context takeover, and unknown extensions are passed over."""
    assert deflate.negotiate([offer]) == PLAIN


@pytest.mark.parametrize("bits", ["12", "15", '"12"'])
def test_a_window_is_answered_where_one_is_asked_for(bits: str) -> None:
    """A client that limits our window is told the one we keep to."""
    offer = f"permessage-deflate; server_max_window_bits={bits}"

    assert deflate.negotiate([offer]) == f"{PLAIN}; server_max_window_bits=12"


@pytest.mark.parametrize(
    "offer",
    [
        "",
        "x-webkit-deflate-frame",
        "permessage-deflate; server_max_window_bits",
        "permessage-deflate; server_max_window_bits=11",
        "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; client_max_window_bits=7",
        "permessage-deflate; client_max_window_bits=012",
        "permessage-deflate; client_no_context_takeover=1",
        "permessage-deflate; client_no_context_takeover; client_no_context_takeover",
        "permessage-deflate; mystery",
        "permessage-deflate;",
        'permessage-deflate; client_max_window_bits="',
    ],
)
def test_an_offer_with_a_bad_parameter_is_declined(offer: str) -> None:
    """What we do not know or cannot keep leaves the connection uncompressed."""
    assert deflate.negotiate([offer]) is None


def test_offers_on_several_lines_are_one_list() -> None:
    """Repeating the header continues its list."""
    assert deflate.negotiate(["x-first", "permessage-deflate"]) == PLAIN


def test_too_many_offers_are_not_looked_at() -> None:
    """More than eight offers get no compression, whatever is among them."""
    assert deflate.negotiate(["x-one," * 8 + "permessage-deflate"]) is None


@pytest.mark.p1
@pytest.mark.parametrize("pattern", ["; a=", "; a", ";", '; a="', ",;=", "= "])
def test_a_long_hostile_header_is_read_in_linear_time(pattern: str) -> None:
    """The longest header, read hundreds of times, is a moment's work; squared it were hours."""
    value = "permessage-deflate" + pattern * (HEAD_TOTAL // len(pattern))

    assert [deflate.negotiate([value]) for _ in range(300)] == [None] * 300


@given(st.binary(max_size=5000))
def test_what_is_compressed_inflates_to_itself(payload: bytes) -> None:
    """Compressing and inflating gives the message back, at exactly its own size as the limit."""
    assert deflate.inflate(deflate.compress(payload), len(payload)) == payload


def test_the_window_of_what_is_sent_is_small() -> None:
    """What is sent inflates within the window that is promised to every client."""
    payload = bytes(range(256)) * 64
    inflater = zlib.decompressobj(-12)

    assert inflater.decompress(deflate.compress(payload) + TAIL) == payload


@pytest.mark.p0
@pytest.mark.parametrize("size", [101, 10 * 1024 * 1024])
def test_a_bomb_is_stopped_at_the_limit(size: int) -> None:
    """A message that inflates beyond the limit is too big."""
    with pytest.raises(WireFault) as caught:
        deflate.inflate(compressed(bytes(size)), 100)

    assert caught.value.ending is Disconnect.TOO_BIG


def test_a_message_at_the_limit_passes() -> None:
    """The limit itself is allowed."""
    assert deflate.inflate(compressed(bytes(100)), 100) == bytes(100)


@pytest.mark.parametrize("payload", [b"\xff\xff\xff\xff", b"\x06"])
def test_what_is_no_deflate_stream_is_refused(payload: bytes) -> None:
    """Garbage is a protocol error."""
    with pytest.raises(WireFault) as caught:
        deflate.inflate(payload, 100)

    assert caught.value.ending is Disconnect.PROTOCOL_ERROR


@pytest.mark.parametrize("end", [b"", b"\x00"])
def test_a_message_may_end_with_a_final_block(end: bytes) -> None:
    """A client that closes its stream is understood (RFC 7692 section 7.2.3.4)."""
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    payload = deflater.compress(b"hello") + deflater.flush()

    assert deflate.inflate(payload + end, 100) == b"hello"


def test_data_behind_a_final_block_is_refused() -> None:
    """A second stream in one message is a protocol error."""
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    stream = deflater.compress(b"hello") + deflater.flush()

    with pytest.raises(WireFault) as caught:
        deflate.inflate(stream + stream, 100)

    assert caught.value.ending is Disconnect.PROTOCOL_ERROR
