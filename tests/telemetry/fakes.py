"""What the tests of telemetry share: sinks that keep, fail or stall, and an audit in a folder."""

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from portward.telemetry.audit.checkpoint import Checkpoint, CheckpointStore
from portward.telemetry.audit.log import AuditLog
from portward.telemetry.audit.writer import AuditFile, AuditFileOptions
from portward.testing.clock import FakeClock

KEY = b"k" * 32
OPENED: list[AuditLog] = []
"""Closed after each test, so that no thread of a failed one troubles the next."""


class Kept:
    """A sink that keeps what it is given."""

    def __init__(self) -> None:
        self.data = b""

    def write(self, data: bytes) -> int:
        """Take everything."""
        self.data += data
        return len(data)

    @property
    def lines(self) -> list[str]:
        """Whole lines so far."""
        return self.data.decode().splitlines()

    @property
    def json(self) -> list[dict[str, Any]]:
        """Whole lines so far, parsed."""
        return [json.loads(line) for line in self.data.split(b"\n")[:-1]]

    def events(self) -> list[str]:
        """The names of the events so far."""
        return [line["event"] for line in self.json]


class Full(Kept):
    """A sink with room for so many bytes."""

    def __init__(self, room: int) -> None:
        super().__init__()
        self.room = room

    def write(self, data: bytes) -> int:
        """Take what fits."""
        taken = super().write(data[: self.room])
        self.room -= taken
        return taken


class Stuck(Kept):
    """A sink that holds its writer up until it is released."""

    def __init__(self) -> None:
        super().__init__()
        self.entered = threading.Event()
        self.released = threading.Event()

    def write(self, data: bytes) -> int:
        """Wait, then take everything."""
        self.entered.set()
        self.released.wait(10)
        return super().write(data)


class Memory:
    """A checkpoint store in memory; it fails as often as it is told to."""

    def __init__(self) -> None:
        self.saved: list[Checkpoint] = []
        self.failures = 0
        self.unreadable = False

    def save(self, name: str, seq: int, mac: str) -> None:
        """Keep a checkpoint, or fail."""
        if self.failures:
            self.failures -= 1
            raise ConnectionError("away")
        self.saved.append(Checkpoint(name, seq, mac))

    def load(self, name: str) -> Checkpoint | None:
        """The newest of that name."""
        if self.unreadable:
            raise ConnectionError("away")
        found = [checkpoint for checkpoint in self.saved if checkpoint.name == name]
        return found[-1] if found else None


def open_audit(
    path: Path,
    clock: FakeClock | None = None,
    *,
    store: CheckpointStore | None = None,
    key: bytes = KEY,
    every: int = 20,
    capacity: int = 1000,
) -> AuditLog:
    """An audit at `path` that tries again at once when a write fails."""
    clock = clock or FakeClock()
    options = AuditFileOptions(checkpoints=store, every=every, capacity=capacity, retry=0.001)
    file = AuditFile(path, key, clock, options)
    audit = AuditLog(clock, file)
    OPENED.append(audit)
    return audit


def file_of(audit: AuditLog) -> AuditFile:
    """The file that an audit writes."""
    assert audit.file is not None
    return audit.file


def until(condition: Callable[[], bool]) -> None:
    """Wait for what another thread does, however long that takes it."""
    pause = threading.Event()
    while not condition():
        pause.wait(0.001)


def records(path: Path) -> list[dict[str, Any]]:
    """The lines of an audit file, parsed."""
    return [json.loads(line) for line in path.read_text().splitlines()]
