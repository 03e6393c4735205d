"""The audit file on disk: opening it where it was left, adding to it, starting a new one each day.

audit.jsonl               being written
audit.jsonl.2025-11-20    an earlier day's
audit.jsonl.torn          remains of lines that a crash cut short
audit.jsonl.bad-...       a file that could not be continued, set aside whole
"""

import fcntl
import glob
import os
import re
import stat
from collections.abc import Iterator
from contextlib import suppress
from datetime import date, datetime
from itertools import count
from pathlib import Path
from typing import Final

import msgspec

from portward.telemetry.audit.chain import START, AuditEntry, BadLine, ChainEnd, read
from portward.telemetry.keys import AuditError

_FLAGS: Final = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
_PRIVATE: Final = 0o600
_WINDOW: Final = 8 * 1024 * 1024
"""How much of a file's end is read when it is opened, in bytes."""
KEPT: Final = 10_000
"""Most events that are read back."""
_EARLIER: Final = re.compile(r"\.(?P<day>\d{4}-\d{2}-\d{2})(\.(?P<again>\d+))?")
_BAD: Final = re.compile(r"\.bad-(?P<day>\d{4}-\d{2}-\d{2})T\d{6}(\.\d+)?")
_STAMP: Final = "%Y-%m-%dT%H%M%S"


class Found(msgspec.Struct):
    """What was there when the file was opened. `link` is the end of the last sound line."""

    link: ChainEnd = START
    day: date | None = None
    entries: list[AuditEntry] = []
    torn: int = 0
    """Bytes of a line that was cut short."""
    bad: str = ""
    """Why the file could not be continued; it was set aside."""


class DailyAuditFile:
    """The file being written. Not for several threads at once.

    Raises:
        AuditError: the file cannot be opened, or another process has it.
    """

    def __init__(self, path: Path, key: bytes, now: datetime) -> None:
        self.path = path
        self._size = 0
        self._ragged = False
        self._regular = True
        self._descriptor = -1
        try:
            self._open()
            self.found = self._recover(key, now)
        except OSError as error:
            self.close()
            raise AuditError(f"{path}: {error.strerror}") from error

    @property
    def empty(self) -> bool:
        """Whether nothing was written to this file yet."""
        return self._size == 0

    @property
    def in_place(self) -> bool:
        """Whether the name leads to the file being written, and nobody else wrote or cut it."""
        try:
            named, ours = self.path.stat(), os.fstat(self._descriptor)
        except OSError:
            return False
        sized = self._ragged or not self._regular or ours.st_size == self._size
        return sized and os.path.samestat(named, ours)

    def append(self, data: bytes) -> None:
        """Add whole lines, all of them or none.

        Raises:
            OSError: the disk is full, or worse; the file is as it was before.
        """
        if self._ragged:
            self._rewind()
        taken = 0
        try:
            while taken < len(data):
                taken += os.write(self._descriptor, data[taken:])
        except OSError:
            self._ragged = True
            with suppress(OSError):
                self._rewind()
            raise
        self._size += taken

    def sync(self) -> None:
        """Wait until what was written is on the disk."""
        if self._regular:
            os.fsync(self._descriptor)

    def rotate(self, day: date) -> None:
        """Put the file aside under its day and start an empty one."""
        if self.in_place and not self.empty:  # a second try may find it renamed already
            self.path.rename(_free(self.path.with_name(f"{self.path.name}.{day}")))
        self.reopen()

    def reopen(self) -> None:
        """Open the name again; what it leads to is continued as it is."""
        old, self._descriptor = self._descriptor, -1
        if old >= 0:
            os.close(old)
        self._open()

    def prune(self, before: date) -> None:
        """Remove files of days before `before`."""
        for file in self.path.parent.glob(glob.escape(self.path.name) + ".*"):
            suffix = file.name.removeprefix(self.path.name)
            match = _EARLIER.fullmatch(suffix) or _BAD.fullmatch(suffix)
            if match and match["day"] < before.isoformat():
                with suppress(OSError):
                    file.unlink()

    def close(self) -> None:
        """Let go of the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _open(self) -> None:
        descriptor = os.open(self.path, _FLAGS, _PRIVATE)
        self._regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
        try:
            if self._regular:  # a device may well be shared
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            raise AuditError(f"{self.path}: another process is writing it") from error
        self._descriptor = descriptor
        self._size = os.fstat(descriptor).st_size
        self._ragged = False

    def _rewind(self) -> None:
        """Take back what a failed write left behind."""
        if self._regular:
            os.ftruncate(self._descriptor, self._size)
        self._ragged = False

    def _recover(self, key: bytes, now: datetime) -> Found:
        """Find the last sound line, and put out of the way whatever would break the chain."""
        found = Found()
        lines, torn = _tail(self._descriptor)
        if torn:
            self._set_aside(torn)
            found.torn = len(torn)
        if not self.empty:
            try:
                _continue(found, key, lines)
            except BadLine as error:
                found.bad = str(error)
                self.path.rename(_free(self.path.with_name(f"{self.path.name}.bad-{now:{_STAMP}}")))
                self.reopen()
        if self.empty:
            self._follow(found, key)
        return found

    def _set_aside(self, torn: bytes) -> None:
        aside = self.path.with_name(self.path.name + ".torn")
        with suppress(OSError):  # on a full disk the remains are let go
            descriptor = os.open(aside, _FLAGS, _PRIVATE)
            with open(descriptor, "ab") as file:  # noqa: PTH123 - a descriptor
                file.write(torn + b"\n")
        self._size -= len(torn)
        os.ftruncate(self._descriptor, self._size)

    def _follow(self, found: Found, key: bytes) -> None:
        """An empty file goes on where the newest earlier day ended."""
        earlier = audit_files(self.path)[:-1]
        if not earlier:
            return
        with earlier[-1].open("rb") as file:
            lines, _ = _tail(file.fileno())
        try:
            _continue(found, key, lines)
        except BadLine as error:
            found.bad = found.bad or f"{earlier[-1].name}: {error}"
        found.day = None


def audit_files(path: Path) -> list[Path]:
    """The files of one chain in order, the one being written last; none that was set aside."""
    dated = []
    for file in path.parent.glob(glob.escape(path.name) + ".*"):
        match = _EARLIER.fullmatch(file.name.removeprefix(path.name))
        if match:
            dated.append((match["day"], int(match["again"] or 0), file))
    return [file for _, _, file in sorted(dated)] + [path] * path.exists()


def _tail(descriptor: int) -> tuple[list[bytes], bytes]:
    """The whole lines in the last part of a file, and what follows the last line feed."""
    size = os.fstat(descriptor).st_size
    start = max(0, size - _WINDOW)
    data = os.pread(descriptor, min(size, _WINDOW), start)
    if start:
        data = data.partition(b"\n")[2]
    *lines, torn = data.split(b"\n")
    return lines, torn


def _continue(found: Found, key: bytes, lines: list[bytes]) -> None:
    """Note the end of these lines, and the events they record.

    Raises:
        BadLine: the last of them is not sound.
    """
    last = read(key, lines[-1]) if lines else None
    if last is None:
        raise BadLine("no whole line at its end")
    found.link = last.link
    found.day = date.fromisoformat(last.time[:10])
    found.entries = list(_entries(key, lines[-KEPT:]))


def _entries(key: bytes, lines: list[bytes]) -> Iterator[AuditEntry]:
    for raw in lines:
        with suppress(BadLine):
            yield read(key, raw).entry


def _free(path: Path) -> Path:
    """The path, or with a number behind when there is such a file."""
    numbered = (path.with_name(f"{path.name}.{number}") for number in count(1))
    return path if not path.exists() else next(file for file in numbered if not file.exists())
