import asyncio
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from portward.cli.connect import keyboard
from portward.cli.connect.keyboard import Keyboard


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """A pipe: where to read, where to write."""
    reading, writing = os.pipe()
    yield reading, writing
    for descriptor in (reading, writing):
        with suppress(OSError):  # the test may have closed it
            os.close(descriptor)


async def lines(typed: Keyboard) -> list[str]:
    """Everything up to the end."""
    found = []
    while (line := await typed.line()) is not None:
        found.append(line)
    return found


async def test_lines_of_a_pipe(pipe: tuple[int, int]) -> None:
    """Lines come one by one, however they were written; the last needs no end."""
    reading, writing = pipe
    typed = Keyboard(reading)
    os.write(writing, b"one\ntw")
    assert await typed.line() == "one"
    os.write(writing, "o\nthr\N{LATIN SMALL LETTER E WITH ACUTE}".encode() + b"\xff")
    os.close(writing)
    assert await lines(typed) == ["two", "thr\u00e9\ufffd"]


async def test_lines_of_a_file(tmp_path: Path) -> None:
    """A file is read like anything else, and has an end."""
    (tmp_path / "file").write_text("one\n\ntwo\n")
    with (tmp_path / "file").open() as file:
        assert await lines(Keyboard(file.fileno())) == ["one", "", "two"]


async def test_closed_input() -> None:
    """An input that cannot be read is at its end."""
    assert await lines(Keyboard(987_654)) == []


async def test_reading_waits_for_the_reader(
    pipe: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only a few chunks are read in advance; all lines come."""
    monkeypatch.setattr(keyboard, "_CHUNK", 4)
    reading, writing = pipe
    typed = Keyboard(reading)
    os.write(writing, b"".join(b"%d\n" % number for number in range(20)))
    os.close(writing)
    assert await typed.line() == "0"
    assert typed._chunks.qsize() <= 1
    assert await lines(typed) == [str(number) for number in range(1, 20)]


def test_loop_that_is_gone(pipe: tuple[int, int]) -> None:
    """When nobody listens any more the thread ends by itself."""

    async def listen() -> Keyboard:
        return Keyboard(pipe[0])

    typed = asyncio.run(listen())
    os.write(pipe[1], b"too late\n")
    os.close(pipe[1])
    typed.thread.join(10)
    assert not typed.thread.is_alive()
