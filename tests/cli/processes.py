"""The command line as a process of its own, for what ends with signals."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 30.0
"""Seconds after which something that does not happen is a failure."""


class Process:
    """One running command, everything it prints line by line, both streams together."""

    def __init__(self, *arguments: str, **environment: str) -> None:
        own = {
            "PYTHONPATH": str(ROOT / "src"),
            "NO_COLOR": "1",
            "PORTWARD_ENGINE__URL": "memory://",
        }
        env = os.environ | own | environment
        self.popen = subprocess.Popen(
            [sys.executable, "-m", "portward", *arguments],
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.lines: list[str] = []
        self._changed = threading.Condition()
        self._over = False
        self._seen = 0
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.popen.stdout is not None
        for line in self.popen.stdout:
            with self._changed:
                self.lines.append(line.rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._over = True
            self._changed.notify_all()

    def expect(self, pattern: str) -> re.Match[str]:
        """Wait for a line, after the last one that was waited for."""
        found: list[re.Match[str]] = []

        def come() -> bool:
            while self._seen < len(self.lines):
                line = self.lines[self._seen]
                self._seen += 1
                match = re.search(pattern, line)
                if match:
                    found.append(match)
                    return True
            return self._over

        with self._changed:
            self._changed.wait_for(come, PATIENCE)
        if not found:
            raise AssertionError(f"no {pattern!r} in:\n" + "\n".join(self.lines))
        return found[0]

    def type(self, line: str) -> None:
        """Type a line."""
        assert self.popen.stdin is not None
        self.popen.stdin.write(line + "\n")
        self.popen.stdin.flush()

    def close_input(self) -> None:
        """Say that nothing more will be typed."""
        assert self.popen.stdin is not None
        self.popen.stdin.close()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        self.popen.send_signal(number)

    def wait(self) -> int:
        """Wait for the end; the exit code."""
        code = self.popen.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return code

    def stop(self) -> None:
        """End it, however it is."""
        if self.popen.poll() is None:
            self.popen.kill()
        self.wait()
        for stream in (self.popen.stdin, self.popen.stdout):
            assert stream is not None
            stream.close()


@contextmanager
def running(*arguments: str, **environment: str) -> Iterator[Process]:
    """Run a command for as long as the block lasts."""
    process = Process(*arguments, **environment)
    try:
        yield process
    finally:
        process.stop()


class Address(str):
    """Where the rooms of a gateway are; `admin` is its admin API."""

    admin: str


@contextmanager
def gateway(*arguments: str, **environment: str) -> Iterator[tuple[Process, Address]]:
    """Run a gateway on free ports, and wait until it is ready."""
    ports = ("--port", "0", "--admin-port", "0")
    with running("serve", *ports, *arguments, **environment) as process:
        address = Address(process.expect(r"^rooms +(ws\S+)$")[1])
        address.admin = process.expect(r"^admin +(http\S+)$")[1]
        process.expect("^ready$")
        yield process, address
