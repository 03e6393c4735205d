import zlib
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portward.model.disconnects import Disconnect
from portward.model.limits import FRAGMENTS
from portward.wire.errors import WireFault
from portward.wire.message_assembler import RSV1, MessageAssembler

CONTINUATION, TEXT, BINARY = 0, 1, 2
Frame = tuple[int, int, int, bytes]


def compressed(payload: bytes) -> bytes:
    """A message as a client compresses it."""
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    data = deflater.compress(payload) + deflater.flush(zlib.Z_SYNC_FLUSH)
    return data.removesuffix(b"\x00\x00\xff\xff")


def fault_of(assembler: MessageAssembler, *frames: Frame) -> Disconnect:
    """Feed frames, of which the last must be refused."""
    for frame in frames[:-1]:
        assert assembler.feed(*frame) is None
    with pytest.raises(WireFault) as caught:
        assembler.feed(*frames[-1])
    return caught.value.ending


@pytest.mark.parametrize(("opcode", "binary"), [(TEXT, False), (BINARY, True)])
def test_one_frame_is_a_message(opcode: int, binary: bool) -> None:
    """An unfragmented frame comes back at once, with its kind."""
    assembler = MessageAssembler(100)

    assert assembler.feed(opcode, 1, 0, b"hello") == b"hello"
    assert assembler.binary is binary
    assert not assembler.unfinished


def test_fragments_become_one_message() -> None:
    """A message ends with the fragment that has FIN, and the next one begins afresh."""
    assembler = MessageAssembler(100)

    frames = [
        (BINARY, 0, 0, b"a"),
        (CONTINUATION, 0, 0, b""),
        (CONTINUATION, 1, 0, b"b"),
        (TEXT, 1, 0, b"c"),
    ]

    states = [(assembler.feed(*frame), assembler.unfinished, assembler.binary) for frame in frames]

    assert states == [
        (None, True, True),
        (None, True, True),
        (b"ab", False, True),
        (b"c", False, False),
    ]


@pytest.mark.p0
@pytest.mark.parametrize(
    "frames",
    [
        [(CONTINUATION, 1, 0, b"")],
        [(CONTINUATION, 0, 0, b"")],
        [(TEXT, 0, 0, b""), (TEXT, 1, 0, b"")],
        [(TEXT, 0, 0, b""), (BINARY, 0, 0, b"")],
        [(TEXT, 1, RSV1, b"")],
        [(TEXT, 1, 2, b"")],
        [(BINARY, 0, 1, b"")],
        [(BINARY, 0, 0, b""), (CONTINUATION, 1, RSV1, b"")],
    ],
)
def test_frames_out_of_order_or_with_reserved_bits_are_refused(frames: list[Frame]) -> None:
    """Without the extension no reserved bit is allowed, and fragments follow their start."""
    assert fault_of(MessageAssembler(100), *frames) is Disconnect.PROTOCOL_ERROR


@pytest.mark.p0
@pytest.mark.parametrize(
    "frames",
    [
        [(BINARY, 1, 0, bytes(11))],
        [(BINARY, 0, 0, bytes(11))],
        [(BINARY, 0, 0, bytes(6)), (CONTINUATION, 0, 0, bytes(5))],
        [*[(BINARY, 0, 0, b"x")], *[(CONTINUATION, 0, 0, b"x")] * 10],
    ],
)
def test_a_message_over_the_limit_is_refused_as_soon_as_it_is(frames: list[Frame]) -> None:
    """The running size counts, not only that of the whole message."""
    assert fault_of(MessageAssembler(10), *frames) is Disconnect.TOO_BIG


def test_a_message_at_the_limit_passes_in_one_piece_and_in_two() -> None:
    """The limit itself is allowed."""
    assembler = MessageAssembler(10)

    assert assembler.feed(BINARY, 1, 0, bytes(10)) == bytes(10)
    assert assembler.feed(BINARY, 0, 0, bytes(5)) is None
    assert assembler.feed(CONTINUATION, 1, 0, bytes(5)) == bytes(10)


def test_the_limit_may_change_between_frames() -> None:
    """What was too big before authentication is not after it."""
    assembler = MessageAssembler(10)
    assembler.limit = 20

    assert assembler.feed(TEXT, 1, 0, b"x" * 20) == b"x" * 20


@pytest.mark.p0
def test_endless_empty_fragments_are_refused() -> None:
    """A message has at most 1,024 fragments, however small."""
    assembler = MessageAssembler(100)
    assembler.feed(TEXT, 0, 0, b"")
    for _ in range(FRAGMENTS - 1):
        assembler.feed(CONTINUATION, 0, 0, b"")

    assert fault_of(assembler, (CONTINUATION, 1, 0, b"")) is Disconnect.FLOODING


def test_the_largest_number_of_fragments_passes() -> None:
    """The limit itself is allowed."""
    assembler = MessageAssembler(2000)
    assembler.feed(TEXT, 0, 0, b"x")
    for _ in range(FRAGMENTS - 2):
        assembler.feed(CONTINUATION, 0, 0, b"x")

    assert assembler.feed(CONTINUATION, 1, 0, b"x") == b"x" * FRAGMENTS


BAD_TEXT = [b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"abc\x80"]


@pytest.mark.parametrize("payload", [*BAD_TEXT, b"\xe2\x82"])
def test_text_that_is_not_utf8_is_refused(payload: bytes) -> None:
    """Overlong forms, surrogates, code points beyond the last and cut characters are refused."""
    assert fault_of(MessageAssembler(100), (TEXT, 1, 0, payload)) is Disconnect.INVALID_UTF8


@pytest.mark.parametrize("payload", BAD_TEXT)
def test_bad_text_is_refused_with_the_fragment_that_makes_it_bad(payload: bytes) -> None:
    """Nobody waits for the end of a message that cannot become text."""
    assert fault_of(MessageAssembler(100), (TEXT, 0, 0, payload)) is Disconnect.INVALID_UTF8


def test_text_that_ends_within_a_character_is_refused() -> None:
    """The last fragment completes the last character."""
    frames = [(TEXT, 0, 0, b"\xe2\x82"), (CONTINUATION, 1, 0, b"")]

    assert fault_of(MessageAssembler(100), *frames) is Disconnect.INVALID_UTF8


def test_a_character_may_be_split_between_fragments() -> None:
    """UTF-8 is judged over the whole message."""
    assembler = MessageAssembler(100)

    assert assembler.feed(TEXT, 0, 0, b"\xe2\x82") is None
    assert assembler.feed(CONTINUATION, 1, 0, b"\xac") == "€".encode()


def test_binary_need_not_be_utf8() -> None:
    """Any byte is a binary message."""
    assert MessageAssembler(100).feed(BINARY, 1, 0, b"\xff") == b"\xff"


@pytest.mark.parametrize("opcode", [TEXT, BINARY])
def test_a_compressed_message_is_inflated(opcode: int) -> None:
    """RSV1 on the first frame, where it was negotiated, compresses the whole message."""
    assembler = MessageAssembler(1000, compression=True)
    data = compressed(b"hello " * 100)

    assert assembler.feed(opcode, 1, RSV1, data) == b"hello " * 100
    assert assembler.feed(opcode, 0, RSV1, data[:3]) is None
    assert assembler.feed(CONTINUATION, 1, 0, data[3:]) == b"hello " * 100
    assert assembler.binary is (opcode == BINARY)
    assert assembler.feed(opcode, 1, 0, b"plain") == b"plain"


def test_a_compressed_message_is_judged_by_its_inflated_size() -> None:
    """The limit in force acts on what comes out."""
    assembler = MessageAssembler(1000, compression=True)

    assert fault_of(assembler, (BINARY, 1, RSV1, compressed(bytes(1001)))) is Disconnect.TOO_BIG


def test_compressed_text_is_checked_after_inflation() -> None:
    """UTF-8 is judged on what comes out; binary is not judged."""
    data = compressed(b"\xff")

    assert MessageAssembler(100, compression=True).feed(BINARY, 1, RSV1, data) == b"\xff"
    assembler = MessageAssembler(100, compression=True)
    assert fault_of(assembler, (TEXT, 1, RSV1, data)) is Disconnect.INVALID_UTF8


@pytest.mark.parametrize(
    "frames",
    [
        [(TEXT, 1, RSV1 | 2, b"")],
        [(TEXT, 1, 1, b"")],
        [(TEXT, 0, RSV1, b""), (CONTINUATION, 1, RSV1, b"")],
    ],
)
def test_other_reserved_bits_stay_refused_with_the_extension(frames: list[Frame]) -> None:
    """Compression gives RSV1 a meaning on a first frame, and nothing else."""
    assert fault_of(MessageAssembler(100, compression=True), *frames) is Disconnect.PROTOCOL_ERROR


@given(st.text(max_size=60), st.data())
def test_however_it_is_cut_a_text_arrives_whole(text: str, data: st.DataObject) -> None:
    """Any fragmentation of a text gives that text."""
    payload = text.encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(payload)), max_size=6)))
    parts = [payload[a:b] for a, b in zip([0, *cuts], [*cuts, len(payload)], strict=True)]
    assembler = MessageAssembler(1000)
    results = [
        assembler.feed(CONTINUATION if index else TEXT, index == len(cuts), 0, part)
        for index, part in enumerate(parts)
    ]

    assert results == [None] * len(cuts) + [payload]


@given(st.binary(max_size=40), st.integers(0, 40))
def test_bytes_are_text_exactly_when_python_says_so(payload: bytes, cut: int) -> None:
    """The verdict on UTF-8 does not depend on how the bytes were fragmented."""
    try:
        payload.decode()
        valid = True
    except UnicodeDecodeError:
        valid = False
    assembler = MessageAssembler(1000)
    try:
        assembler.feed(TEXT, 0, 0, payload[:cut])
        accepted = assembler.feed(CONTINUATION, 1, 0, payload[cut:]) == payload
    except WireFault:
        accepted = False

    assert accepted is valid


frames_ = st.tuples(
    st.sampled_from([CONTINUATION, TEXT, BINARY]),
    st.integers(0, 1),
    st.sampled_from([0, 0, 0, RSV1, 1, 2]),
    st.binary(max_size=12),
)


@given(st.lists(frames_, max_size=30), st.booleans())
def test_any_frames_give_messages_within_the_limit_or_a_fault(
    given_frames: list[Frame], compression: bool
) -> None:
    """Whatever comes, the assembler answers with a bounded message, nothing, or a fault."""
    assembler = MessageAssembler(16, compression=compression)
    with suppress(WireFault):
        for frame in given_frames:
            message = assembler.feed(*frame)
            assert message is None or len(message) <= 16
            assert (message is None) is assembler.unfinished
