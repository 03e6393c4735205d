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
