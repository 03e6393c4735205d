"""One worker, as the parent sees it: a process, and a pair of sockets to talk with it."""

import asyncio
import os
import shutil
import socket
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Callable, Sequence
from contextlib import suppress

import msgspec

from portward.app.workers import control_protocol
from portward.app.workers.control_protocol import Task, WorkerOrder, WorkerReport


class WorkerProcess:
    """A worker that was started. `heard` is called with each of its reports."""

    def __init__(
        self,
        number: int,
        process: Process,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        heard: Callable[["WorkerProcess", WorkerReport], None],
    ) -> None:
        self.number = number
        self.ready = False
        self.failed = ""
        """Why it cannot serve, in its own words."""
        self._process = process
        self._reader = reader
        self._writer = writer
        self._heard = heard

    @property
    def pid(self) -> int:
        """The id of its process."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether its process has not ended."""
        return self._process.returncode is None

    def order(self, order: WorkerOrder) -> None:
        """Tell it what to do; one that is gone does not hear it."""
        if self.alive and not self._writer.is_closing():
            self._writer.write(order.value + b"\n")

    def terminate(self) -> None:
        """Send SIGTERM, for one that may not be listening to orders yet."""
        with suppress(ProcessLookupError):
            self._process.terminate()

    def kill(self) -> None:
        """End it, whatever it is doing."""
        with suppress(ProcessLookupError):
            self._process.kill()

    async def run(self) -> int:
        """Hear it until it ends; returns its exit code, negative for a signal."""
        try:
            with suppress(OSError, ValueError):  # ValueError: a line without end
                async for text in self._reader:
                    self._take(text)
            return await self._process.wait()
        finally:
            self._writer.close()

    def _take(self, text: bytes) -> None:
        try:
            report = control_protocol.report.decode(text)
        except msgspec.DecodeError:
            return
        self.ready = self.ready or report.ready
        self.failed = report.failed or self.failed
        self._heard(self, report)


async def started(
    command: Sequence[str], task: Task, heard: Callable[[WorkerProcess, WorkerReport], None]
) -> WorkerProcess:
    """Start a worker and tell it what to do.

    Raises:
        OSError: the system has no room for one.
    """
    ours, theirs = socket.socketpair()
    try:
        with theirs:
            process = await asyncio.create_subprocess_exec(
                *ignoring_hang_ups(command),
                env=os.environ | {control_protocol.VARIABLE: str(theirs.fileno())},
                pass_fds=(theirs.fileno(),),
                stdin=DEVNULL,
            )
    except BaseException:
        ours.close()
        raise
    ours.setblocking(False)
    reader, writer = await asyncio.open_connection(sock=ours, limit=control_protocol.LONGEST_LINE)
    writer.write(control_protocol.line(task))
    return WorkerProcess(task.number, process, reader, writer, heard)


def ignoring_hang_ups(command: Sequence[str]) -> tuple[str, ...]:
    """Return a command that ignores SIGHUP before it runs, so also while the interpreter starts.

    A program inherits what is ignored; other actions are set back by the event loop that starts it.
    Where there is no shell, SIGHUP is ignored from the first line of the worker on.
    """
    shell = shutil.which("sh")
    if shell is None or shutil.which(command[0]) is None:  # which is then an error of starting it
        return tuple(command)
    return (shell, "-c", 'trap "" HUP; exec "$@"', "sh", *command)
