"""The parent process of a gateway with several workers, from the start to the exit code."""

import asyncio
import secrets as random
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from typing import NamedTuple

from msgspec.structs import replace

from portward.admin.server import AdminServer
from portward.app.judging import refuse_start, refuse_unsafe
from portward.app.server import Announce, host_check, lines
from portward.app.service_manager import READY, STOPPING, notified, notify
from portward.app.signals import Signals
from portward.app.telemetry import make_telemetry
from portward.app.workers import worker_process
from portward.app.workers.control_protocol import Secrets, Task, WorkerOrder
from portward.app.workers.parent_admin import ParentAdmin, make_front
from portward.app.workers.reloads import Reloads
from portward.app.workers.sockets import private_folder, reserved
from portward.app.workers.supervisor import GRACE, Heard, StartFailedError, Supervisor
from portward.app.workers.worker import complete
from portward.model.clock import Clock
from portward.node.sessions import LoopClock
from portward.settings import Settings, SettingsError, resolve
from portward.telemetry import Telemetry


class WorkersPlan(NamedTuple):
    """The parameters of a gateway with several workers.

    `command` starts one worker. `reload` reads the settings again. `announce` prints a message, `complain`
    prints an error. `secrets` were generated for this run.
    """

    command: Sequence[str]
    reload: Callable[[], Settings]
    announce: Announce
    complain: Callable[[str], None]
    secrets: Secrets = Secrets()


async def serve_workers(
    settings: Settings, plan: WorkersPlan, *, platform: str = sys.platform
) -> int:
    """Serve until a signal stops it; returns the exit code.

    Raises:
        SettingsError: these settings must not be served, or no worker can serve them.
        OSError: an address cannot be bound.
    """
    if platform != "linux":
        raise SettingsError(
            "server.workers: several workers share a port in a way that only Linux has; "
            "write server.workers = 1, or run several gateways behind a proxy"
        )
    if not (settings.tokens.session_secret or plan.secrets.session):
        # A client may reconnect to any worker, so all workers must accept its session token.
        made = replace(plan.secrets, session=random.token_hex(32))
        plan = plan._replace(secrets=made)
    settings = complete(settings, plan.secrets)
    refuse_unsafe(settings)
    refuse_start(settings)
    clock = LoopClock()
    # Only the workers write audit files.
    telemetry = make_telemetry(replace(settings, audit=replace(settings.audit, file="")), clock)
    server = settings.server
    try:
        with (
            Signals() as signals,
            private_folder() as folder,
            reserved(server.host, server.port) as address,
        ):
            return await _Parent(settings, plan, clock, telemetry, folder, address).run(signals)
    finally:
        telemetry.close()


class _Parent:
    def __init__(
        self,
        settings: Settings,
        plan: WorkersPlan,
        clock: Clock,
        telemetry: Telemetry,
        folder: str,
        address: tuple[str, int],
    ) -> None:
        server = settings.server
        self._settings = settings
        self._plan = plan
        self._clock = clock
        self._folder = folder
        self._address = address
        self._name = server.instance_id or f"{socket.gethostname()}-{address[1]}"
        self._reloads = Reloads(
            settings,
            lambda: complete(plan.reload(), plan.secrets),
            lambda: self._crew.order(WorkerOrder.RELOAD),
            plan.announce,
        )
        self._crew = Supervisor(
            server.workers,
            self._name,
            self._start,
            clock,
            telemetry,
            self._reloads.heard,
            plan.complain,
        )
        self._admin: AdminServer | None = None
        self._front: ParentAdmin | None = None
        if settings.admin.enabled:
            self._front = make_front(self._crew, folder, clock, telemetry, settings)
            self._admin = AdminServer(
                host_check(self._front, settings), server.admin_host, server.admin_port
            )

    async def _start(self, number: int, heard: Heard) -> worker_process.WorkerProcess:
        task = Task(
            number=number,
            port=self._address[1],
            name=self._name,
            folder=self._folder,
            secrets=self._plan.secrets,
        )
        return await worker_process.started(self._plan.command, task, heard)

    async def run(self, signals: Signals) -> int:
        """Serve until a signal stops it; returns the exit code."""
        async with AsyncExitStack() as stack:
            if self._admin is not None and self._front is not None:
                stack.push_async_callback(self._front.aclose)
                await self._admin.start()
                stack.push_async_callback(self._admin.stop)
            stack.push_async_callback(self._crew.close)
            self._crew.begin()
            try:
                await self._serve(signals)
            except StartFailedError as error:
                raise SettingsError(str(error)) from None
            return self._crew.code

    async def _serve(self, signals: Signals) -> None:
        watching = asyncio.create_task(self._crew.watch())
        try:
            await _first(watching, self._crew.complete, signals.asked)
            if not signals.asked.is_set():
                admin = self._admin.address if self._admin is not None else None
                for line in lines(self._settings, self._address, admin):
                    self._plan.announce(line)
                self._plan.announce("ready")
                signals.on_reload(notified(self._reloads.begin))
                notify(READY)
            await _first(watching, signals.asked)
            notify(STOPPING)
            self._crew.leave()
            await self._first_within(
                resolve(self._settings).server.drain_timeout + GRACE, watching, signals
            )
            self._crew.end()
            await self._first_within(GRACE, watching)
            self._crew.kill()
            await watching
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    async def _first_within(
        self, seconds: float, watching: "asyncio.Task[None]", signals: Signals | None = None
    ) -> None:
        over = asyncio.Event()
        timer = self._clock.call_later(seconds, over.set)
        try:
            await _first(watching, over, *([signals.insisted] if signals is not None else []))
        finally:
            timer.cancel()


async def _first(watching: "asyncio.Task[None]", *events: asyncio.Event) -> None:
    """Wait for one of the events, or for the end of all workers.

    Raises:
        StartFailedError: the workers ended with this error.
    """
    waits = [asyncio.create_task(_happened(event)) for event in events]
    try:
        await asyncio.wait({watching, *waits}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
        await asyncio.gather(*waits, return_exceptions=True)
    if watching.done():
        watching.result()


async def _happened(event: asyncio.Event) -> None:
    await event.wait()
