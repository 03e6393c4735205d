"""The worker's side: how it detects that it is a worker, its own settings, and the parent's orders."""

import os
import socket
import threading
from collections.abc import Callable, MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec
from msgspec.structs import replace

from portward.app.workers import control_protocol
from portward.app.workers.control_protocol import Secrets, Task, WorkerOrder, WorkerReport
from portward.settings import Secret, Settings
from portward.settings.keys import ApiKey

GRACE: Final = 15.0
"""Seconds after the drain until a worker without a parent exits, in any state."""
JOIN_TIME: Final = 2.0
TASK_TIME: Final = 30.0
"""Seconds to wait for the parent's first line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerOrders:
    """Functions to call on the worker's event loop when the parent sends an order or has ended."""

    leave: Callable[[], None]
    end: Callable[[], None]
    reload: Callable[[], None]


class WorkerPlace:
    """The worker's connection to its parent, with its task. Made by :func:`taken`."""

    def __init__(self, task: Task, control: socket.socket, pipe_reader: "PipeReader") -> None:
        self.task = task
        self._control = control
        self._pipe_reader = pipe_reader
        self._thread: threading.Thread | None = None
        self._stopped = threading.Event()
        self.orphan = False
        """Whether the parent has ended."""

    # -- settings

    def settings(self, settings: Settings) -> Settings:
        """Return the settings of this worker: its own name and audit file, and the reserved port."""
        task, server, audit = self.task, settings.server, settings.audit
        if audit.file and task.number:
            audit = replace(audit, file=f"{audit.file}.{task.number}")
        name = node_name(server.instance_id or task.name, task.number)
        completed = complete(settings, task.secrets)
        return replace(
            completed, server=replace(server, port=task.port, instance_id=name), audit=audit
        )

    # -- reports to the parent

    def announce(self, text: str) -> None:
        """Send a text that a single gateway would print; the parent itself prints the addresses."""
        if text == "ready":
            self._tell(WorkerReport(ready=True))
        elif text.startswith("reload"):
            self._tell(WorkerReport(said=text))

    def fail(self, text: str) -> None:
        """Report why this worker cannot serve."""
        self._tell(WorkerReport(failed=text))

    def _tell(self, report: WorkerReport) -> None:
        with suppress(OSError):  # the parent has ended: the reader of the orders notices it too
            self._control.sendall(control_protocol.line(report))

    # -- orders of the parent

    def obey(
        self, obedience: WorkerOrders, soon: Callable[[Callable[[], None]], object], drain: float
    ) -> None:
        """Carry out orders through `soon` from now on, and drain when the parent has ended.

        It runs in a thread, which notices the end of the parent even while the event loop is blocked. `drain`
        is the time in seconds that the drain may take.
        """
        self._thread = threading.Thread(
            target=self._listen, args=(obedience, soon, drain), name="portward-orders", daemon=True
        )
        self._thread.start()

    def _listen(
        self, obedience: WorkerOrders, soon: Callable[[Callable[[], None]], object], drain: float
    ) -> None:
        deeds = {
            WorkerOrder.LEAVE.value: obedience.leave,
            WorkerOrder.END.value: obedience.end,
            WorkerOrder.RELOAD.value: obedience.reload,
        }
        with suppress(RuntimeError):  # the loop is closed: this process is stopping
            while (order := self._pipe_reader.line()) is not None:
                if order in deeds:
                    soon(deeds[order])
            self.orphan = not self._stopped.is_set()
            if self.orphan:
                soon(obedience.leave)
        # The event loop may be blocked, so the process cannot stop in order.
        if not self._stopped.wait(drain + GRACE):  # pragma: no cover - it ends the process
            os._exit(1)

    def close(self) -> None:
        """Remove the sockets. Without a parent, the last worker removes the folder too."""
        self._stopped.set()
        with suppress(OSError):
            self._control.shutdown(socket.SHUT_RDWR)
        if self._thread is not None:
            self._thread.join(JOIN_TIME)
        self._control.close()
        folder, number = self.task.folder, self.task.number
        for path in (
            control_protocol.admin_socket(folder, number),
            control_protocol.door_socket(folder, number),
        ):
            Path(path).unlink(missing_ok=True)
        if self.orphan:
            with suppress(OSError):
                Path(folder).rmdir()


class PipeReader:
    """Reads lines from a socket; it never waits for bytes after a complete line."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._held = b""

    def line(self) -> bytes | None:
        """Read the next line, without its line feed; None when no more will come."""
        while b"\n" not in self._held:
            try:
                data = self._sock.recv(control_protocol.LONGEST_LINE)
            except OSError:
                return None
            if not data:
                return None
            self._held += data
        line, _, self._held = self._held.partition(b"\n")
        return line


def node_name(name: str, number: int) -> str:
    """Return the name of a worker in `info` and in the log."""
    return f"{name}-{number}"


def taken(environment: MutableMapping[str, str]) -> WorkerPlace | None:
    """Return the place that this process was started for; None when it is no worker.

    The variable is removed from the environment, so that child processes of a worker are no workers.

    Raises:
        ValueError: the variable is set, but there is no parent.
    """
    given = environment.pop(control_protocol.VARIABLE, None)
    if given is None:
        return None
    try:
        control = socket.socket(fileno=int(given))
    except (OSError, ValueError):
        raise ValueError(
            f"{control_protocol.VARIABLE} is set, which is for a gateway's own workers"
        ) from None
    control.set_inheritable(False)
    control.settimeout(TASK_TIME)
    pipe_reader = PipeReader(control)
    try:
        task = control_protocol.task.decode(pipe_reader.line() or b"")
    except msgspec.DecodeError:
        control.close()
        raise ValueError("the gateway that started this worker is gone") from None
    control.settimeout(None)
    return WorkerPlace(task, control, pipe_reader)


def complete(settings: Settings, secrets: Secrets) -> Settings:
    """Fill in the secrets that were generated for this run, where none is configured."""
    tokens, admin = settings.tokens, settings.admin
    if secrets.token and not (tokens.secrets or tokens.jwks_url or tokens.public_keys):
        tokens = replace(tokens, secrets=(Secret(secrets.token),))
    if secrets.session and not tokens.session_secret:
        tokens = replace(tokens, session_secret=Secret(secrets.session))
    if secrets.admin and admin.enabled and not admin.api_keys:
        admin = replace(admin, api_keys=(ApiKey(key=Secret(secrets.admin)),))
    return replace(settings, tokens=tokens, admin=admin)
