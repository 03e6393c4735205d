"""What the tests of workers share: admin APIs of several gateways in this process, as workers have them."""

import asyncio
import io
import os
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from msgspec.structs import replace

from portward.admin.app import AdminApp
from portward.admin.server import AdminServer
from portward.app.gateway import Gateway
from portward.app.telemetry import make_telemetry
from portward.app.workers.control_protocol import Task, WorkerOrder, WorkerReport
from portward.app.workers.parent_admin import ParentAdmin, make_front
from portward.app.workers.supervisor import Heard, Supervisor
from portward.app.workers.worker import PipeReader, WorkerPlace
from portward.app.workers.worker_admin import make_listener
from portward.engines.memory import MemoryEngine
from portward.node.sessions.clock import LoopClock
from portward.settings import Secret, Settings
from portward.settings.keys import ApiKey
from portward.settings.operation import AdminSettings
from portward.settings.sections import ServerSettings
from portward.telemetry import Telemetry
from portward.testing import FakeClock, MemoryClient, connect

ROOT = Path(__file__).resolve().parents[3]
KEY = "admin-key-" + "a" * 32
SETTINGS = Settings(
    server=ServerSettings(port=0, admin_port=0),
    admin=AdminSettings(api_keys=(ApiKey(key=Secret(KEY)),)),
)


def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let programs that are no gateways find the package, and not be measured: they are killed."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "src"))
    for name in [each for each in os.environ if each.startswith("COVERAGE_PROCESS")]:
        monkeypatch.delenv(name)


def telemetry(clock: FakeClock | LoopClock) -> Telemetry:
    """A log that goes nowhere."""
    return make_telemetry(SETTINGS, clock, io.StringIO())


def place_in(folder: Path, number: int) -> tuple[WorkerPlace, socket.socket]:
    """A worker's place, and its parent's socket."""
    ours, theirs = socket.socketpair()
    task = Task(number=number, port=0, name="box", folder=str(folder))
    return WorkerPlace(task, theirs, PipeReader(theirs)), ours


class Puppet:
    """A worker for a supervisor: what it is told is kept, and it ends when the test says so."""

    def __init__(self, number: int, heard: Heard) -> None:
        self.number = number
        self.ready = False
        self.failed = ""
        self.pid = 0
        self.told: list[str] = []
        self._heard = heard
        self._code: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    def order(self, order: WorkerOrder) -> None:
        """Keep it."""
        self.told.append(order.name)

    def terminate(self) -> None:
        """End by SIGTERM."""
        self.told.append("terminate")
        self.die(-15)

    def kill(self) -> None:
        """End by SIGKILL."""
        self.die(-9)

    def die(self, code: int) -> None:
        """End."""
        if not self._code.done():
            self._code.set_result(code)

    def report(self, report: WorkerReport) -> None:
        """Say something."""
        self.ready = self.ready or report.ready
        self.failed = report.failed or self.failed
        self._heard(self, report)

    async def run(self) -> int:
        """Wait for the end."""
        return await self._code


class House:
    """Several gateways, the parent's admin API before them, and HTTP to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = FakeClock()
        self.gateways: list[Gateway] = []
        self.listeners: list[AdminServer] = []
        self.crew: Supervisor
        self.front: ParentAdmin
        self.http: httpx.AsyncClient

    async def join(self, number: int, user: str, room: str = "general") -> MemoryClient:
        """Let a user come in at one of the gateways and join a room."""
        gateway = self.gateways[number]
        client = await connect(gateway)
        token = gateway.token(user, roles=["user"])
        client.send({"type": "auth", "data": {"token": token}})
        await client.settle()
        client.send({"type": "join", "data": {"roomId": room}})
        await client.settle()
        assert client.last("room_joined")
        return client

    async def post(self, method: str, body: Any = None, *, key: str = KEY) -> httpx.Response:
        """Put one request."""
        return await self.http.post(f"/api/{method}", json=body or {}, headers={"X-API-Key": key})

    async def call(self, method: str, **body: Any) -> Any:
        """Put one request that must succeed; its result."""
        answer = await self.post(method, body)
        assert answer.status_code == 200, answer.text
        return answer.json()["result"]

    async def stop(self, number: int) -> None:
        """Let one worker answer no more, as one that has just died: the parent does not know yet."""
        await self.listeners[number].stop()


class _Crew(Supervisor):
    """A supervisor of workers that are here already."""

    @property
    def ready(self) -> list[int]:
        """All of them."""
        return list(range(self.size))


@asynccontextmanager
async def house(folder: Path, size: int = 2, *, open_metrics: bool = True) -> AsyncIterator[House]:
    """Run `size` gateways and what a parent serves before them."""
    made = House(folder)
    engine_clock = made.clock
    async with AsyncExitStack() as stack:
        for number in range(size):
            engine = MemoryEngine(engine_clock)
            gateway = Gateway(
                SETTINGS, clock=made.clock, engine=engine, telemetry=telemetry(made.clock)
            )
            made.gateways.append(await stack.enter_async_context(gateway))
            place, parent = place_in(folder, number)
            stack.callback(parent.close)
            stack.callback(place.close)
            app = AdminApp(gateway.node, SETTINGS.admin.api_keys, open_metrics=open_metrics)
            listener = make_listener(app, gateway.node, place)
            await listener.start()
            stack.push_async_callback(listener.stop)
            made.listeners.append(listener)
        log = telemetry(made.clock)
        stack.callback(log.close)
        made.crew = _Crew(size, "box", _nobody, made.clock, log, lambda *_: None, lambda _: None)
        host = "127.0.0.1" if open_metrics else "192.0.2.1"
        settings = replace(SETTINGS, server=replace(SETTINGS.server, admin_host=host))
        made.front = make_front(made.crew, str(folder), made.clock, log, settings)
        stack.push_async_callback(made.front.aclose)
        transport = httpx.ASGITransport(made.front, client=("203.0.113.7", 4711))
        made.http = httpx.AsyncClient(transport=transport, base_url="http://admin")
        await stack.enter_async_context(made.http)
        yield made


async def _nobody(number: int, heard: Heard) -> Puppet:
    raise AssertionError(f"nobody starts worker {number} here")
