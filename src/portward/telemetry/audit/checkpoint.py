"""Checkpoints: how far an audit file went, kept where cutting the file does not reach."""

import os
from pathlib import Path
from typing import Protocol

import msgspec

from portward.telemetry.keys import AuditError


class Checkpoint(msgspec.Struct, frozen=True):
    """The file `name` once had a line `seq`; `mac` is `chain.checkpoint_mac` of it."""

    name: str
    seq: int
    mac: str


class CheckpointStore(Protocol):
    """Where checkpoints are kept. Both methods may block: they are called off the event loop."""

    def save(self, name: str, seq: int, mac: str) -> None:
        """Keep the newest checkpoint of `name`.

        Raises:
            OSError: it could not be kept; the audit counts a failure and tries again later.
        """

    def load(self, name: str) -> Checkpoint | None:
        """The newest checkpoint of `name`, None when there never was one.

        Raises:
            AuditError: there is one, but it cannot be read.
        """


def note_key(file: str, node: str) -> str:
    """Under which key the engine has the checkpoint of a node's audit file."""
    return f"audit:{file}:{node}"


def as_text(checkpoint: Checkpoint) -> str:
    """A checkpoint as it is written down."""
    return msgspec.json.encode(checkpoint).decode()


def from_text(text: str | bytes, name: str, where: object) -> Checkpoint:
    """Read a checkpoint of the file `name`; `where` it came from stands in errors.

    Raises:
        AuditError: it cannot be read, or is of another file.
    """
    try:
        found = msgspec.json.decode(text, type=Checkpoint)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise AuditError(f"{where}: the checkpoint cannot be read") from error
    if found.name != name:
        raise AuditError(f"{where}: the checkpoint is of another file")
    return found


def checkpoint_path(audit: Path) -> Path:
    """Where `FileCheckpoints` keeps the checkpoint of an audit file."""
    return audit.with_name(audit.name + ".checkpoint")


class FileCheckpoints:
    """A small file of one checkpoint, replaced as a whole.

    It notices a tail that was cut by accident or by somebody who does not think of this file; a
    store on another machine notices more.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def save(self, name: str, seq: int, mac: str) -> None:
        """Write a file beside the old one, make it durable, put it in its place."""
        fresh = self._path.with_name(self._path.name + ".new")
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
        descriptor = os.open(fresh, flags, 0o600)
        with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor
            file.write(as_text(Checkpoint(name, seq, mac)).encode() + b"\n")
            file.flush()
            os.fsync(descriptor)
        fresh.replace(self._path)

    def load(self, name: str) -> Checkpoint | None:
        """Read it back."""
        try:
            text = self._path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise AuditError(f"{self._path}: the checkpoint cannot be read") from error
        return from_text(text, name, self._path)
