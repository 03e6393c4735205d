"""The worker's side: how it detects that it is a worker, its own settings, and the parent's orders."""

import os
import socket
import threading
from collections.abc import Callable, Mapping, MutableMapping
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final

import msgspec
from msgspec.structs import replace

import portward.app.workers.control_protocol as control_protocol
from portward.app.workers.control_protocol import Secrets, Task, WorkerOrder, WorkerReport
from portward.settings import Secret, Settings
from portward.settings.keys import ApiKey

GRACE: Final = 15.0
"""Seconds after the drain until a worker without a parent exits, in any state."""
JOIN_TIME: Final = 2.0
TASK_TIME: Final = 30.0
"""Seconds to wait for the parent's first line."""


class WorkerPlace:
    """The worker's connection to its parent, with its task. Made by :func:`taken`."""

    def __init__(self, task: Task, control: socket.socket, lines: BinaryIO) -> None:
        """`lines` are those that come from the parent over `control`."""
        self.task = task
        self.replaced = task.replaced
        """How many workers of the gateway were started in place of one that ended."""
        self.admin = [socket.socket(fileno=number) for number in task.admin]
        """The sockets of the admin listener, which all workers share."""
        for sock in self.admin:
            sock.set_inheritable(False)
        self._control = control
        self._lines = lines
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
            self._tell(WorkerReport(text=text))

    def fail(self, text: str) -> None:
        """Report why this worker cannot serve."""
        self._tell(WorkerReport(failed=text))

    def _tell(self, report: WorkerReport) -> None:
        with suppress(OSError):  # the parent has ended: the reader of the orders notices it too
            self._control.sendall(control_protocol.line(report))

    # -- orders of the parent

    def obey(
        self,
        deeds: Mapping[WorkerOrder, Callable[[], None]],
        soon: Callable[[Callable[[], None]], object],
        drain: float,
    ) -> None:
        """Carry out orders through `soon` from now on, and drain when the parent has ended.

        It runs in a thread, which notices the end of the parent even while the event loop is blocked. `drain`
        is the time in seconds that the drain may take.
        """
        self._thread = threading.Thread(
            target=self._listen, args=(deeds, soon, drain), name="portward-orders", daemon=True
        )
        self._thread.start()

    def _listen(
        self,
        deeds: Mapping[WorkerOrder, Callable[[], None]],
        soon: Callable[[Callable[[], None]], object],
        drain: float,
    ) -> None:
        known = {order.value: deed for order, deed in deeds.items()}
        known[WorkerOrder.REPLACED.value] = self._count_replaced
        with suppress(RuntimeError):  # the loop is closed: this process is stopping
            while order := _line(self._lines):
                if order.strip() in known:
                    soon(known[order.strip()])
            self.orphan = not self._stopped.is_set()
            if self.orphan:
                soon(deeds[WorkerOrder.LEAVE])
        # The event loop may be blocked, so the process cannot stop in order.
        if not self._stopped.wait(drain + GRACE):  # pragma: no cover - it ends the process
            os._exit(1)

    def _count_replaced(self) -> None:
        self.replaced += 1

    def close(self) -> None:
        """Remove the sockets. Without a parent, the last worker removes the folder too."""
        self._stopped.set()
        with suppress(OSError):
            self._control.shutdown(socket.SHUT_RDWR)
        if self._thread is not None:
            self._thread.join(JOIN_TIME)
        self._lines.close()
        self._control.close()
        for sock in self.admin:
            sock.close()
        folder, number = self.task.folder, self.task.number
        for path in (
            control_protocol.status_socket(folder, number),
            control_protocol.handover_socket(folder, number),
        ):
            Path(path).unlink(missing_ok=True)
        if self.orphan:
            with suppress(OSError):
                Path(folder).rmdir()


def _line(lines: BinaryIO) -> bytes:
    """Read the next line; empty when no more will come."""
    try:
        return lines.readline(control_protocol.LONGEST_LINE)
    except OSError:
        return b""


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
    lines = control.makefile("rb")
    try:
        task = control_protocol.task.decode(_line(lines))
    except msgspec.DecodeError:
        lines.close()
        control.close()
        raise ValueError("the gateway that started this worker is gone") from None
    control.settimeout(None)
    return WorkerPlace(task, control, lines)


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
