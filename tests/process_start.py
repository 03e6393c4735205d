"""Real `portward` processes, looked at while they start: which signals they handle, what they have loaded."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.e2e.process import ROOT
from tests.engines.redis_servers import until

PATIENCE = 60.0
IGNORED, CAUGHT = "SigIgn", "SigCgt"


class Starting:
    """A process that was just started; `log` has everything it prints."""

    def __init__(self, process: "subprocess.Popen[bytes]", log: Path) -> None:
        self.process = process
        self.pid = process.pid
        self._log = log

    @property
    def said(self) -> str:
        """Everything it has printed."""
        return self._log.read_text()

    def await_signal(self, number: signal.Signals, what: str) -> None:
        """Wait until it ignores or catches a signal."""
        until(lambda: handles(self.pid, number, what), PATIENCE)

    def await_line(self, pattern: str) -> re.Match[str]:
        """Wait for a line."""
        found: list[re.Match[str]] = []

        def come() -> bool:
            match = re.search(pattern, self.said, re.MULTILINE)
            found.extend([match] if match else [])
            assert match or self.process.poll() is None, self.said
            return bool(match)

        until(come, PATIENCE)
        return found[0]

    def health(self) -> int:
        """The status of `/health` of the public listener."""
        address = self.await_line(r"^rooms +ws://(\S+)/")[1]
        return httpx.get(f"http://{address}/health", trust_env=False).status_code

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to end; the exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)


@contextmanager
def starting(
    folder: Path, *arguments: str, before: str = "", redirections: str = "", **environment: str
) -> Iterator[Starting]:
    """Start `portward`, with what the shell is to do before, and with its standard streams.

    Without the measuring of coverage, which would be imported first and change all times.
    """
    log = folder / f"log-{time.monotonic_ns()}"
    log.touch()
    own = {
        "PYTHONPATH": str(ROOT / "src"),
        "NO_COLOR": "1",
        "PORTWARD_ENGINE__URL": "memory://",
        "XDG_STATE_HOME": str(folder),
    }
    kept = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    with log.open("ab") as output:
        process = subprocess.Popen(
            ["sh", "-c", f'{before} exec "$@" {redirections}', "sh",
             sys.executable, "-m", "portward", *arguments],
            env=kept | own | environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        yield Starting(process, log)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(PATIENCE)


def handles(pid: int, number: signal.Signals, what: str) -> bool:
    """Return whether a process ignores or catches a signal; False for one that is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False
    mask = re.search(rf"^{what}:\s+([0-9a-f]+)$", status, re.MULTILINE)
    return bool(mask and int(mask[1], 16) >> (number - 1) & 1)


def has_loaded(pid: int, library: str) -> bool:
    """Return whether a process has a library in its memory."""
    return library in Path(f"/proc/{pid}/maps").read_text()


def children(pid: int) -> list[int]:
    """Return the processes that a process has started."""
    try:
        return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []
