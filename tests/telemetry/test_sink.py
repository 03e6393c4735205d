import io
import os
import select
from collections.abc import Iterator
from pathlib import Path

import pytest

from portward.telemetry.sink import DescriptorSink, LineWriter, StreamSink, sink_for
from tests.telemetry.fakes import Full, Kept


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe; the test may close either end."""
    ends = os.pipe()
    yield ends
    for end in ends:
        try:
            os.close(end)
        except OSError:
            continue


def test_a_descriptor_takes_everything(tmp_path: Path) -> None:
    """What was written is in the file at once."""
    with (tmp_path / "log").open("wb", buffering=0) as file:
        assert DescriptorSink(file.fileno()).write(b"one\ntwo\n") == 8
        assert (tmp_path / "log").read_bytes() == b"one\ntwo\n"


@pytest.mark.p1
def test_a_full_disk_takes_nothing_and_raises_nothing() -> None:
    """`/dev/full` answers every write with ENOSPC."""
    with Path("/dev/full").open("wb", buffering=0) as file:
        assert DescriptorSink(file.fileno()).write(b"lost\n") == 0


def test_a_closed_pipe_takes_nothing_and_raises_nothing(pipe: tuple[int, int]) -> None:
    """Nobody reads any more: EPIPE."""
    reader, writer = pipe
    os.close(reader)
    assert DescriptorSink(writer).write(b"lost\n") == 0


def test_a_full_pipe_that_does_not_block_is_tried_again(pipe: tuple[int, int]) -> None:
    """Once somebody reads, the write goes on where it stopped."""
    reader, writer = pipe
    os.set_blocking(writer, False)
    got = b""
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        nonlocal got
        pauses.append(seconds)
        got += os.read(reader, 1 << 20)

    data = b"x" * 300_000
    assert DescriptorSink(writer, pause).write(data) == len(data)
    while len(got) < len(data):
        got += os.read(reader, 1 << 20)
    assert got == data
    assert pauses


def test_patience_with_a_full_pipe_ends(pipe: tuple[int, int]) -> None:
    """When nobody reads for two seconds, what fitted is all that was taken."""
    _, writer = pipe
    os.set_blocking(writer, False)
    pauses: list[float] = []
    taken = DescriptorSink(writer, pauses.append).write(b"x" * 300_000)
    assert 0 < taken < 300_000
    assert sum(pauses) == pytest.approx(2, abs=0.1)


def test_streams_without_a_descriptor_are_written_as_text() -> None:
    """A notebook's stream has no number."""
    stream = io.StringIO()
    sink = sink_for(stream)
    assert isinstance(sink, StreamSink)
    assert sink.write("é\n".encode()) == 3
    assert stream.getvalue() == "é\n"


def test_a_closed_stream_takes_nothing() -> None:
    """It raises ValueError, which is ours to swallow."""
    stream = io.StringIO()
    stream.close()
    assert StreamSink(stream).write(b"lost\n") == 0


def test_streams_with_a_descriptor_are_written_past_their_buffer(tmp_path: Path) -> None:
    """A line is out before anybody flushes."""
    with (tmp_path / "log").open("w") as file:
        sink = sink_for(file)
        assert isinstance(sink, DescriptorSink)
        sink.write(b"now\n")
        assert (tmp_path / "log").read_bytes() == b"now\n"


def test_lines_that_got_through_are_not_counted_as_lost() -> None:
    """A working sink drops nothing."""
    sink = Kept()
    writer = LineWriter(sink)
    writer.write([b"one\n", b"two\n"])
    assert sink.data == b"one\ntwo\n"
    assert writer.dropped == 0


def test_lines_that_did_not_get_through_are_counted() -> None:
    """Room for one line and a half: one is written, two are lost."""
    sink = Full(6)
    writer = LineWriter(sink)
    writer.write([b"one\n", b"two\n", b"three\n"])
    assert sink.data == b"one\ntw"
    assert writer.dropped == 2


def test_a_stream_that_is_closed() -> None:
    """Where standard error is closed every line is lost, and counted."""
    writer = LineWriter(sink_for(None))
    writer.write([b"one\n", b"two\n"])
    assert writer.dropped == 2


def test_a_cut_line_is_ended_before_the_next_begins() -> None:
    """Every later line stands alone, however often it took to get there."""
    sink = Full(6)
    writer = LineWriter(sink)
    writer.write([b"one\n", b"two\n"])
    writer.write([b"lost\n"])
    sink.room = 1
    writer.write([b"lost too\n"])
    sink.room = 100
    writer.write([b"four\n"])
    assert sink.data == b"one\ntw\nfour\n"
    assert writer.dropped == 3


def test_writes_are_small_enough_to_share_a_pipe() -> None:
    """No write is larger than what POSIX keeps whole, unless a single line is."""
    sizes: list[int] = []

    class Sizes(Kept):
        def write(self, data: bytes) -> int:
            sizes.append(len(data))
            assert data.endswith(b"\n")
            return super().write(data)

    sink = Sizes()
    lines = [b"x" * 99 + b"\n"] * 100 + [b"y" * 9999 + b"\n"] + [b"z\n"]
    LineWriter(sink).write(lines)
    assert sink.data == b"".join(lines)
    sizes.remove(10_000)
    assert max(sizes) <= select.PIPE_BUF
