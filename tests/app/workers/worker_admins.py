"""What the tests of workers share: several gateways in this process, as workers of one machine."""

import asyncio
import io
import os
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx
import pytest

from portward.admin.app import AdminApp
from portward.admin.status import NodeStatus
from portward.app.gateway import Gateway
from portward.app.workers.control_protocol import Task, WorkerOrder, WorkerReport
from portward.app.workers.status import WorkersStatus
from portward.app.workers.supervisor import ReportHandler
from portward.app.workers.worker import WorkerPlace
from portward.app.workers.worker_process import WorkerProcess
from portward.engines.memory import MemoryEngine
from portward.node.sessions.clock import LoopClock
from portward.settings import Secret, Settings
from portward.settings.keys import ApiKey
from portward.settings.operation import AdminSettings
from portward.settings.sections import ServerSettings
from portward.telemetry import Telemetry
from portward.telemetry.telemetry import make_telemetry
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
    return WorkerPlace(task, theirs, theirs.makefile("rb")), ours


class FakeWorker(WorkerProcess):
    """A worker for a supervisor: what it is told is kept, and it ends when the test says so."""

    def __init__(self, number: int, on_report: ReportHandler) -> None:
        self.number = number
        self.ready = False
        self.failed = ""
        self.told: list[str] = []
        self._heard = on_report
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


class Machine:
    """Several gateways as workers of one machine: each with its status and its admin application."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.gateways: list[Gateway] = []
        self.places: list[WorkerPlace] = []
        self.statuses: list[WorkersStatus] = []
        self.http: list[httpx.AsyncClient] = []

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

    async def ask(self, number: int, path: str) -> tuple[int, str]:
        """The status and the text of an answer of one worker."""
        answer = await self.http[number].get(path)
        return answer.status_code, answer.json().get("status") if "json" in answer.headers[
            "content-type"
        ] else answer.text


@asynccontextmanager
async def machine(folder: Path, size: int = 2) -> AsyncIterator[Machine]:
    """Run `size` workers in this process, each on a store of its own."""
    made = Machine()
    async with AsyncExitStack() as stack:
        for number in range(size):
            engine = MemoryEngine(made.clock)
            gateway = Gateway(
                SETTINGS, clock=made.clock, engine=engine, telemetry=telemetry(made.clock)
            )
            made.gateways.append(await stack.enter_async_context(gateway))
            place, parent = place_in(folder, number)
            stack.callback(parent.close)
            stack.callback(place.close)
            made.places.append(place)
            status = WorkersStatus(NodeStatus(gateway.node), place, size)
            await status.start()
            stack.callback(status.close)
            made.statuses.append(status)
            keys = SETTINGS.admin.api_keys
            transport = httpx.ASGITransport(AdminApp(gateway.node, keys, status, open_metrics=True))
            client = httpx.AsyncClient(transport=transport, base_url="http://admin")
            made.http.append(await stack.enter_async_context(client))
        yield made
