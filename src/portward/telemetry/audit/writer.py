"""The writer of the audit file: a thread makes lines of events, chains and writes them.

After a failure, events wait in the queue and are tried again every second.
"""

import errno
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

from portward.model.clock import Clock
from portward.telemetry.audit.chain import AuditEntry, ChainEnd, checkpoint_mac, sign_line
from portward.telemetry.audit.checkpoint import (
    Checkpoint,
    CheckpointStore,
    FileCheckpoints,
    checkpoint_path,
    compare,
)
from portward.telemetry.audit.file import DailyAuditFile, audit_files
from portward.telemetry.fields import Tidy
from portward.telemetry.keys import AuditError
from portward.telemetry.worker_queue import RETRY, QueueThread

EVERY: Final = 20
"""Lines between two checkpoints."""
KEPT_DAYS: Final = timedelta(days=30)
QUEUE: Final = 10_000
"""The most events that wait to be written."""


class NewDay(NamedTuple):
    """The step that sets aside the file of the day that has ended."""

    ended: date
    begun: date


class Mark(NamedTuple):
    """The step that makes a checkpoint of everything before it."""


Step: TypeAlias = AuditEntry | NewDay | Mark
"""One step of the writer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFileOptions:
    """The options of an audit file."""

    checkpoints: CheckpointStore | None = None
    """By default a small file beside it."""
    name: str = ""
    """The file's name in the checkpoints, by default that of its path."""
    every: int = EVERY
    """The number of lines between checkpoints."""
    capacity: int = QUEUE
    retry: float = RETRY


_USUAL: Final = AuditFileOptions()


class AuditFile:
    """The file of an audit. Its thread carries out steps in order; a failed step is tried again later.

    `key` comes from `keys.audit_key`. The constructor opens the file and reads its end; an `AuditLog` adds to
    its `queue`.

    Raises:
        AuditError: the file cannot be opened, or another process writes it.
    """

    def __init__(
        self,
        path: Path,
        key: bytes,
        clock: Clock,
        options: AuditFileOptions = _USUAL,
    ) -> None:
        self.path = path
        self.name = options.name or path.name
        self.trouble = ""
        """The reason of the last failure: the name of an error, such as `ENOSPC`."""
        self.checkpoint: Checkpoint | None = None
        """The newest checkpoint that was made; the lines before it are on the disk."""
        now = datetime.fromtimestamp(clock.time(), UTC)
        self._file = DailyAuditFile(path, key, now)
        self._file.prune(now.date() - KEPT_DAYS)
        self.fresh = self._file.empty
        self.day = self._file.found.day or now.date()
        self.entries = self._file.found.entries
        self.end = self._file.found.link
        """The end of the chain when the file was opened."""
        self._key = key
        self._store = options.checkpoints or FileCheckpoints(checkpoint_path(path))
        self._every = options.every
        self._failed = 0
        self._link, self.problems, checkpointed = self._resume()
        self._saved = self.last = self._link.seq
        self.queue: QueueThread[Step] = QueueThread(
            self._handle, name="portward-audit", capacity=options.capacity, retry=options.retry
        )
        if not checkpointed:  # later, a missing checkpoint means that it was removed
            self._checkpoint()

    @property
    def failures(self) -> int:
        """The number of failed writes, and of events lost by an internal error."""
        return self._failed + self.queue.broken

    def contradicts(self, checkpoint: Checkpoint) -> str:
        """Compare a checkpoint with the file, see `compare`. Do not call it on the event loop.

        Raises:
            OSError: a file cannot be read.
        """
        return compare(checkpoint, self.end, self._key, audit_files(self.path))

    def mark(self) -> None:
        """Request a checkpoint of everything recorded so far; `AuditLog.flush` waits until it is made."""
        self.queue.put(Mark())

    def close(self, timeout: float) -> int:
        """Write the remaining lines; returns how many events were not written."""
        left = self.queue.close(timeout)
        if self.queue.stopped:
            self._checkpoint_rest()
            self._file.close()
        return left

    def _resume(self) -> tuple[ChainEnd, list[Tidy], bool]:
        """Return the end to continue from, the problems found, and whether there is a checkpoint.

        When the checkpoint is ahead of the file, the chain continues from the checkpoint, so that the gap
        stays visible.
        """
        found = self._file.found
        problems: list[Tidy] = []
        if found.torn:
            problems.append({"reason": "torn", "size": found.torn})
        if found.bad:
            problems.append({"reason": "bad", "detail": found.bad})
        try:
            checkpoint = self._store.load(self.name)
        except Exception as error:  # noqa: BLE001 - the code of a store is external
            problem: Tidy = {"reason": "checkpoint", "error": type(error).__name__}
            return found.link, [*problems, problem], True
        problems += _differences(found.link, checkpoint, self._key)
        if checkpoint is not None and checkpoint.seq > found.link.seq:
            return ChainEnd(checkpoint.seq, checkpoint.mac), problems, True
        return found.link, problems, checkpoint is not None

    # -- on the thread

    def _handle(self, steps: list[Step]) -> int:
        """Carry out steps; returns how many are done."""
        done = 0
        for entries, step in _runs(steps):
            try:
                if isinstance(step, NewDay):
                    self._file.rotate(step.ended)
                    self._file.prune(step.begun - KEPT_DAYS)
                elif step is not None:
                    self._checkpoint_rest()
                else:
                    self._write(entries)
            except (OSError, AuditError) as error:
                self._fail(error)
                break
            done += len(entries) or 1
        if self._link.seq - self._saved >= self._every:
            self._checkpoint()
        return done

    def _write(self, entries: list[AuditEntry]) -> None:
        if not self._file.in_place:
            self._fail(AuditError("moved or changed by somebody else"))
            self._file.reopen()
        link = self._link
        lines = []
        for entry in entries:
            line, link = sign_line(self._key, link, entry)
            lines.append(line)
        self._file.append(b"".join(lines))
        self._link = link

    def _checkpoint_rest(self) -> None:
        if self._link.seq > self._saved:
            self._checkpoint()

    def _checkpoint(self) -> None:
        try:
            self._file.sync()
            mac = checkpoint_mac(self._key, self._link)
            self.checkpoint = Checkpoint(self.name, self._link.seq, mac)
            self._store.save(self.name, self._link.seq, mac)
        except Exception as error:  # noqa: BLE001 - the code of a store is external
            self._fail(error)
        else:
            self._saved = self._link.seq

    def _fail(self, error: Exception) -> None:
        self._failed += 1
        code = error.errno if isinstance(error, OSError) else None
        self.trouble = errno.errorcode.get(code or 0, type(error).__name__)


def _runs(steps: Iterable[Step]) -> Iterator[tuple[list[AuditEntry], NewDay | Mark | None]]:
    """Yield groups of entries that can be written at once; every other step comes alone."""
    entries: list[AuditEntry] = []
    for step in steps:
        if isinstance(step, AuditEntry):
            entries.append(step)
            continue
        if entries:
            yield entries, None
            entries = []
        yield [], step
    if entries:
        yield entries, None


def _differences(link: ChainEnd, checkpoint: Checkpoint | None, key: bytes) -> list[Tidy]:
    if checkpoint is None:
        return [{"reason": "no_checkpoint", "seq": link.seq}] if link.seq else []
    if checkpoint.seq > link.seq:
        return [{"reason": "cut", "seq": link.seq, "count": checkpoint.seq - link.seq}]
    if checkpoint.seq == link.seq and checkpoint_mac(key, link) != checkpoint.mac:
        return [{"reason": "changed", "seq": link.seq}]
    return []
