"""Real servers for tests: started on free ports in folders of their own, and stopped whatever happens."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from redis.crc import key_slot

SLOTS = 16384
LIMIT = 30.0
"""Seconds anything here may take on a slow machine."""


def need_redis() -> None:
    """Skip where there is no Redis."""
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not on PATH")


def free_port() -> int:
    """A port that nobody has, below those from which a cluster's second port would not fit."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        if 20000 <= port < 55000 and _free(port + 10000):
            return port


def _free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def until(condition: Callable[[], bool], limit: float = LIMIT) -> None:
    """Wait until something outside is so.

    Raises:
        TimeoutError: it never was.
    """
    end = time.monotonic() + limit
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("it did not come to pass")
        time.sleep(0.02)


class Server:
    """One `redis-server`, or one Sentinel. `options` are those of its command line."""

    def __init__(self, folder: Path, *options: str, port: int | None = None) -> None:
        self.port = port or free_port()
        self.folder = folder
        self.folder.mkdir(exist_ok=True)
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> "Server":
        """Start it, and wait until it answers."""
        command = [
            "redis-server", *self._sentinel_file(), "--port", str(self.port), "--bind", "127.0.0.1",
            "--dir", str(self.folder), "--daemonize", "no", *self._options,
        ]  # fmt: skip
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        until(self._answers)
        return self

    def _sentinel_file(self) -> list[str]:
        path = self.folder / "sentinel.conf"
        return [str(path), "--sentinel"] if path.exists() else []

    def _answers(self) -> bool:
        if self._process is not None and self._process.poll() is not None:
            raise RuntimeError((self.folder / "log").read_text()[-2000:])
        return self.cli("PING").strip() in {"PONG", "NOAUTH Authentication required."}

    def cli(self, *command: str, password: str | None = None) -> str:
        """What `redis-cli` prints, without decorations."""
        environment = {**os.environ, **({"REDISCLI_AUTH": password} if password else {})}
        run = subprocess.run(
            ["redis-cli", "-p", str(self.port), *command],
            capture_output=True, text=True, timeout=LIMIT, check=False, env=environment,
        )  # fmt: skip
        return run.stdout

    def field(self, section: str, name: str) -> str:
        """One field of `INFO`."""
        for line in self.cli("INFO", section).splitlines():
            if line.startswith(f"{name}:"):
                return line.partition(":")[2].strip()
        return ""

    def pause(self) -> None:
        """Let it hang: connections stay, nothing is answered."""
        if self._process is not None:
            self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """End it at once."""
        process, self._process = self._process, None
        if process is not None:
            process.send_signal(signal.SIGCONT)
            process.kill()
            process.wait(LIMIT)

    @property
    def url(self) -> str:
        """Its address."""
        return f"redis://127.0.0.1:{self.port}/0"


@contextmanager
def servers(*made: Server) -> Iterator[tuple[Server, ...]]:
    """Start servers; they are gone afterwards."""
    try:
        for server in made:
            server.start()
        yield made
    finally:
        for server in made:
            server.kill()


class Cluster:
    """Three primaries."""

    def __init__(self, members: tuple[Server, ...]) -> None:
        self.members = members

    @property
    def url(self) -> str:
        """Their address."""
        return "redis+cluster://" + ",".join(f"127.0.0.1:{each.port}" for each in self.members)

    def form(self) -> None:
        """Make them one."""
        addresses = [f"127.0.0.1:{each.port}" for each in self.members]
        subprocess.run(
            ["redis-cli", "--cluster", "create", *addresses, "--cluster-yes"],
            check=True, capture_output=True, timeout=LIMIT,
        )  # fmt: skip
        for each in self.members:
            until(lambda each=each: "cluster_state:ok" in each.cli("CLUSTER", "INFO"))  # type: ignore[misc]

    def empty(self) -> None:
        """Forget everything."""
        for each in self.members:
            each.cli("FLUSHALL")

    def cli(self, *words: str) -> str:
        """Give a command where its key is: the second word, or the fourth of EVAL."""
        key = words[3] if words[0] == "EVAL" else words[1]
        return self.owner(key_slot(key.encode())).cli(*words)

    def owner(self, slot: int) -> Server:
        """Who has a slot."""
        return next(
            each for each in self.members for first, last in _ranges(each) if first <= slot <= last
        )

    def open(self, slot: int) -> tuple[Server, Server]:
        """Begin to give a slot to another server; returns who has it and who will."""
        source = self.owner(slot)
        target = next(each for each in self.members if each is not source)
        source_id = source.cli("CLUSTER", "MYID").strip()
        target_id = target.cli("CLUSTER", "MYID").strip()
        target.cli("CLUSTER", "SETSLOT", str(slot), "IMPORTING", source_id)
        source.cli("CLUSTER", "SETSLOT", str(slot), "MIGRATING", target_id)
        return source, target

    def move(self, slot: int) -> None:
        """Give a slot with all its keys to another server, one key after the other, as operators do."""
        self.close(slot, *self.open(slot))

    def close(self, slot: int, source: Server, target: Server) -> None:
        """Give the keys, and then the slot."""
        target_id = target.cli("CLUSTER", "MYID").strip()
        while keys := source.cli("CLUSTER", "GETKEYSINSLOT", str(slot), "10").split():
            source.cli("MIGRATE", "127.0.0.1", str(target.port), "", "0", "5000", "KEYS", *keys)
        for each in (target, source, *self.members):
            each.cli("CLUSTER", "SETSLOT", str(slot), "NODE", target_id)


def _ranges(server: Server) -> list[tuple[int, int]]:
    for line in server.cli("CLUSTER", "NODES").splitlines():
        fields = line.split()
        if "myself" in fields[2]:
            parts = [part.split("-") for part in fields[8:] if not part.startswith("[")]
            return [(int(part[0]), int(part[-1])) for part in parts]
    return []


def cluster_member(folder: Path, *options: str) -> Server:
    """A server that may become part of a cluster."""
    return Server(
        folder, "--save", "", "--cluster-enabled", "yes", "--cluster-node-timeout", "2000", *options
    )
