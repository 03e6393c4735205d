"""The audit file on disk: it is continued after a restart, appended to, and replaced each day.

audit.jsonl               the file being written
audit.jsonl.2025-11-20    the file of an earlier day
audit.jsonl.torn          parts of lines that a crash left incomplete
audit.jsonl.bad-...       a complete file that could not be continued
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
"""How many bytes of a file's end are read when it is opened."""
KEPT: Final = 10_000
"""The most events that are read back."""
_EARLIER: Final = re.compile(r"\.(?P<day>\d{4}-\d{2}-\d{2})(\.(?P<again>\d+))?")
_BAD: Final = re.compile(r"\.bad-(?P<day>\d{4}-\d{2}-\d{2})T\d{6}(\.\d+)?")
_STAMP: Final = "%Y-%m-%dT%H%M%S"


class Found(msgspec.Struct):
    """The state of the file when it was opened. `link` is the end of the last valid line."""

    link: ChainEnd = START
    day: date | None = None
    entries: list[AuditEntry] = []
    torn: int = 0
    """Bytes of an incomplete last line."""
    bad: str = ""
    """The reason why the file could not be continued and was set aside."""


class DailyAuditFile:
    """The audit file that is being written. Not safe for concurrent use by threads.

    Raises:
        AuditError: the file cannot be opened, or another process writes it.
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
        """Whether the file has no content yet."""
        return self._size == 0

    @property
    def in_place(self) -> bool:
        """Whether the path still leads to this file, and no other program wrote or cut it."""
        try:
            named, ours = self.path.stat(), os.fstat(self._descriptor)
        except OSError:
            return False
        sized = self._ragged or not self._regular or ours.st_size == self._size
        return sized and os.path.samestat(named, ours)

    def append(self, data: bytes) -> None:
        """Append complete lines, all of them or none.

        Raises:
            OSError: a write failed, such as on a full disk; the file is as it was before.
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
        """Wait until the written data is on the disk."""
        if self._regular:
            os.fsync(self._descriptor)

    def rotate(self, day: date) -> None:
        """Rename the file after its day and start an empty one."""
        if self.in_place and not self.empty:  # a repeated call may find it already renamed
            self.path.rename(_free(self.path.with_name(f"{self.path.name}.{day}")))
        self.reopen()

    def reopen(self) -> None:
        """Open the path again; an existing file is continued as it is."""
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
        """Close the file."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _open(self) -> None:
        descriptor = os.open(self.path, _FLAGS, _PRIVATE)
        self._regular = stat.S_ISREG(os.fstat(descriptor).st_mode)
        try:
            if self._regular:  # several processes may share a device
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            raise AuditError(f"{self.path}: another process is writing it") from error
        self._descriptor = descriptor
        self._size = os.fstat(descriptor).st_size
        self._ragged = False

    def _rewind(self) -> None:
        """Remove the remains of a failed write."""
        if self._regular:
            os.ftruncate(self._descriptor, self._size)
        self._ragged = False

    def _recover(self, key: bytes, now: datetime) -> Found:
        """Find the last valid line, and set aside everything that would break the chain."""
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
        with suppress(OSError):  # on a full disk the remains are lost
            descriptor = os.open(aside, _FLAGS, _PRIVATE)
            with open(descriptor, "ab") as file:  # noqa: PTH123 - a descriptor
                file.write(torn + b"\n")
        self._size -= len(torn)
        os.ftruncate(self._descriptor, self._size)

    def _follow(self, found: Found, key: bytes) -> None:
        """Continue the chain of the newest earlier day, when the file is empty."""
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
    """Return the files of one chain in order, the current one last, without those that were set aside."""
    dated = []
    for file in path.parent.glob(glob.escape(path.name) + ".*"):
        match = _EARLIER.fullmatch(file.name.removeprefix(path.name))
        if match:
            dated.append((match["day"], int(match["again"] or 0), file))
    return [file for _, _, file in sorted(dated)] + [path] * path.exists()


def _tail(descriptor: int) -> tuple[list[bytes], bytes]:
    """Return the complete lines in the last part of a file, and the bytes after the last line feed."""
    size = os.fstat(descriptor).st_size
    start = max(0, size - _WINDOW)
    data = os.pread(descriptor, min(size, _WINDOW), start)
    if start:
        data = data.partition(b"\n")[2]
    *lines, torn = data.split(b"\n")
    return lines, torn


def _continue(found: Found, key: bytes, lines: list[bytes]) -> None:
    """Store the end of these lines and their events in `found`.

    Raises:
        BadLine: the last line is not valid.
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
    """Return the path, with a number at its end when the file exists."""
    numbered = (path.with_name(f"{path.name}.{number}") for number in count(1))
    return path if not path.exists() else next(file for file in numbered if not file.exists())
