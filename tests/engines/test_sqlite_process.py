"""The SQLite engine in processes that are killed, or whose disk is full."""

import json
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from portward.engines.sqlite import SqliteEngine
from portward.model.channel import Channel
from portward.model.position import Position
from portward.model.publication import HistoryQuery, Publication
from portward.testing.engine_contract import Recorder
from tests.engines.sqlite_child import CHANNELS, LARGE, RealClock

CHILD = Path(__file__).with_name("sqlite_child.py")
KILLS = 50
READY = b"ready\n"


@contextmanager
def child(what: str, path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process with an engine; killed in the end if it still runs."""
    process = subprocess.Popen(
        [sys.executable, str(CHILD), what, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def killed_after(process: subprocess.Popen[bytes], answers: int) -> list[bytes]:
    """Let a process publish, kill it after some answers, and return all that it had given."""
    assert process.stdout is not None
    assert process.stdin is not None
    assert process.stdout.readline() == READY
    process.stdin.write(b"go\n")
    process.stdin.flush()
    lines = [process.stdout.readline() for _ in range(answers)]
    process.send_signal(signal.SIGKILL)
    lines += process.stdout.readlines()
    assert process.wait() == -signal.SIGKILL
    return [line for line in lines if line.endswith(b"\n")]


def answers_of_killed(path: Path) -> list[bytes]:
    """Every answer of processes that published to one file, each killed at some moment.

    The next process gets ready while the one before it works; they use the file one after the other.
    """
    dice = random.Random(11)
    answers: list[bytes] = []
    with ExitStack() as running:
        following = running.enter_context(child("load", path))
        for _ in range(KILLS):
            process = following
            following = running.enter_context(child("load", path))
            answers += killed_after(process, dice.randrange(200))
    return answers


async def everything(engine: SqliteEngine, channel: Channel) -> tuple[list[Publication], str]:
    """All that is kept of a channel, and its epoch."""
    found: list[Publication] = []
    page = await engine.streams.history(channel, HistoryQuery(limit=1000), LARGE)
    while page.publications:
        found += page.publications
        since = Position(found[-1].offset, page.position.epoch)
        page = await engine.streams.history(channel, HistoryQuery(limit=1000, since=since), LARGE)
    assert len(found) == page.position.offset
    return found, page.position.epoch


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_what_was_answered_survives_every_kill(tmp_path: Path) -> None:
    """After fifty kills each answered publish is where it was said to be, without gap or double."""
    path = tmp_path / "engine.db"
    answered = [line.decode().split() for line in answers_of_killed(path)]
    assert len(answered) > KILLS
    engine = SqliteEngine(str(path), RealClock())
    await engine.start(Recorder())
    try:
        for channel in CHANNELS:
            kept, epoch = await everything(engine, channel)
            assert [each.offset for each in kept] == list(range(1, len(kept) + 1))
            assert len({each.id for each in kept}) == len(kept)
            mine = [answer for answer in answered if answer[0] == channel]
            assert {answer[2] for answer in mine} == {epoch}
            assert [kept[int(offset) - 1].id for _, offset, _, _ in mine] == [
                found for _, _, _, found in mine
            ]
    finally:
        await engine.stop()


def test_a_full_disk_of_a_process(tmp_path: Path) -> None:
    """Where no more may be written publishes are refused, and go on where they were with room again."""
    with child("full", tmp_path / "engine.db") as process:
        output, _ = process.communicate(timeout=60)
    said = json.loads(output)
    stored = [offset for offset in said["answers"] if offset]
    assert 0 in said["answers"]
    assert said["answers"][-1]
    assert stored == list(range(2, len(stored) + 2))
    assert (said["ill"], said["well"], said["health"]) == (False, True, [False, True])
