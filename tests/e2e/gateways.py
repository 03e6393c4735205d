"""Gateways with settings of one's own: behind both kinds of listeners, and as a process."""

import asyncio
import io
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from portward.app.gateway import Gateway
from portward.app.server import Server
from portward.node.sessions.clock import LoopClock
from portward.settings import load
from portward.telemetry.telemetry import make_telemetry
from tests.e2e.listeners import PATIENCE, uvicorn_server
from tests.e2e.process import KEY, ROOT, SECRET, Served

ORIGIN: Final = "http://localhost:3000"
"""A page of this machine, which development lets in."""
UNLIMITED: Final = """
[limits.connections]
max = 0
[limits.attempts]
rate = "none"
[limits.auth]
rate = "none"
[limits.messages]
rate = "none"
[limits.join]
rate = "none"
[limits.history]
rate = "none"
[limits.frames]
rate = "none"
"""
"""No limit gets in the way of a test that is about something else. Ends in a table of its own."""


@dataclass
class Place:
    """A running gateway, the address of its listener, and all it logged."""

    gateway: Gateway
    base: str
    log: io.StringIO = field(default_factory=io.StringIO)

    @property
    def alerts(self) -> str:
        """Where alerts are heard."""
        return f"{self.base}/alerts"

    @property
    def live(self) -> str:
        """Where topics are heard."""
        return f"{self.base}/live"

    def metric(self, series: str) -> float:
        """What a series, written as in `/metrics`, stands at."""
        for line in self.gateway.telemetry.metrics.render().decode().splitlines():
            name, _, value = line.rpartition(" ")
            if name == series:
                return float(value)
        return 0.0


GatewayRunner = Callable[[str], AbstractAsyncContextManager[Place]]


def gateway(toml: str, log: io.StringIO) -> Gateway:
    """A gateway of these settings, in development, on free ports."""
    flags = {"server.port": 0, "admin.enabled": False}
    given = load({}, "portward.toml", flags=flags, read=lambda _: toml).settings
    return Gateway(given, telemetry=make_telemetry(given, LoopClock(), log))


@asynccontextmanager
async def own_listener(toml: str) -> AsyncIterator[Place]:
    """Portward's own listener."""
    log = io.StringIO()
    async with gateway(toml, log) as running:
        server = Server(running)
        await server.start()
        host, port = server.public.addresses[0]
        try:
            yield Place(running, f"ws://{host}:{port}", log)
        finally:
            await server.stop()


@asynccontextmanager
async def asgi_server(toml: str) -> AsyncIterator[Place]:
    """An ASGI server with the gateway as its only application."""
    log = io.StringIO()
    running = gateway(toml, log)
    async with uvicorn_server(running.asgi) as port:
        yield Place(running, f"ws://127.0.0.1:{port}", log)


async def until(met: Callable[[], bool | Awaitable[bool]]) -> None:
    """Wait for what nothing tells of."""
    async with asyncio.timeout(PATIENCE):
        while True:
            answer = met()
            if answer if isinstance(answer, bool) else await answer:
                return
            await asyncio.sleep(0.005)


LISTENERS: Final[dict[str, GatewayRunner]] = {"own listener": own_listener, "asgi": asgi_server}

PROCESS: Final = f"""
[server]
port = 0
admin_port = 0
drain_timeout = "5s"
[admin]
api_keys = ["{KEY}"]
"""
TOKENS: Final = f"""
[tokens]
secrets = ["{SECRET}"]
"""


@asynccontextmanager
async def process(
    folder: Path, toml: str, environ: Mapping[str, str] | None = None
) -> AsyncIterator[Served]:
    """`portward serve` with these settings until the block ends; it must print no traceback.

    Its `url` is the address of the listener, without a path.
    """
    config = folder / "portward.toml"
    config.write_text(toml)
    own = {
        "PYTHONPATH": str(ROOT / "src"),
        "XDG_STATE_HOME": str(folder),
        "NO_COLOR": "1",
        "PORTWARD_ENGINE__URL": f"sqlite:///{folder}/portward.db",
    }
    started = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "portward", "serve", "--config", str(config)),
        env=os.environ | own | dict(environ or {}),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    served = Served(started)
    reading = asyncio.create_task(served.read())
    try:
        served.url = (await served.said(r"alerts +(ws://[^/]+)/"))[1]
        served.admin = (await served.said(r"admin +(http://\S+)"))[1]
        await served.said(r"^ready")
        yield served
    finally:
        if started.returncode is None:
            started.send_signal(signal.SIGTERM)
            started.send_signal(signal.SIGTERM)
        await started.wait()
        await reading
    assert not any("Traceback" in line for line in served.output), served.output
