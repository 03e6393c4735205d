"""The messages between parent and worker, one per line, over a pair of sockets."""

from enum import Enum
from typing import Final

import msgspec

VARIABLE: Final = "_PORTWARD_WORKER"
"""The environment variable with a worker's socket descriptor; only workers have it."""
LONGEST_LINE: Final = 64 * 1024


class WorkerOrder(Enum):
    """An order of the parent. A repeated order has no further effect."""

    LEAVE = b"leave"
    """Drain, then stop."""
    END = b"end"
    """Stop at once."""
    RELOAD = b"reload"
    """Read the settings again."""
    REPLACED = b"replaced"
    """One more worker was started in place of one that ended."""


class Secrets(msgspec.Struct, frozen=True, kw_only=True):
    """Secrets that were generated for this run and are the same in every worker; empty where configured."""

    token: str = ""
    session: str = ""
    admin: str = ""

    def __repr__(self) -> str:
        return "Secrets()"


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """The first line to a worker: its number, and where it serves.

    `folder` is private to the gateway; the sockets in it are named by the numbers of the workers. `admin`
    are the descriptors of the admin listener, and `replaced` workers were started in place of others.
    """

    number: int
    port: int
    name: str
    folder: str
    admin: tuple[int, ...] = ()
    replaced: int = 0
    secrets: Secrets = Secrets()


class WorkerReport(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A line from a worker: it accepts connections, a text to print, or the reason why it cannot serve."""

    ready: bool = False
    text: str = ""
    failed: str = ""


task = msgspec.json.Decoder(Task)
report = msgspec.json.Decoder(WorkerReport)


def line(message: Task | WorkerReport) -> bytes:
    """Encode a message."""
    return msgspec.json.encode(message) + b"\n"


def status_socket(folder: str, number: int) -> str:
    """Return the path of the socket where a worker answers for its health, readiness and metrics."""
    return f"{folder}/status.{number}"


def handover_socket(folder: str, number: int) -> str:
    """Return the path of the socket where a worker receives connections from other workers."""
    return f"{folder}/handover.{number}"
