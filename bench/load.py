"""The load client seen from Python: plans for it to play, and commands to it."""

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple, Self

from bench.processes import BenchError, Process

MARK = "~mark~"
"""The word by which the load client knows a publication."""

_HEAD = (
    "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    # The example of RFC 6455 section 1.3, whose answer the floor knows by heart.
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
    "Origin: http://localhost:3000\r\n{more}\r\n"
)


def payload(size: int) -> str:
    """A text of `size` bytes that begins with the mark."""
    return MARK.ljust(size, "x")


def head(path: str = "/", **headers: str) -> str:
    """A handshake request; `_` in a header's name stands for `-`."""
    more = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return _HEAD.format(path=path, more=more)


class Script(NamedTuple):
    """What one connection does: its request, then turns of waiting for a text and sending one.

    `talk` is the message that the connection sends when it is told to talk.
    """

    request: str
    turns: tuple[str, ...] = ()
    talk: str = ""

    def record(self) -> str:
        """The script as a record of the load client's plan file."""
        return "".join(f"{field}\x1f" for field in (self.request, self.talk, *self.turns)) + "\x1e"


class Counted(NamedTuple):
    """Publications read since the last count, over all connections and by the extremes of one."""

    total: int
    least: int
    most: int
    other: int


class Load(Process):
    """A running load client. Every method raises `BenchError` when something else happens."""

    def __init__(
        self,
        program: Path,
        port: int,
        scripts: Iterable[Script],
        *,
        folder: Path,
        addresses: int = 200,
    ) -> None:
        with tempfile.NamedTemporaryFile("w", dir=folder, suffix=".plan", newline="") as plan:
            plan.writelines(script.record() for script in scripts)
            plan.flush()
            command: list[str | Path] = [program, str(port), plan.name, str(addresses)]
            super().__init__(command, log=folder / "load.log")
            self.hear("planned")

    def open(self, count: int, rate: float = 0.0) -> Self:
        """Opens `count` more connections, `rate` a second or as fast as they are answered."""
        self.ask(f"open {count} {rate}", "open")
        return self

    def talk(self, count: int, rate: float) -> None:
        """Sends `count` messages, `rate` a second, connection after connection."""
        self.ask(f"talk {count} {rate}", "talked")

    def count(self, total: int, patience: float = 20.0) -> Counted:
        """Waits until `total` publications were read, then a little for surplus."""
        return Counted(*map(int, self.ask(f"count {total} {patience}", "counted")))

    def expect(self, connections: int, each: int) -> None:
        """Demands that every one of the connections has read `each` publications, no more."""
        counted = self.count(connections * each)
        if counted[:3] != (connections * each, each, each):
            raise BenchError(f"{each} publications to each of {connections} became {counted}")

    def close(self) -> None:
        """Closes every connection."""
        self.ask("close", "closed")
