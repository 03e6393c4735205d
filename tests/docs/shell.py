"""A newcomer's folder: the files and commands of a page, used there as they are printed."""

import os
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.docs.pages import ROOT, blocks

WAIT: Final = 60.0
PORTS: Final = (8080, 8081, 8000, 9000, 9001)
"""Ports that pages name: gateway, admin API, a backend, a server of files."""


def printed(word: str, page: Path) -> str:
    """The command of the page that has this in it, with the lines that go on after a backslash."""
    commands = []
    for each in blocks("console", page):
        text = each.text.replace("\\\n", " ")
        commands += [line[2:] for line in text.splitlines() if line.startswith("$ ")]
    (found,) = [line for line in commands if word in line]
    return found


class Shell:
    """Runs a page's commands in one folder, on ports that are free."""

    def __init__(self, folder: Path, page: Path, **variables: str) -> None:
        self.folder = folder
        self.page = page
        self.ports = {port: free_port() for port in PORTS}
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        kept = {k: v for k, v in os.environ.items() if not k.startswith("PORTWARD_")}
        self.environ = (
            kept
            | {
                "PATH": path,
                "PYTHONPATH": str(ROOT / "src"),
                "XDG_STATE_HOME": str(folder / "state"),
                "NO_COLOR": "1",
                "PORTWARD_SERVER__PORT": str(self.ports[8080]),
                "PORTWARD_SERVER__ADMIN_PORT": str(self.ports[8081]),
            }
            | variables
        )

    def here(self, text: str) -> str:
        """A text of the page with the ports of this run."""
        names = "|".join(str(port) for port in PORTS)
        return re.sub(rf"\b({names})\b", lambda found: str(self.ports[int(found[1])]), text)

    def line(self, word: str) -> str:
        """A printed command, with the ports of this run."""
        return self.here(printed(word, self.page))

    def run(self, word: str, **variables: str) -> str:
        """What a printed command prints; it must end with 0."""
        done = subprocess.run(
            ["bash", "-euc", self.line(word)],
            cwd=self.folder,
            env=self.environ | variables,
            capture_output=True,
            text=True,
            timeout=WAIT * 3,
            check=False,
        )
        assert done.returncode == 0, (word, done.stdout, done.stderr)
        return done.stdout

    @contextmanager
    def running(self, word: str) -> Iterator["Terminal"]:
        """A printed command that stays, in a terminal of its own."""
        with self.started(self.line(word)) as found:
            yield found

    @contextmanager
    def started(self, line: str) -> Iterator["Terminal"]:
        """A command that stays, in a terminal of its own."""
        with terminal(f"exec {line}", self.folder, self.environ) as found:
            yield found


class Terminal:
    """A process that is read line by line."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.lines: list[str] = []
        self._came = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._came:
                self.lines.append(line.rstrip("\n"))
                self._came.notify_all()

    def expect(self, pattern: str) -> re.Match[str]:
        """Wait for a line with this pattern."""

        def found() -> re.Match[str] | None:
            return next((m for line in self.lines if (m := re.search(pattern, line))), None)

        with self._came:
            assert self._came.wait_for(lambda: found() is not None, WAIT), self.lines
        match = found()
        assert match is not None
        return match

    def type(self, text: str) -> None:
        """Type a line."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{text}\n")
        self.process.stdin.flush()

    def end(self) -> None:
        """End it, and let go of its pipes."""
        if self.process.poll() is None:
            # Not SIGINT: a process that was started in the background of a shell ignores it.
            self.process.terminate()
        try:
            self.process.wait(WAIT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(WAIT)
        self._reader.join(WAIT)
        for stream in (self.process.stdin, self.process.stdout):
            if stream is not None:
                stream.close()


def free_port() -> int:
    """A port that nobody has now."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return int(free.getsockname()[1])


@contextmanager
def terminal(line: str, folder: Path, environ: dict[str, str]) -> Iterator[Terminal]:
    """A command that stays, in a terminal of its own, until the block ends."""
    found = Terminal(
        subprocess.Popen(
            ["bash", "-euc", line],
            cwd=folder,
            # Standard output is a pipe here: without this, Python would keep back what a terminal shows.
            env=environ | {"PYTHONUNBUFFERED": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    )
    try:
        yield found
    finally:
        found.end()
