"""Checkpoints: the last known end of an audit file, stored outside of the file."""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol

import msgspec

from portward.telemetry.audit.chain import LINE_LIMIT, BadLine, ChainEnd, checkpoint_mac, read
from portward.telemetry.keys import AuditError

_SEQ: Final = re.compile(rb'\{"seq":(\d{1,19}),')
CUT: Final = "cut"
CHANGED: Final = "changed"


class Checkpoint(msgspec.Struct, frozen=True):
    """The fact that the file `name` had a line `seq`; `mac` is the line's `chain.checkpoint_mac`."""

    name: str
    seq: int
    mac: str


class CheckpointStore(Protocol):
    """A store of checkpoints. Both methods may block: they are called off the event loop."""

    def save(self, name: str, seq: int, mac: str) -> None:
        """Store the newest checkpoint of `name`.

        Raises:
            OSError: it could not be stored; the audit counts a failure and tries again later.
        """

    def load(self, name: str) -> Checkpoint | None:
        """Return the newest checkpoint of `name`, None when there never was one.

        Raises:
            AuditError: the checkpoint cannot be read.
        """


def note_key(file: str, node: str) -> str:
    """Return the engine's key for the checkpoint of a node's audit file."""
    return f"audit:{file}:{node}"


def as_text(checkpoint: Checkpoint) -> str:
    """Format a checkpoint for storage."""
    return msgspec.json.encode(checkpoint).decode()


def from_text(text: str | bytes, name: str, where: object) -> Checkpoint:
    """Parse a checkpoint of the file `name`; `where` is its source, for error texts.

    Raises:
        AuditError: it cannot be parsed, or belongs to another file.
    """
    try:
        found = msgspec.json.decode(text, type=Checkpoint)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise AuditError(f"{where}: the checkpoint cannot be read") from error
    if found.name != name:
        raise AuditError(f"{where}: the checkpoint is of another file")
    return found


def compare(checkpoint: Checkpoint, end: ChainEnd, key: bytes, files: Sequence[Path]) -> str:
    """Compare a checkpoint with a chain that ended at `end` when it was opened.

    Returns `cut` when the chain was longer once, `changed` when the line is another one or missing, and empty
    when no problem was found, as far as the files reach back. `files` are those of the chain, oldest first;
    they may have grown.

    Raises:
        OSError: a file cannot be read.
    """
    if checkpoint.seq > end.seq:
        return CUT
    link = end if checkpoint.seq == end.seq else _find(files, key, checkpoint.seq)
    if link is None or checkpoint_mac(key, link) == checkpoint.mac:
        return ""
    return CHANGED


def _find(files: Sequence[Path], key: bytes, seq: int) -> ChainEnd | None:
    """Find a line by number: without a MAC when missing or bad, None when its file was deleted."""
    for path in reversed(files):
        with path.open("rb") as file:
            first = _SEQ.match(file.readline(LINE_LIMIT))
            if first is None or int(first[1]) > seq:
                continue
            file.seek(0)
            start = b'{"seq":%d,' % seq
            while raw := file.readline(LINE_LIMIT):
                if raw.startswith(start):
                    return _link(key, raw)
        return ChainEnd(seq, "")
    return None


def _link(key: bytes, raw: bytes) -> ChainEnd:
    try:
        return read(key, raw.rstrip(b"\n")).link
    except BadLine:
        return ChainEnd(0, "")


def checkpoint_path(audit: Path) -> Path:
    """Return the path where `FileCheckpoints` stores the checkpoint of an audit file."""
    return audit.with_name(audit.name + ".checkpoint")


class FileCheckpoints:
    """A small file with one checkpoint, replaced as a whole.

    It detects a file that was cut by accident, or by a person who forgot this second file; a store on another
    machine detects more.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def save(self, name: str, seq: int, mac: str) -> None:
        """Write a new file, sync it to the disk, and rename it to the old name."""
        fresh = self._path.with_name(self._path.name + ".new")
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        descriptor = os.open(fresh, flags, 0o600)
        with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor
            file.write(as_text(Checkpoint(name, seq, mac)).encode() + b"\n")
            file.flush()
            os.fsync(descriptor)
        fresh.replace(self._path)

    def load(self, name: str) -> Checkpoint | None:
        """Read the checkpoint."""
        try:
            text = self._path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise AuditError(f"{self._path}: the checkpoint cannot be read") from error
        return from_text(text, name, self._path)
