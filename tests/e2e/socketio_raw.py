"""Clients that speak Engine.IO by hand over either transport, and the application they speak to."""

import asyncio
import base64
import json
import os
import signal
import ssl
import subprocess
import sys
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.e2e.gateways import UNLIMITED
from tests.e2e.process import ROOT
from tests.e2e.socketio_client import PATIENCE

SEPARATOR: Final = "\x1e"
SIZE: Final = 1_000_000
_TLS: Final = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""Made once, for no TLS is spoken here: a client of its own making reads all certificates first."""
_SAME: Final = f'auth = "none"\nmax_message = {SIZE}\nnamespace = "workspaces"\n'
_BRISK: Final = 'ping_interval = "300ms"\npong_timeout = "200ms"\nauth_timeout = "1s"\n'
_LIVELY: Final = 'ping_interval = "100ms"\npong_timeout = "5s"\n'
_SOCKET: Final = f'dialect = "socketio"\n{_SAME}'
_ENGINE: Final = f'transport = "engine.io"\ndialect = "echo"\n{_SAME}'
_CROWD: Final = "[endpoints.{0}.limits.connections]\nmax = 0\n"
APPLICATION: Final = "".join(
    [
        '[server]\nport = 0\ndrain_timeout = "0s"\n[engine]\nurl = "memory://"\n',
        "[admin]\nenabled = false\n",
        UNLIMITED,
        f'[endpoints.workspaces]\npath = "/socket.io/"\n{_SOCKET}',
        f'[endpoints.hasty]\npath = "/hasty/socket.io/"\n{_SOCKET}{_BRISK}',
        f'[endpoints.engine]\npath = "/engine.io/"\n{_ENGINE}',
        f'[endpoints.brisk]\npath = "/brisk/engine.io/"\n{_ENGINE}{_BRISK}',
        f'[endpoints.lively]\npath = "/lively/engine.io/"\n{_ENGINE}{_LIVELY}',
        *(_CROWD.format(name) for name in ("workspaces", "hasty", "engine", "brisk", "lively")),
    ]
)
"""Echoes on both layers. The brisk ones lose who does not answer within half a second; the lively one
pings as often, and waits."""


@contextmanager
def application(
    folder: Path, toml: str = APPLICATION, *, endpoint: str = "engine"
) -> Iterator[str]:
    """The application as a process; where it listens, as `host:port`. It announces the endpoint."""
    config = folder / "application.toml"
    config.write_text(toml)
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.e2e.socketio_app", str(config)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        stdout=subprocess.PIPE,
        text=True,
    )
    watchdog = threading.Timer(PATIENCE, process.kill)
    watchdog.start()
    try:
        address = _address(process, endpoint)
        watchdog.cancel()
        yield address
    finally:
        watchdog.cancel()
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(PATIENCE)
        finally:
            process.kill()
            process.communicate()


def _address(process: "subprocess.Popen[str]", endpoint: str) -> str:
    assert process.stdout is not None
    lines: list[str] = []
    for line in process.stdout:
        lines.append(line)
        if line.startswith("prepared"):
            found = next(each for each in lines if each.startswith(f"{endpoint} "))
            return found.split("//")[1].partition("/")[0]
    raise RuntimeError("".join(lines))


class Base:
    """What both transports have in common. `path` is that of the endpoint."""

    def __init__(self, address: str, path: str, http: httpx.AsyncClient) -> None:
        self.http = http
        self._place = f"{address}{path}"
        self.opening: dict[str, Any] = {}

    def url(self, transport: str = "polling", sid: str = "", **query: str) -> str:
        """The address of a request; `query` changes its parameters, or leaves empty ones out."""
        given = {"EIO": "4", "transport": transport, "sid": sid} | query
        scheme = "ws" if transport == "websocket" else "http"
        text = "&".join(f"{name}={value}" for name, value in given.items() if value)
        return f"{scheme}://{self._place}?{text}"

    @property
    def sid(self) -> str:
        """The session's id."""
        return str(self.opening["sid"])

    def opened(self, packet: str | bytes) -> None:
        """Take the first packet."""
        assert isinstance(packet, str)
        assert packet.startswith("0")
        self.opening = json.loads(packet[1:])

    async def send(self, packet: str | bytes) -> None:
        """Send one packet; bytes are a message."""
        raise NotImplementedError

    async def hear(self) -> str | bytes | None:
        """The next packet, None when the session is over."""
        raise NotImplementedError

    async def say(self, text: str, *attachments: bytes) -> None:
        """Send a message, and what belongs to it."""
        await self.send(f"4{text}")
        for each in attachments:
            await self.send(each)

    async def message(self) -> str | bytes | None:
        """The next message; pings are answered."""
        while True:
            packet = await self.hear()
            if not isinstance(packet, str):
                return packet
            if packet == "2":
                await self.send("3")
            elif packet != "6":
                return packet[1:] if packet.startswith("4") else None

    async def over(self) -> bool:
        """Wait for the end, whatever is said before."""
        while await self.message() is not None:
            pass
        return True


class Polling(Base):
    """A session by HTTP."""

    def __init__(self, address: str, path: str, http: httpx.AsyncClient) -> None:
        super().__init__(address, path, http)
        self._packets: deque[str | bytes] = deque()
        self.ended = False

    async def get(self) -> httpx.Response:
        """One poll."""
        return await self.http.get(self.url(sid=self.sid))

    async def post(self, body: str) -> httpx.Response:
        """Bring packets."""
        return await self.http.post(self.url(sid=self.sid), content=body)

    async def send(self, packet: str | bytes) -> None:
        """Bring one packet, whatever the answer is."""
        text = f"b{base64.b64encode(packet).decode()}" if isinstance(packet, bytes) else packet
        await self.post(text)

    async def hear(self) -> str | bytes | None:
        """The next packet; None when the session said goodbye, or is unknown."""
        while not self._packets:
            response = await self.get()
            if response.status_code == 400:
                self.ended = True
                return None
            assert response.status_code == 200
            for each in response.text.split(SEPARATOR):
                self._packets.append(base64.b64decode(each[1:]) if each[:1] == "b" else each)
        packet = self._packets.popleft()
        return None if packet == "1" else packet


class WebSocket(Base):
    """A session by WebSocket."""

    socket: ClientConnection

    async def send(self, packet: str | bytes) -> None:
        """Send one packet, if that is still possible."""
        with suppress(ConnectionClosed):
            await self.socket.send(packet)

    async def hear(self) -> str | bytes | None:
        """The next packet; None when it is closed."""
        async with asyncio.timeout(PATIENCE):
            try:
                packet = await self.socket.recv()
            except ConnectionClosed:
                return None
        return None if packet == "1" else packet


def _http() -> httpx.AsyncClient:
    return httpx.AsyncClient(trust_env=False, timeout=PATIENCE, verify=_TLS)


@asynccontextmanager
async def visitor(address: str, path: str) -> AsyncIterator[Base]:
    """Somebody who makes requests of its own."""
    async with _http() as http:
        yield Base(address, path, http)


@asynccontextmanager
async def polling(address: str, path: str) -> AsyncIterator[Polling]:
    """A session by HTTP that is open."""
    async with _http() as http:
        peer = Polling(address, path, http)
        response = await http.get(peer.url())
        assert response.status_code == 200, response.text
        peer.opened(response.text)
        yield peer


@asynccontextmanager
async def websocket(address: str, path: str) -> AsyncIterator[WebSocket]:
    """A session by WebSocket that is open."""
    async with _http() as http:
        peer = WebSocket(address, path, http)
        options: dict[str, Any] = {"max_size": None, "open_timeout": PATIENCE, "compression": None}
        async with connect(peer.url("websocket"), **options) as socket:
            peer.socket = socket
            peer.opened(await socket.recv())
            yield peer


async def closed(peer: Base) -> None:
    """The session ends, and is unknown afterwards."""
    async with asyncio.timeout(PATIENCE):
        await peer.over()
    if isinstance(peer, Polling):
        assert (await peer.get()).status_code == 400
        assert (await peer.post("4more")).status_code == 400


Opener = Callable[[str, str], AbstractAsyncContextManager[Polling | WebSocket]]
TRANSPORTS: Final[dict[str, Opener]] = {"polling": polling, "websocket": websocket}
