"""The parent's side of one worker: a process, and a pair of sockets for messages."""

import asyncio
import os
import shutil
import socket
from asyncio.subprocess import DEVNULL, Process
from collections.abc import Callable, Sequence
from contextlib import suppress

import msgspec

import portward.app.workers.control_protocol as control_protocol
from portward.app.workers.control_protocol import Task, WorkerOrder, WorkerReport


class WorkerProcess:
    """A started worker. `on_report` is called with each of its reports."""

    def __init__(
        self,
        number: int,
        process: Process,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        on_report: Callable[["WorkerProcess", WorkerReport], None],
    ) -> None:
        self.number = number
        self.ready = False
        self.failed = ""
        """The reason why it cannot serve, as it reported it."""
        self._process = process
        self._reader = reader
        self._writer = writer
        self._on_report = on_report

    def order(self, order: WorkerOrder) -> None:
        """Send it an order; ignored when it has ended."""
        if self._process.returncode is None and not self._writer.is_closing():
            self._writer.write(order.value + b"\n")

    def terminate(self) -> None:
        """Send SIGTERM, for a worker that may not read orders yet."""
        with suppress(ProcessLookupError):
            self._process.terminate()

    def kill(self) -> None:
        """Kill its process."""
        with suppress(ProcessLookupError):
            self._process.kill()

    async def run(self) -> int:
        """Read its reports until it ends; returns its exit code, negative for a signal."""
        try:
            with suppress(OSError, ValueError):  # ValueError: a line that is too long
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
        self._on_report(self, report)


async def started(
    command: Sequence[str], task: Task, on_report: Callable[[WorkerProcess, WorkerReport], None]
) -> WorkerProcess:
    """Start a worker and send it its task. It inherits the descriptors of the admin listener.

    Raises:
        OSError: the system cannot start a process.
    """
    ours, theirs = socket.socketpair()
    try:
        with theirs:
            process = await asyncio.create_subprocess_exec(
                *ignoring_hang_ups(command),
                env=os.environ | {control_protocol.VARIABLE: str(theirs.fileno())},
                pass_fds=(theirs.fileno(), *task.admin),
                stdin=DEVNULL,
            )
    except BaseException:
        ours.close()
        raise
    ours.setblocking(False)
    reader, writer = await asyncio.open_connection(sock=ours, limit=control_protocol.LONGEST_LINE)
    writer.write(control_protocol.line(task))
    return WorkerProcess(task.number, process, reader, writer, on_report)


def ignoring_hang_ups(command: Sequence[str]) -> tuple[str, ...]:
    """Return a command that ignores SIGHUP before it runs, so also while the interpreter starts.

    A program inherits ignored signals; the event loop that starts it resets all other actions. Without a
    shell, SIGHUP is ignored only from the first line of the worker on.
    """
    shell = shutil.which("sh")
    if shell is None or shutil.which(command[0]) is None:  # without a program, the start fails
        return tuple(command)
    return (shell, "-c", 'trap "" HUP; exec "$@"', "sh", *command)
