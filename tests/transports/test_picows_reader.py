import gc
import weakref

from hypothesis import given
from hypothesis import strategies as st
from picows import WSFrame, WSTransport

from portward.transports.picows_reader import READ, FrameListener, FrameReader, feed, reader_for
from tests.transports.running_listener import BINARY, PING, TEXT, masked


class FakeEar(FrameListener):
    """Remembers what it heard."""

    def __init__(self) -> None:
        self.stays = False
        self.ignoring = self.buffer_grown = False
        self.pending = 0
        self.frames: list[tuple[int, bytes]] = []
        self.calls: list[object] = []

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:  # noqa: ARG002 - picows'
        """Remember the frame."""
        self.pending = frame.tail_size
        self.frames.append((frame.msg_type.value, frame.get_payload_as_bytes()))

    def on_read_done(self) -> None:
        """Remember the call."""
        self.calls.append("heard")

    def on_discarded(self, size: int) -> None:
        """Remember the size."""
        self.calls.append(size)

    def on_protocol_error(self, code: int) -> None:
        """Remember the code, and hear no more."""
        self.calls.append(f"broken {code}")
        self.ignoring = True

    def on_eof(self) -> bool:
        """Remember the call."""
        self.calls.append("ended")
        return self.stays

    def on_connection_lost(self) -> None:
        """Remember the call."""
        self.calls.append("gone")


def made(limit: int = 65536) -> tuple[FakeEar, FrameReader]:
    """An ear and its reader."""
    frame_listener = FakeEar()
    return frame_listener, reader_for(frame_listener, limit)


async def test_a_reader_begins_at_a_frame() -> None:
    """No request of the peer's is needed, and nothing was heard yet."""
    frame_listener, reader = made()
    assert (frame_listener.frames, frame_listener.calls, frame_listener.pending) == ([], [], 0)
    feed(reader, masked(TEXT, b"hello") + masked(PING))

    assert frame_listener.frames == [(TEXT, b"hello"), (PING, b"")]
    assert frame_listener.calls == ["heard"]


async def test_what_waits_of_an_unfinished_frame_is_told() -> None:
    """The bytes after the last whole frame are counted, frame or no frame."""
    frame_listener, reader = made()
    frame = masked(BINARY, b"x" * 100)
    feed(reader, frame + frame[:10])
    assert frame_listener.pending == 10
    feed(reader, frame[10:50])
    assert frame_listener.pending == 50
    feed(reader, frame[50:])

    assert frame_listener.pending == 0
    assert len(frame_listener.frames) == 2


async def test_a_frame_over_the_limit_breaks_at_its_header() -> None:
    """The declared length is enough."""
    frame_listener, reader = made(100)
    feed(reader, masked(BINARY, b"x" * 101)[:8])

    assert frame_listener.calls == ["broken 1009"]


async def test_frames_before_a_broken_one_are_heard_first() -> None:
    """What picows thinks of the next frame comes after the good ones."""
    frame_listener, reader = made()
    feed(reader, masked(TEXT, b"good") + b"\x83\x80\x00\x00\x00\x00")

    assert frame_listener.frames == [(TEXT, b"good")]
    assert frame_listener.calls == ["broken 1002"]


async def test_a_deaf_ear_is_told_of_bytes_alone() -> None:
    """What comes while deaf is neither parsed nor kept."""
    frame_listener, reader = made()
    frame_listener.ignoring = True
    room = len(reader.get_buffer(-1))
    for _ in range(100):
        reader.get_buffer(-1)[:500] = bytes(500)
        reader.buffer_updated(500)

    assert frame_listener.calls == [500] * 100
    assert frame_listener.frames == []
    assert len(reader.get_buffer(-1)) == room
    feed(reader, b"anything")
    assert len(frame_listener.calls) == 100


async def test_the_end_of_input_closes_the_transport_unless_something_is_to_be_said() -> None:
    """Half-open connections are kept only for as long as what came before is handled."""
    frame_listener, reader = made()

    assert reader.eof_received() is False
    frame_listener.stays = True
    assert reader.eof_received() is True
    assert frame_listener.calls == ["ended", "ended"]


async def test_the_end_of_the_connection_is_passed_on() -> None:
    """However the transport ended."""
    frame_listener, reader = made()
    reader.connection_lost(None)

    assert frame_listener.calls == ["gone"]


async def test_a_reader_offers_a_bounded_room_and_says_when_it_has_grown() -> None:
    """The buffer grows with a large frame, and each read stays small."""
    frame_listener, reader = made(10**6)
    before = (frame_listener.buffer_grown, len(reader.get_buffer(-1)) < 2048)
    feed(reader, masked(BINARY, bytes(500_000)))

    assert [before, frame_listener.buffer_grown] == [(False, True), True]
    assert len(reader.get_buffer(-1)) == READ
    assert frame_listener.frames == [(BINARY, bytes(500_000))]


async def test_the_handshake_leaves_nothing_behind() -> None:
    """Request and response of the synthetic handshake are emptied, and shared by all."""
    _, one = made()
    _, two = made()

    assert len(one.transport.request.headers) == 0
    assert one.transport.request.headers is two.transport.response.headers


async def test_a_reader_is_freed_with_its_transport() -> None:
    """Ear and reader form no cycle: memory does not wait for the collector."""
    gc.disable()
    try:
        frame_listener, reader = made()
        feed(reader, masked(TEXT, b"x"))
        gone = weakref.ref(frame_listener)
        del frame_listener, reader
        left = gone()
    finally:
        gc.enable()

    assert left is None


@given(st.lists(st.binary(max_size=3000), max_size=8), st.lists(st.integers(1, 4000), max_size=30))
async def test_frames_are_heard_whole_however_the_bytes_come(
    payloads: list[bytes], sizes: list[int]
) -> None:
    """Any cutting of a stream of frames gives those frames."""
    frame_listener, reader = made()
    data = b"".join(masked(BINARY, payload) for payload in payloads)
    while data:
        size = sizes.pop() if sizes else len(data)
        feed(reader, data[:size])
        data = data[size:]

    assert frame_listener.frames == [(BINARY, payload) for payload in payloads]
    assert frame_listener.pending == 0
