"""The writer of the audit file, which runs on the audit's thread."""

import errno
from collections.abc import Iterable, Iterator
from datetime import date, timedelta
from typing import Final, NamedTuple, TypeAlias

from portward.telemetry.audit.chain import AuditEntry, ChainEnd, checkpoint_mac, forge
from portward.telemetry.audit.checkpoint import Checkpoint, CheckpointStore
from portward.telemetry.audit.file import DailyAuditFile
from portward.telemetry.fields import Tidy
from portward.telemetry.keys import AuditError

EVERY: Final = 20
"""Lines between two checkpoints."""
KEPT_DAYS: Final = timedelta(days=30)


class NewDay(NamedTuple):
    """The step that sets aside the file of the day that has ended."""

    ended: date
    begun: date


class Mark(NamedTuple):
    """The step that makes a checkpoint of everything before it."""


Step: TypeAlias = AuditEntry | NewDay | Mark
"""One step of the writer."""


class AuditWriter:
    """Carries out steps in order; a failed step, and all after it, are tried again later.

    `failures` counts failed tries, `trouble` is the reason of the last failure. `checkpoint` is the newest
    one that was made; the lines before it are on the disk.
    """

    def __init__(
        self,
        journal: DailyAuditFile,
        key: bytes,
        store: CheckpointStore,
        name: str,
        every: int = EVERY,
    ) -> None:
        self.failures = 0
        self.trouble = ""
        self.checkpoint: Checkpoint | None = None
        self._journal = journal
        self._key = key
        self._store = store
        self._name = name
        self._every = every
        self._link, self.notes, checkpointed = _resume(journal, key, store, name)
        self._saved = self._link.seq
        if not checkpointed:  # later, a missing checkpoint means that it was removed
            self._checkpoint()

    @property
    def last(self) -> int:
        """The number of the last line."""
        return self._link.seq

    def handle(self, steps: list[Step]) -> int:
        """Carry out steps; returns how many are done."""
        done = 0
        for entries, step in _runs(steps):
            try:
                if step is None:
                    self._write(entries)
                else:
                    self._carry_out(step)
            except (OSError, AuditError) as error:
                self._fail(error)
                break
            done += len(entries) or 1
        if self._link.seq - self._saved >= self._every:
            self._checkpoint()
        return done

    def close(self) -> None:
        """Make a last checkpoint and close the file."""
        if self._link.seq > self._saved:
            self._checkpoint()
        self._journal.close()

    def _carry_out(self, step: NewDay | Mark) -> None:
        if isinstance(step, NewDay):
            self._turn(step)
        elif self._link.seq > self._saved:
            self._checkpoint()

    def _turn(self, day: NewDay) -> None:
        self._journal.rotate(day.ended)
        self._journal.prune(day.begun - KEPT_DAYS)

    def _write(self, entries: list[AuditEntry]) -> None:
        if not self._journal.in_place:
            self._fail(AuditError("moved or changed by somebody else"))
            self._journal.reopen()
        link = self._link
        lines = []
        for entry in entries:
            line, link = forge(self._key, link, entry)
            lines.append(line)
        self._journal.append(b"".join(lines))
        self._link = link

    def _checkpoint(self) -> None:
        try:
            self._journal.sync()
            mac = checkpoint_mac(self._key, self._link)
            self.checkpoint = Checkpoint(self._name, self._link.seq, mac)
            self._store.save(self._name, self._link.seq, mac)
        except Exception as error:  # noqa: BLE001 - the code of a store is external
            self._fail(error)
        else:
            self._saved = self._link.seq

    def _fail(self, error: Exception) -> None:
        self.failures += 1
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


def _resume(
    journal: DailyAuditFile, key: bytes, store: CheckpointStore, name: str
) -> tuple[ChainEnd, list[Tidy], bool]:
    """Return the end to continue from, the problems that were found, and whether there is a checkpoint.

    When the checkpoint is ahead of the file, the chain continues from the checkpoint, so that the gap stays
    visible.
    """
    found = journal.found
    notes: list[Tidy] = []
    if found.torn:
        notes.append({"reason": "torn", "size": found.torn})
    if found.bad:
        notes.append({"reason": "bad", "detail": found.bad})
    try:
        checkpoint = store.load(name)
    except Exception as error:  # noqa: BLE001 - the code of a store is external
        note: Tidy = {"reason": "checkpoint", "error": type(error).__name__}
        return found.link, [*notes, note], True
    notes += _compare(found.link, checkpoint, key)
    if checkpoint is not None and checkpoint.seq > found.link.seq:
        return ChainEnd(checkpoint.seq, checkpoint.mac), notes, True
    return found.link, notes, checkpoint is not None


def _compare(link: ChainEnd, checkpoint: Checkpoint | None, key: bytes) -> list[Tidy]:
    if checkpoint is None:
        return [{"reason": "no_checkpoint", "seq": link.seq}] if link.seq else []
    if checkpoint.seq > link.seq:
        return [{"reason": "cut", "seq": link.seq, "count": checkpoint.seq - link.seq}]
    if checkpoint.seq == link.seq and checkpoint_mac(key, link) != checkpoint.mac:
        return [{"reason": "changed", "seq": link.seq}]
    return []
