"""The processes of a bench: started, asked, measured from outside, and ended by their id."""

import contextlib
import os
import resource
import select
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

ROOT = Path(__file__).parents[1]
PATIENCE = 120.0
"""Seconds for which an answer is awaited."""


class BenchError(Exception):
    """A server or the load client did something else than was asked."""


def raise_descriptor_limit() -> int:
    """Allows this process and its children as many open files as the system does."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


class Process:
    """A child that answers each line it is sent with one line. Ends with the `with` block."""

    def __init__(
        self,
        command: Sequence[str | Path],
        *,
        log: Path,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.name = Path(command[0]).name
        self._log = log
        with log.open("ab") as errors:
            self._child = subprocess.Popen(
                [str(part) for part in command],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                cwd=ROOT,
                env={**os.environ, **(environment or {})},
                bufsize=0,
            )
        self._answers = b""

    @property
    def pid(self) -> int:
        """The id of the process."""
        return self._child.pid

    def tell(self, line: str) -> None:
        """Sends a line. That the process is gone is found out when it is heard."""
        assert self._child.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._child.stdin.write(line.encode() + b"\n")

    def hear(self, word: str, patience: float = PATIENCE) -> list[str]:
        """Waits for the line that begins with `word`; the other words of it."""
        deadline = time.monotonic() + patience
        while True:
            line = self._line(deadline)
            first, *rest = line.split() or [""]
            if first == word:
                return rest
            if first == "failed":
                raise BenchError(f"{self.name}: {line}")

    def ask(self, line: str, word: str, patience: float = PATIENCE) -> list[str]:
        """Sends a line and waits for its answer."""
        self.tell(line)
        return self.hear(word, patience)

    def _line(self, deadline: float) -> str:
        assert self._child.stdout is not None
        while b"\n" not in self._answers:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self._child.stdout], [], [], left)[0]:
                raise BenchError(f"{self.name} does not answer; {self._trouble()}")
            arrived = self._child.stdout.read(65536)
            if not arrived:
                raise BenchError(self._trouble())
            self._answers += arrived
        line, _, self._answers = self._answers.partition(b"\n")
        return line.decode(errors="replace")

    def _trouble(self) -> str:
        return f"{self.name} ended or hangs. Its last words: {last_words(self._log)}"

    def stop(self) -> None:
        """Asks the process to end, and ends it when it does not."""
        if self._child.poll() is None:
            self._child.terminate()
            try:
                self._child.wait(10)
            except subprocess.TimeoutExpired:
                self._child.kill()
                self._child.wait()
        for pipe in (self._child.stdin, self._child.stdout):
            if pipe is not None:
                with contextlib.suppress(BrokenPipeError):
                    pipe.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def last_words(log: Path) -> str:
    """The end of what a process wrote, on one line."""
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return " / ".join(line.strip() for line in lines[-3:])[-400:]


def family(pid: int) -> list[int]:
    """A process and all its descendants."""
    found = [pid]
    for tasks in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in tasks.read_text().split():
            found += family(int(child))
    return found


def cpu_seconds(pid: int) -> float:
    """CPU time, user and system, of a process and its descendants.

    It is what /proc/PID/stat shows, read from the clock behind it in nanoseconds in place of
    ticks of 10 ms.
    """
    # The number of a process's CPU clock: clock_getcpuclockid(3), MAKE_PROCESS_CPUCLOCK.
    return sum(time.clock_gettime((~member << 3) | 2) for member in family(pid))


def resident_bytes(pid: int) -> int:
    """Resident memory of a process and its descendants."""
    total = 0
    for member in family(pid):
        for line in Path(f"/proc/{member}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                total += int(line.split()[1]) * 1024
    return total


@contextlib.contextmanager
def measured_cpu(pid: int) -> Iterator[list[float]]:
    """Puts the CPU seconds that the block cost the process into the list it gives."""
    spent: list[float] = []
    before = cpu_seconds(pid)
    yield spent
    spent.append(cpu_seconds(pid) - before)


def build(source: Path, target: Path) -> Path:
    """Compiles one C file with the system's compiler; raises `BenchError` when it cannot."""
    compiler = os.environ.get("CC", "cc")
    try:
        subprocess.run(
            [compiler, "-O2", "-o", target, source], check=True, capture_output=True, text=True
        )
    except FileNotFoundError:
        raise BenchError(f"no C compiler: {compiler} was not found") from None
    except subprocess.CalledProcessError as error:
        raise BenchError(f"{source.name} does not compile: {error.stderr}") from None
    return target
