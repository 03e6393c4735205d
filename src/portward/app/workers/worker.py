"""A worker's side: how it learns that it is one, what it serves differently, whom it obeys."""

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
"""Seconds beyond the drain after which a worker without a parent ends, whatever it is doing."""
JOIN_TIME: Final = 2.0
TASK_TIME: Final = 30.0
"""Seconds the parent has to say what there is to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerOrders:
    """What to call, on the worker's event loop, when the parent gives an order or is gone."""

    leave: Callable[[], None]
    end: Callable[[], None]
    reload: Callable[[], None]


class WorkerPlace:
    """The worker's place among the others. Made by :func:`taken`."""

    def __init__(self, task: Task, control: socket.socket, ear: "PipeReader") -> None:
        self.task = task
        self._control = control
        self._ear = ear
        self._thread: threading.Thread | None = None
        self._stopped = threading.Event()
        self.orphan = False
        """Whether the parent is gone."""

    # -- what is served

    def settings(self, settings: Settings) -> Settings:
        """The settings as this worker serves them: its own name and files, the port there is."""
        task, server, audit = self.task, settings.server, settings.audit
        if audit.file and task.number:
            audit = replace(audit, file=f"{audit.file}.{task.number}")
        name = node_name(server.instance_id or task.name, task.number)
        completed = complete(settings, task.secrets)
        return replace(
            completed, server=replace(server, port=task.port, instance_id=name), audit=audit
        )

    # -- what the parent is told

    def announce(self, text: str) -> None:
        """Tell what a gateway by itself would print; where it is, the parent knows."""
        if text == "ready":
            self._tell(WorkerReport(ready=True))
        elif text.startswith("reload"):
            self._tell(WorkerReport(said=text))

    def fail(self, text: str) -> None:
        """Tell why this worker cannot serve."""
        self._tell(WorkerReport(failed=text))

    def _tell(self, report: WorkerReport) -> None:
        with suppress(OSError):  # nobody is there to hear it: the orders say so too
            self._control.sendall(control_protocol.line(report))

    # -- what the parent wants

    def obey(
        self, obedience: WorkerOrders, soon: Callable[[Callable[[], None]], object], drain: float
    ) -> None:
        """Carry out orders by way of `soon` from now on, and leave when the parent is gone.

        By a thread: it notices the end of the parent also while the event loop is stuck. `drain` is
        the time, in seconds, that leaving may take.
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
        with suppress(RuntimeError):  # the loop is closed: we are leaving
            while (order := self._ear.line()) is not None:
                if order in deeds:
                    soon(deeds[order])
            self.orphan = not self._stopped.is_set()
            if self.orphan:
                soon(obedience.leave)
        if not self._stopped.wait(drain + GRACE):  # pragma: no cover - it ends the process
            os._exit(1)

    def close(self) -> None:
        """Leave nothing behind. The last one without a parent removes the folder too."""
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
    """Reads lines from a socket, and not a byte more than came."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._held = b""

    def line(self) -> bytes | None:
        """The next line without its end; None when there will be none."""
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
    """What a worker is called in `info` and in the log."""
    return f"{name}-{number}"


def taken(environment: MutableMapping[str, str]) -> WorkerPlace | None:
    """The place this process was started for; None when it was not started by a gateway.

    The variable is taken out of the environment: what a worker starts is no worker.

    Raises:
        ValueError: there is the variable, and no parent behind it.
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
    ear = PipeReader(control)
    try:
        task = control_protocol.task.decode(ear.line() or b"")
    except msgspec.DecodeError:
        control.close()
        raise ValueError("the gateway that started this worker is gone") from None
    control.settimeout(None)
    return WorkerPlace(task, control, ear)


def complete(settings: Settings, secrets: Secrets) -> Settings:
    """Put in what was made up for this run, where nothing is configured."""
    tokens, admin = settings.tokens, settings.admin
    if secrets.token and not (tokens.secrets or tokens.jwks_url or tokens.public_keys):
        tokens = replace(tokens, secrets=(Secret(secrets.token),))
    if secrets.session and not tokens.session_secret:
        tokens = replace(tokens, session_secret=Secret(secrets.session))
    if secrets.admin and admin.enabled and not admin.api_keys:
        admin = replace(admin, api_keys=(ApiKey(key=Secret(secrets.admin)),))
    return replace(settings, tokens=tokens, admin=admin)
