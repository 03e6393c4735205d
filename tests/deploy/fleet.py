"""Two gateways in production behind a proxy, and clients that come from several addresses."""

import asyncio
import signal
import ssl
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import httpx
from websockets.asyncio.client import ClientConnection, connect

from tests.certificates import Certificates, make_certificates
from tests.deploy.proxies import Proxy, proxy_of, unused_port
from tests.e2e.nodes import SESSION_SECRET, Node
from tests.e2e.process import SECRET

PATIENCE = 60.0
SERVED = 2.0
"""Seconds within which a client is served, whatever has happened to the other node."""
TOGETHER = 3
"""Clients of one address that come at the same time: the quickest counts, as the machine may be busy."""
SOURCES = tuple(f"127.0.0.{last}" for last in range(11, 21))
"""Addresses of clients: both proxies choose the node by them."""
KEY = "an api key of the tests, as long as production wants it"
PAGE = "https://app.example.com"
SETTINGS = """
environment = "production"
[server]
port = {port}
admin_port = 0
behind_tls_proxy = true
trusted_proxies = ["127.0.0.1/32"]
drain_timeout = "60s"
[gate]
allowed_origins = ["{page}"]
[tokens]
secrets = ["{secret}"]
session_secret = "{session_secret}"
[admin]
api_keys = ["{key}"]
[identity_provider]
url = "http://127.0.0.1:{provider}"
[endpoints.realtime]
enabled = false
[limits.attempts]
rate = "none"
[limits.connections]
max = 0
"""


class Gateway(Node):
    """One node with a fixed port in front of a stand-in provider's port, which may be anybody's."""

    def __init__(self, folder: Path, name: str, provider: int) -> None:
        super().__init__(folder, "memory://", name)
        self.port = unused_port()
        self.address = f"127.0.0.1:{self.port}"
        self._paused = False
        text = SETTINGS.format(
            port=self.port,
            page=PAGE,
            secret=SECRET,
            session_secret=SESSION_SECRET,
            key=KEY,
            provider=provider,
        )
        (folder / "portward.toml").write_text(text)

    def pause(self) -> None:
        """Stop the process: the kernel still takes its connections, and nothing answers."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        self._paused = True

    def resume(self) -> None:
        """Let it go on."""
        if self._paused and self._process is not None:
            self._process.send_signal(signal.SIGCONT)
        self._paused = False

    def end(self) -> None:
        """End it, in whichever state it is."""
        self.resume()
        super().end()

    async def open(self) -> int:
        """How many connections it has."""
        async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE) as client:
            answer = await client.post(
                f"{self.admin}api/connections", json={}, headers={"X-API-Key": KEY}
            )
        total: int = answer.raise_for_status().json()["result"]["total"]
        return total


class Fleet:
    """Two nodes, the proxy in front of them, and its clients."""

    def __init__(self, proxy: Proxy, nodes: tuple[Gateway, Gateway], tls: ssl.SSLContext) -> None:
        self.proxy = proxy
        self.nodes = nodes
        self._tls = tls

    async def status(
        self,
        path: str,
        source: str = SOURCES[0],
        method: str = "GET",
        body: bytes = b"",
        **headers: str,
    ) -> httpx.Response:
        """The answer to one request; keywords are headers."""
        transport = httpx.AsyncHTTPTransport(verify=self._tls, local_address=source)
        async with httpx.AsyncClient(
            transport=transport, trust_env=False, timeout=PATIENCE
        ) as client:
            return await client.request(
                method,
                f"https://127.0.0.1:{self.proxy.port}{path}",
                content=body,
                headers={name.replace("_", "-"): value for name, value in headers.items()},
            )

    @asynccontextmanager
    async def client(
        self, source: str, path: str = "/rooms", **headers: str
    ) -> AsyncIterator[ClientConnection]:
        """A WebSocket of a page."""
        async with connect(
            f"wss://127.0.0.1:{self.proxy.port}{path}",
            ssl=self._tls,
            local_addr=(source, 0),
            proxy=None,
            open_timeout=PATIENCE,
            additional_headers=headers,
            origin=PAGE,  # type: ignore[arg-type]  # a text is what an origin is
        ) as socket:
            yield socket

    async def times(self) -> dict[str, float]:
        """Let clients of every address come in and leave; returns the seconds of the quickest."""

        async def comes(source: str) -> float:
            begun = time.monotonic()
            async with self.client(source) as socket, asyncio.timeout(PATIENCE):
                assert "handshake" in str(await socket.recv())
                return time.monotonic() - begun

        async with asyncio.TaskGroup() as group:
            tasks = {
                source: [group.create_task(comes(source)) for _ in range(TOGETHER)]
                for source in SOURCES
            }
        return {source: min(task.result() for task in each) for source, each in tasks.items()}

    async def everybody_comes_in(self) -> None:
        """Clients of every address come in, each within the time that is promised."""
        late = {source: took for source, took in (await self.times()).items() if took > SERVED}
        assert late == {}, self.proxy.said[-2000:]

    async def stay(self, stack: AsyncExitStack) -> dict[Gateway, list[ClientConnection]]:
        """Let a client of every address come in and stay; returns whom of them each node has."""
        found: dict[Gateway, list[ClientConnection]] = {node: [] for node in self.nodes}
        for source in SOURCES:
            before = [await node.open() for node in self.nodes]
            socket = await stack.enter_async_context(self.client(source))
            await socket.recv()
            after = [await node.open() for node in self.nodes]
            chosen = next(
                node for node, *counts in zip(self.nodes, before, after, strict=True)
                if counts[0] != counts[1]
            )  # fmt: skip
            found[chosen].append(socket)
        assert all(found.values()), "the addresses do not reach both nodes"
        return found


@contextmanager
def gateways(folder: Path, provider: int) -> Iterator[tuple[Gateway, Gateway]]:
    """Run two nodes; none is left, and none has printed a traceback."""
    one, two = (Gateway(folder / name, name, provider) for name in ("one", "two"))
    try:
        for node in (one, two):
            node.launch()
        for node in (one, two):
            node.await_service()
        yield one, two
    finally:
        for node in (one, two):
            node.end()
    for node in (one, two):
        assert "Traceback" not in node.said, node.said


@contextmanager
def fleet(name: str, folder: Path, provider: int = 9) -> Iterator[Fleet]:
    """Run two nodes behind a proxy; nobody listens at the port of the provider unless a test does."""
    certificates: Certificates = make_certificates(folder, "127.0.0.1")
    with gateways(folder, provider) as nodes:
        addresses = [node.address for node in nodes]
        with proxy_of(name, folder / "proxy", certificates, addresses) as proxy:
            yield Fleet(proxy, nodes, certificates.client_context())
