"""Verification of audit files: finds the first bad line, or a missing end."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from portward.telemetry.audit.chain import (
    LINE_LIMIT,
    NO_MAC,
    START,
    AuditLine,
    BadLine,
    ChainEnd,
    checkpoint_mac,
    read,
)
from portward.telemetry.audit.checkpoint import (
    Checkpoint,
    FileCheckpoints,
    checkpoint_path,
)
from portward.telemetry.audit.file import audit_files
from portward.telemetry.events import Event
from portward.telemetry.keys import AuditError, audit_key


class AuditProblem(NamedTuple):
    """The first problem that was found. Lines count from 1."""

    file: str
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.file}, line {self.line}: {self.reason}"


class AuditReport(msgspec.Struct, frozen=True, kw_only=True):
    """The result of a check: the number of valid lines, from event number `first` to `last`."""

    lines: int
    first: int = 0
    last: int = 0
    problem: AuditProblem | None = None
    checkpoint: int | None = None
    """The last event that is confirmed by a checkpoint file; None without one."""
    engine: int | None = None
    """The last event that is confirmed by the engine's checkpoint; None without one."""
    cut: int | None = None
    """The newest event in which the gateway recorded that the file had been cut."""

    @property
    def ok(self) -> bool:
        """Whether no problem was found."""
        return self.problem is None

    def __str__(self) -> str:
        if self.problem is not None:
            return str(self.problem)
        tail = f"checkpoint at {self.checkpoint}" if self.checkpoint else "no checkpoint"
        if self.engine:
            tail += f", the engine's at {self.engine}"
        but = f", but {Event.AUDIT_CUT} is recorded at event {self.cut}" if self.cut else ""
        return f"{self.lines} lines, events {self.first} to {self.last}, {tail}: sound{but}"


def verify(
    paths: Path | Sequence[Path],
    key: bytes,
    checkpoint: Checkpoint | None = None,
    engine: Checkpoint | None = None,
) -> AuditReport:
    """Check the files of one chain, oldest first, and that they reach the checkpoints.

    The check stops at the first bad line.

    Raises:
        OSError: a file cannot be read.
    """
    check = _Check(key, checkpoint, engine)
    for path in [paths] if isinstance(paths, Path) else paths:
        check.file(path)
        if check.problem:
            break
    return check.report()


def verify_audit(path: Path, *, engine: Checkpoint | None = None) -> AuditReport:
    """Check an audit file as configured: with the files of earlier days, its key and its checkpoint.

    `engine` is the engine's checkpoint of this file.

    Raises:
        AuditError: the file or the key does not exist, or the checkpoint cannot be read.
        OSError: a file cannot be read.
    """
    files = audit_files(path)
    if not files:
        raise AuditError(f"{path}: no such file")
    beside = FileCheckpoints(checkpoint_path(path)).load(path.name)
    return verify(files, audit_key(path), beside, engine)


class _Check:
    """Reads a chain and stores the first problem."""

    def __init__(
        self, key: bytes, checkpoint: Checkpoint | None, engine: Checkpoint | None
    ) -> None:
        self.problem: AuditProblem | None = None
        self._key = key
        self._checkpoint = checkpoint
        self._engine = engine
        self._all = [each for each in (checkpoint, engine) if each is not None]
        self._file = ""
        self._number = 0
        self._lines = 0
        self._first = 0
        self._cut: int | None = None
        self._link = START

    def file(self, path: Path) -> None:
        """Check one file, up to its first bad line."""
        self._file, self._number = path.name, 0
        for raw in _lines(path):
            self._number += 1
            reason = self._judge(raw)
            if reason:
                self.problem = AuditProblem(self._file, self._number, reason)
                return
            self._lines += 1

    def report(self) -> AuditReport:
        """Return the result, after the last file."""
        reached = max((each.seq for each in self._all), default=0)
        if self.problem is None and reached > self._link.seq:
            reason = f"the tail was cut: the file ends at event {self._link.seq}, not {reached}"
            self.problem = AuditProblem(self._file, self._number + 1, reason)
        return AuditReport(
            lines=self._lines,
            first=self._first,
            last=self._link.seq,
            problem=self.problem,
            checkpoint=self._checkpoint.seq if self._checkpoint else None,
            engine=self._engine.seq if self._engine else None,
            cut=self._cut,
        )

    def _judge(self, raw: bytes) -> str:
        """Return what is wrong with a line; empty when it is valid."""
        if not raw.endswith(b"\n"):
            return "cut short by a crash, or too long"
        try:
            line = read(self._key, raw[:-1])
        except BadLine as error:
            return str(error)
        reason = self._placed(line)
        self._link = line.link
        self._first = self._first or line.seq
        if line.event == Event.AUDIT_CUT:
            self._cut = line.seq
        return reason or self._vouched(line.link)

    def _placed(self, line: AuditLine) -> str:
        """Return what is wrong with the position of a line; empty when it is valid."""
        if self._number == 1 and line.event != Event.AUDIT_OPEN:
            return "the beginning of the file is missing"
        if self._link is START:
            return "event 1 follows another" if line.seq == 1 and line.prev != NO_MAC else ""
        if line.seq != self._link.seq + 1:
            return f"event {line.seq} follows event {self._link.seq}: lines are missing or moved"
        if line.prev != self._link.mac:
            return "it does not follow the line before it"
        return ""

    def _vouched(self, link: ChainEnd) -> str:
        for checkpoint in self._all:
            if checkpoint.seq == link.seq and checkpoint_mac(self._key, link) != checkpoint.mac:
                return "it is not the line the checkpoint was made from"
        return ""


def _lines(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while raw := file.readline(LINE_LIMIT):
            yield raw
