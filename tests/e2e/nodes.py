"""Several gateways over one Redis, each a process of its own: nodes, raw clients, and a balancer."""

import asyncio
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from portward.security.tokens import sign
from tests.e2e.process import CONFIG, KEY, ROOT, SECRET
from tests.engines.redis_servers import Server, need_redis, servers, until

PATIENCE = 60.0
"""Seconds anything here may take on a slow machine."""
SESSION_SECRET = "another secret of the tests, which signs session tokens"
SETTINGS = f"""{CONFIG}
[limits.connections]
max = 0
[limits.history]
rate = "none"
[endpoints.limited]
path = "/limited"
dialect = "rooms"
namespace = "rooms"
credentials = ["message", "header"]
[endpoints.limited.limits.attempts]
rate = "60/min"
[endpoints.limited.limits.messages]
rate = "60/min"
[endpoints.limited.limits.join]
rate = "20/min"
[endpoints.limited.limits.auth]
rate = "10/min"
[endpoints.open]
path = "/open"
dialect = "rooms"
namespace = "open"
[namespaces.open]
authorize = "authenticated"
publish = "publish"
presence = true
history_size = 1000
"""
"""No limits, apart from those of one endpoint, which are the ones by default; in another, whose rooms have
no records, everybody may do everything."""


class Node:
    """One `portward serve`, which can be stopped and started again; its ports change then."""

    def __init__(self, folder: Path, engine: str, name: str) -> None:
        folder.mkdir(exist_ok=True)
        self.name = name
        self.engine = engine
        self.public = ""
        """Host and port of the public listener; empty while it is not there."""
        self.admin = ""
        self._folder = folder
        self._log = folder / "log"
        self._begun = 0
        self._process: subprocess.Popen[bytes] | None = None
        (folder / "portward.toml").write_text(SETTINGS)

    # -- its life

    def start(self) -> None:
        """Start it, and wait until it serves."""
        self.launch()
        self.await_service()

    def launch(self) -> None:
        """Start it."""
        self._begun = len(self.said)
        environment = os.environ | {
            "PYTHONPATH": str(ROOT / "src"),
            "XDG_STATE_HOME": str(self._folder),
            "NO_COLOR": "1",
            "PORTWARD_ENGINE__URL": self.engine,
            "PORTWARD_SERVER__INSTANCE_ID": self.name,
            "PORTWARD_TOKENS__SESSION_SECRET": SESSION_SECRET,
        }
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "portward", "serve", "--config", "portward.toml"],
                cwd=self._folder,
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def await_service(self) -> None:
        """Wait until it serves."""
        until(lambda: self._serves(self.said[self._begun :]), PATIENCE)

    def _serves(self, said: str) -> bool:
        if self._process is not None and self._process.poll() is not None:
            raise RuntimeError(said[-2000:])
        if re.search(r"^ready", said, re.MULTILINE) is None:
            return False
        found = re.search(r"^rooms +(ws://\S+)", said, re.MULTILINE)
        admin = re.search(r"^admin +(http://\S+)", said, re.MULTILINE)
        assert found is not None
        assert admin is not None
        self.public, self.admin = urlsplit(found[1]).netloc, admin[1]
        return True

    def begin_stop(self) -> None:
        """Ask it to drain."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)

    def wait(self) -> int:
        """Wait until it has ended; its exit code."""
        assert self._process is not None
        code = self._process.wait(PATIENCE)
        self._process, self.public = None, ""
        return code

    def stop(self) -> int:
        """Let it drain; its exit code."""
        self.begin_stop()
        return self.wait()

    def begin_kill(self) -> None:
        """Send the signal that ends it at once, and do not wait."""
        if self._process is not None:
            self._process.kill()

    def kill(self) -> None:
        """End it at once."""
        process, self._process, self.public = self._process, None, ""
        if process is not None:
            process.kill()
            process.wait(PATIENCE)

    def freeze(self) -> None:
        """Let it do nothing until `thaw`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def end(self) -> None:
        """End it, in whichever state it is."""
        if self._process is None:
            return
        self.thaw()
        with suppress(subprocess.TimeoutExpired):
            self._process.send_signal(signal.SIGTERM)
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(PATIENCE)
        self.kill()

    @property
    def said(self) -> str:
        """Everything it has printed."""
        return self._log.read_text() if self._log.exists() else ""

    # -- what it is asked

    def url(self, endpoint: str = "rooms") -> str:
        """The address of an endpoint."""
        return f"ws://{self.public}/{endpoint}"

    async def post(self, method: str, body: dict[str, Any]) -> httpx.Response:
        """One call of the admin API."""
        async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE) as client:
            return await client.post(
                f"{self.admin}api/{method}", json=body, headers={"X-API-Key": KEY}
            )

    async def call(self, method: str, **body: Any) -> Any:
        """One call of the admin API that must succeed."""
        answer = await self.post(method, body)
        assert answer.status_code == 200, answer.text
        return answer.json()["result"]

    async def status(self, path: str) -> int:
        """The status of an answer of the admin listener."""
        async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE) as client:
            return (await client.get(f"{self.admin}{path}")).status_code

    async def is_ready(self) -> bool:
        """Whether it says that it can do its work."""
        return await self.status("ready") == 200


class Cluster:
    """Two nodes and their store."""

    def __init__(self, redis: Server, a: Node, b: Node) -> None:
        self.redis = redis
        self.a = a
        self.b = b

    def __iter__(self) -> Iterator[Node]:
        return iter((self.a, self.b))


@contextmanager
def cluster(folder: Path, *options: str) -> Iterator[Cluster]:
    """Two nodes over a Redis of their own; no process is left, and none has printed a traceback.

    `options` are those of the command line of Redis.
    """
    need_redis()
    with servers(Server(folder / "redis", "--save", "", *options)) as (redis,):
        two = Cluster(redis, *(Node(folder / name, redis.url, name) for name in ("a", "b")))
        try:
            for node in two:
                node.launch()
            for node in two:
                node.await_service()
            yield two
        finally:
            redis.resume()
            for node in two:
                node.end()
        for node in two:
            assert "Traceback" not in node.said, node.said


# -- clients


def token(user: str, *roles: str, **claims: Any) -> str:
    """An access token with an address and an id of its own."""
    now = int(time.time())
    return sign(
        {
            "sub": user,
            "iat": now,
            "exp": now + 3600,
            "email": f"{user}@example.com",
            "roles": list(roles or ("user",)),
            "jti": f"{user}-{next(_numbers)}",
            **claims,
        },
        SECRET,
    )


_numbers = itertools.count(1)


async def eventually(condition: Callable[[], bool | Awaitable[bool]]) -> None:
    """Wait until something is so.

    Raises:
        TimeoutError: it never was.
    """
    async with asyncio.timeout(PATIENCE):
        while True:
            outcome = condition()
            if await outcome if isinstance(outcome, Awaitable) else outcome:
                return
            await asyncio.sleep(0.02)


Message = dict[str, Any]


class Peer:
    """A client that speaks envelopes by hand and remembers, in order, what it has heard."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.heard: list[Message] = []
        self.session = ""
        self._news = asyncio.Condition()
        self._closed = False
        self._reader = asyncio.create_task(self._read())
        self._questions = itertools.count(1)

    async def _read(self) -> None:
        with suppress(ConnectionClosed):
            while True:
                message = json.loads(await self.socket.recv())
                async with self._news:
                    self.heard.append(message)
                    self._news.notify_all()
        async with self._news:
            self._closed = True
            self._news.notify_all()

    async def close(self) -> None:
        """Close, and wait for the end."""
        await self.socket.close()
        await self._reader

    async def say(self, kind: str, identifier: str | None = None, **data: Any) -> None:
        """Send one envelope."""
        envelope = {"type": kind, "data": data, "timestamp": 0}
        if identifier is not None:
            envelope["id"] = identifier
        await self.socket.send(json.dumps(envelope))

    async def ask(self, kind: str, **data: Any) -> Message:
        """Send one envelope with an id; its answer."""
        identifier = f"q{next(self._questions)}"
        await self.say(kind, identifier, **data)
        return await self._wait(lambda message: message.get("id") == identifier)

    async def wish(self, kind: str, **data: Any) -> dict[str, Any]:
        """Send one envelope with an id; the data of its answer, which is no error."""
        answer = await self.ask(kind, **data)
        assert answer["type"] != "error", answer
        found: dict[str, Any] = answer["data"]
        return found

    async def hears(self, kind: str, **data: Any) -> dict[str, Any]:
        """Wait for a message with these data among its own; all of its data. It counts as read."""
        message = await self._wait(
            lambda message: (
                message["type"] == kind and data.items() <= _flat(message["data"]).items()
            )
        )
        found: dict[str, Any] = message["data"]
        return found

    async def _wait(self, wanted: Callable[[Message], bool]) -> Message:
        async with asyncio.timeout(PATIENCE), self._news:
            while True:
                found = next(filter(wanted, self.heard), None)
                if found is not None:
                    self.heard.remove(found)
                    return found
                assert not self._closed, f"closed with {self.socket.close_code}"
                await self._news.wait()

    async def ended(self) -> int | None:
        """Wait until the connection is closed; its close code."""
        async with asyncio.timeout(PATIENCE), self._news:
            await self._news.wait_for(lambda: self._closed)
        return self.socket.close_code

    @property
    def open(self) -> bool:
        """Whether the connection stands."""
        return not self._closed

    def unread(self, *kinds: str) -> list[Message]:
        """What was heard of these types and nobody waited for."""
        return [each for each in self.heard if each["type"] in kinds]


def _flat(data: dict[str, Any]) -> dict[str, Any]:
    """What can be compared at a glance."""
    return {key: value for key, value in data.items() if not isinstance(value, list | dict)}


class People:
    """Makes clients, and closes all of them at the end."""

    def __init__(self, stack: AsyncExitStack) -> None:
        self._stack = stack

    async def connect(self, node: Node, endpoint: str = "rooms", address: str = "") -> Peer:
        """A client that has not proven itself; `address` is its own, of this machine."""
        source = (address, 0) if address else None
        socket = await connect(node.url(endpoint), open_timeout=PATIENCE, local_addr=source)
        peer = Peer(socket)
        self._stack.push_async_callback(peer.close)
        return peer

    async def user(
        self, node: Node, access: str, *rooms: str, endpoint: str = "rooms", address: str = ""
    ) -> Peer:
        """Somebody with a token, in rooms; what they were told on the way is forgotten."""
        peer = await self.connect(node, endpoint, address)
        peer.session = (await peer.wish("auth", token=access))["wsToken"]
        for room in rooms:
            await peer.wish("join", roomId=room)
        peer.heard.clear()
        return peer


@asynccontextmanager
async def people() -> AsyncIterator[People]:
    """Clients for the time of a block."""
    async with AsyncExitStack() as stack:
        yield People(stack)


# -- troubles of the store


async def readiness(two: Cluster, *, ready: bool) -> None:
    """Wait until both nodes say that they can do their work, or that they cannot."""
    for node in two:
        await eventually(lambda node=node: _says(node, ready))  # type: ignore[misc]


async def _says(node: Node, ready: bool) -> bool:
    return await node.is_ready() == ready


@asynccontextmanager
async def away(two: Cluster, *, empty: bool = False) -> AsyncIterator[None]:
    """Have no store during the block, of which both nodes know; it may come back `empty`."""
    two.redis.kill()
    try:
        await readiness(two, ready=False)
        yield
    finally:
        if empty:
            shutil.rmtree(two.redis.folder / "appendonlydir", ignore_errors=True)
        await asyncio.to_thread(two.redis.start)
    await readiness(two, ready=True)


# -- a balancer


class Balancer:
    """Sends each new TCP connection to the next node that accepts it."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        self._nodes = nodes
        self._turn = itertools.count()
        self._handlers: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        """The one address of the endpoint."""
        assert self._server is not None
        return f"ws://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/rooms"

    async def __aenter__(self) -> "Balancer":
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for handler in self._handlers:
            handler.cancel()
        await asyncio.gather(*self._handlers, return_exceptions=True)
        await self._server.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        handler = asyncio.ensure_future(self._forward(reader, writer))
        self._handlers.add(handler)
        handler.add_done_callback(self._handlers.discard)

    async def _forward(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            try:
                there, back = await self._reach()
                try:
                    await asyncio.gather(_pump(reader, back), _pump(there, writer))
                finally:
                    back.transport.abort()
            finally:
                writer.close()

    async def _reach(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        turn = next(self._turn)
        for offset in range(len(self._nodes)):
            node = self._nodes[(turn + offset) % len(self._nodes)]
            host, _, port = node.public.partition(":")
            with suppress(OSError, ValueError):
                return await asyncio.open_connection(host, int(port))
        raise ConnectionRefusedError("no node is there")


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Carry bytes until the source ends, then say so at the other side."""
    try:
        while piece := await source.read(65536):
            sink.write(piece)
            await sink.drain()
    finally:
        sink.close()
