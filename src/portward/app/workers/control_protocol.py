"""What parent and worker say to each other over the pair of sockets between them, a line at a time."""

from enum import Enum
from typing import Final

import msgspec

VARIABLE: Final = "_PORTWARD_WORKER"
"""The environment variable by which a worker knows that it is one: its descriptor."""
LONGEST_LINE: Final = 64 * 1024


class WorkerOrder(Enum):
    """What the parent may want. Said twice, it is as good as said once."""

    LEAVE = b"leave"
    """Drain, and end."""
    END = b"end"
    """End at once."""
    RELOAD = b"reload"
    """Read the settings again."""


class Secrets(msgspec.Struct, frozen=True, kw_only=True):
    """What was made up for this run and must be the same in every worker; empty where nothing was."""

    token: str = ""
    session: str = ""
    admin: str = ""

    def __repr__(self) -> str:
        return "Secrets()"


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """The first line to a worker: who it is, and where it serves.

    `folder` belongs to the gateway alone; workers are found there by their numbers.
    """

    number: int
    port: int
    name: str
    folder: str
    secrets: Secrets = Secrets()


class WorkerReport(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A line from a worker: it accepts, it has something to print, or why it cannot serve."""

    ready: bool = False
    said: str = ""
    failed: str = ""


task = msgspec.json.Decoder(Task)
report = msgspec.json.Decoder(WorkerReport)


def line(message: Task | WorkerReport) -> bytes:
    """A message as it is sent."""
    return msgspec.json.encode(message) + b"\n"


def admin_socket(folder: str, number: int) -> str:
    """Where a worker's admin API listens."""
    return f"{folder}/admin.{number}"


def door_socket(folder: str, number: int) -> str:
    """Where a worker takes connections over from others."""
    return f"{folder}/door.{number}"
