"""The parent process of a gateway with several workers, from the start to the exit code."""

import asyncio
import secrets as random
import socket
import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import AsyncExitStack, suppress
from functools import partial
from typing import Final, NamedTuple

from msgspec.structs import replace

import portward.app.workers.worker_process as worker_process
from portward.admin.server import bind
from portward.app.judging import refuse_start, refuse_unsafe
from portward.app.server import Announce, describe_changes, lines
from portward.app.service_manager import READY, STOPPING, notified, notify
from portward.app.signals import Signals
from portward.app.workers.control_protocol import Secrets, Task, WorkerOrder
from portward.app.workers.sockets import Acceptor, private_folder, reserved
from portward.app.workers.supervisor import (
    GRACE,
    ReportHandler,
    StartFailedError,
    Supervisor,
    after,
    any_of,
)
from portward.app.workers.worker import complete
from portward.model.clock import Clock
from portward.node.sessions import LoopClock
from portward.settings import Settings, SettingsError, changes, reloaded, resolve
from portward.telemetry import Telemetry
from portward.telemetry.telemetry import make_telemetry

REFUSED: Final = "reload refused: "
UNSERVED_TIME: Final = 10.0
"""Seconds for a request while no worker serves."""
UNSERVED_MAX: Final = 128
"""Requests at once while no worker serves; more are closed."""
_UNSERVED_BODY: Final = (
    b'{"status":"no worker is ready","error":{"code":108,"message":"temporarily unavailable"}}'
)
_UNSERVED: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\nretry-after: 1\r\n"
    b"cache-control: no-store\r\nx-content-type-options: nosniff\r\nconnection: close\r\n"
    b"content-length: %d\r\n\r\n%s" % (len(_UNSERVED_BODY), _UNSERVED_BODY)
)


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


class _SharedPlace(NamedTuple):
    """What all workers share: a folder for sockets, the public address, and the admin listener."""

    folder: str
    address: tuple[str, int]
    admin: list[socket.socket]


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
    async with AsyncExitStack() as stack:
        stack.callback(telemetry.close)
        signals = stack.enter_context(Signals())
        folder = stack.enter_context(private_folder())
        address = stack.enter_context(reserved(server.host, server.port))
        admin = []
        if settings.admin.enabled:
            admin = await bind(server.admin_host, server.admin_port)
        place = _SharedPlace(folder, address, [stack.enter_context(sock) for sock in admin])
        parent = _Parent(settings, plan, place, clock, telemetry)
        stack.callback(parent.unserved.stop)
        return await parent.run(signals)


class _Parent:
    """Implements `supervisor.SupervisorEvents`."""

    def __init__(
        self,
        settings: Settings,
        plan: WorkersPlan,
        place: _SharedPlace,
        clock: Clock,
        telemetry: Telemetry,
    ) -> None:
        server = settings.server
        self.unserved = _Unserved(place.admin, clock)
        self.complain = plan.complain
        self._settings = settings
        self._plan = plan
        self._place = place
        self._clock = clock
        self._name = server.instance_id or f"{socket.gethostname()}-{place.address[1]}"
        self._crew = Supervisor(server.workers, self._name, self._start, self, clock, telemetry)
        self._reloads = Reloads(
            settings,
            lambda: complete(plan.reload(), plan.secrets),
            partial(self._crew.order, WorkerOrder.RELOAD),
            plan.announce,
        )

    async def _start(
        self, number: int, replaced: int, on_report: ReportHandler
    ) -> worker_process.WorkerProcess:
        task = Task(
            number=number,
            port=self._place.address[1],
            name=self._name,
            folder=self._place.folder,
            admin=tuple(sock.fileno() for sock in self._place.admin),
            replaced=replaced,
            secrets=self._plan.secrets,
        )
        return await worker_process.started(self._plan.command, task, on_report)

    def on_text(self, number: int, text: str) -> None:
        """Pass on the answer of a worker to a reload."""
        self._reloads.on_text(number, text)

    def changed(self) -> None:
        """Accept admin connections while no worker does."""
        self.unserved.serve(none_ready=not self._crew.ready)

    async def run(self, signals: Signals) -> int:
        """Serve until a signal stops it; returns the exit code."""
        self.unserved.serve(none_ready=True)
        self._crew.begin()
        watching = asyncio.create_task(self._crew.watch())
        try:
            await self._serve(signals, watching)
        except StartFailedError as error:
            raise SettingsError(str(error)) from None
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
            await self._crew.close()
        return self._crew.code

    async def _serve(self, signals: Signals, watching: "asyncio.Task[None]") -> None:
        await self._until(watching, self._crew.complete, signals.asked)
        if not signals.asked.is_set():
            admin = self._place.admin
            listening = admin[0].getsockname()[:2] if admin else None
            for line in lines(self._settings, self._place.address, listening):
                self._plan.announce(line)
            self._plan.announce("ready")
            signals.on_reload(notified(self._reloads.begin))
            notify(READY)
        await self._until(watching, signals.asked)
        notify(STOPPING)
        self._crew.stop(WorkerOrder.LEAVE)
        with after(self._clock, resolve(self._settings).server.drain_timeout + GRACE) as over:
            await self._until(watching, over, signals.insisted)
        self._crew.stop(WorkerOrder.END)
        with after(self._clock, GRACE) as over:
            await self._until(watching, over)
        self._crew.kill()
        await watching

    async def _until(self, watching: "asyncio.Task[None]", *events: asyncio.Event) -> None:
        """Wait for one of the events, or for the end of all workers.

        Raises:
            StartFailedError: the workers ended with this error.
        """
        await any_of(*events, task=watching)
        if watching.done():
            watching.result()


class Reloads:
    """Makes the workers reload the settings: these are checked once, and one result is printed.

    `order` sends the order; returns the numbers of the workers.
    """

    def __init__(
        self,
        settings: Settings,
        read: Callable[[], Settings],
        order: Callable[[], list[int]],
        announce: Announce,
    ) -> None:
        self.settings = settings
        self._read = read
        self._order = order
        self._announce = announce
        self._waiting: set[int] = set()
        self._text = ""

    def begin(self) -> None:
        """Check the settings; if they are valid, order the workers to reload."""
        try:
            fresh = self._read()
            refuse_unsafe(fresh)
            changed = changes(self.settings, fresh)
            merged = reloaded(self.settings, fresh)
            refuse_start(merged)
        except (SettingsError, ValueError) as error:
            self._announce(f"{REFUSED}{error}")
            return
        self.settings = merged
        self._text = describe_changes(changed)
        self._waiting = set(self._order())
        self._conclude()

    def on_text(self, number: int, text: str) -> None:
        """Record a worker's answer; an empty text means that the worker has ended."""
        if text.startswith(REFUSED):
            self._announce(f"worker {number}: {text}")
        if number in self._waiting:
            self._waiting.remove(number)
            self._conclude()

    def _conclude(self) -> None:
        if not self._waiting:
            self._announce(self._text)


class _Unserved:
    """Answers 503 on the admin listener while no worker accepts its connections."""

    def __init__(self, sockets: Iterable[socket.socket], clock: Clock) -> None:
        self._acceptors = [Acceptor(sock, self._accept, clock) for sock in sockets]
        self._answering: set[asyncio.Task[None]] = set()

    def serve(self, *, none_ready: bool) -> None:
        """Accept connections, or leave them to the workers."""
        for each in self._acceptors:
            if none_ready:
                each.start()
            else:
                each.stop()

    def stop(self) -> None:
        """Accept no more, and drop what is not answered."""
        self.serve(none_ready=False)
        for task in self._answering:
            task.cancel()

    def _accept(self, sock: socket.socket) -> None:
        if len(self._answering) >= UNSERVED_MAX:
            sock.close()
            return
        task = asyncio.ensure_future(self._answer(sock))
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def _answer(self, sock: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        with sock, suppress(OSError, TimeoutError):
            async with asyncio.timeout(UNSERVED_TIME):
                await loop.sock_recv(sock, 65536)
                await loop.sock_sendall(sock, _UNSERVED)
