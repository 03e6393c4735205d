"""Checkpoints: the last known end of an audit file, stored outside of the file."""

import os
from pathlib import Path
from typing import Protocol

import msgspec

from portward.telemetry.keys import AuditError


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
