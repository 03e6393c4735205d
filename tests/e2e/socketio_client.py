"""Real `socket.io-client`s: one Node process, any number of clients in it, told what to do from here."""

import asyncio
import base64
import contextlib
import json
import os
import shutil
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from itertools import count
from typing import Any, Final

import pytest

from portward.security.tokens import sign
from tests.e2e.process import ROOT, SECRET

JS: Final = ROOT / "tests" / "js"
PATIENCE: Final = 30.0
MODES: Final[dict[str, dict[str, Any]]] = {
    "default": {},
    "polling": {"transports": ["polling"]},
    "websocket": {"transports": ["websocket"]},
}
"""Options of a client: by polling and then a WebSocket, by one alone, by the other alone."""
CLIENTS: Final = ("socket.io-client", "socket.io-client-4.6", "socket.io-client-3.1")
"""Packages of real clients: the newest version, and older ones that are in use."""
BRISK: Final = {"reconnectionDelay": 50, "reconnectionDelayMax": 200}
"""Options of a client that comes back soon."""

Record = dict[str, Any]


def need_node() -> str:
    """The path of Node; skips where its packages are not installed."""
    node = shutil.which("node")
    if node is None or not (JS / "node_modules" / "socket.io-client").is_dir():
        pytest.skip("node, or tests/js/node_modules, is not installed")
    return node


def token(user: str, workspace: str | None = "w1", *, ttl: float = 600, **claims: Any) -> str:
    """An access token from somebody who shares the secret; `ttl` seconds may be negative."""
    now = int(time.time())
    made = {
        "sub": user,
        "iat": min(now, int(now + ttl)) - 1,
        "exp": int(now + ttl),
        "roles": ["agent"],
    }
    if workspace is not None:
        made["workspaceId"] = workspace
    secret = claims.pop("secret", SECRET)
    return sign(made | claims, secret)


def written(value: Any) -> Any:
    """A value as the Node process reads it."""
    if isinstance(value, bytes):
        return {"$bytes": base64.b64encode(value).decode()}
    if isinstance(value, list | tuple):
        return [written(each) for each in value]
    if isinstance(value, dict):
        return {key: written(each) for key, each in value.items()}
    return value


def read(value: Any) -> Any:
    """A value as the Node process wrote it."""
    if isinstance(value, list):
        return [read(each) for each in value]
    if isinstance(value, dict):
        if value.keys() == {"$bytes"}:
            return base64.b64decode(value["$bytes"])
        return {key: read(each) for key, each in value.items()}
    return value


class Tab:
    """One client. `records` is what befell it and nobody asked for yet, in order."""

    def __init__(self, tabs: "Tabs", name: str) -> None:
        self._tabs = tabs
        self._ids = count()
        self.name = name
        self.records: list[Record] = []

    def order(self, deed: str, **what: Any) -> None:
        """Have the client do something."""
        self._tabs.order({"do": deed, "name": self.name, **what})

    async def take(self, fits: Callable[[Record], bool]) -> Record:
        """The first record that fits; those before it stay."""
        async with asyncio.timeout(PATIENCE):
            while True:
                for number, record in enumerate(self.records):
                    if fits(record):
                        return self.records.pop(number)
                await self._tabs.changed(self)

    async def told(self, kind: str, **values: Any) -> Record:
        """The next record of a kind, with these values in it."""
        wanted = {"kind": kind} | values
        return await self.take(lambda record: wanted.items() <= record.items())

    async def connected(self) -> Record:
        """Wait until it is in."""
        return await self.told("connect")

    async def heard(self, event: str) -> Any:
        """What came with the next event of a name: its argument, or a list of several."""
        return _single(read((await self.told("event", event=event))["args"]))

    def pending(self, event: str) -> list[Any]:
        """What came with all events of a name that were not asked for yet."""
        found = [
            each for each in self.records if each["kind"] == "event" and each["event"] == event
        ]
        return [_single(read(each["args"])) for each in found]

    def emit(self, event: str, *arguments: Any, volatile: bool = False) -> None:
        """Emit an event without an acknowledgement."""
        self.order("emit", event=event, args=written(arguments), volatile=volatile)

    def start(self, event: str, *arguments: Any, **options: Any) -> int:
        """Emit an event that waits for its acknowledgement; the number of the answer."""
        number = next(self._ids)
        self.order("emit", event=event, args=written(arguments), id=number, **options)
        return number

    async def answer(self, number: int) -> Any:
        """What an event was acknowledged with: the argument, or a list of several."""
        record = await self.told("answer", id=number)
        if record.get("failed"):
            raise TimeoutError(record["failed"])
        return _single(read(record["args"]))

    async def ask(self, event: str, *arguments: Any, **options: Any) -> Any:
        """Emit an event and wait for its acknowledgement.

        Raises:
            TimeoutError: it was given a `timeout` in milliseconds, and that was over.
        """
        return await self.answer(self.start(event, *arguments, **options))

    async def acknowledge(self, event: str, *arguments: Any) -> None:
        """From now on, acknowledge an event with this; events are else acknowledged with their own."""
        self.order("answer", event=event, args=written(arguments))
        await self.told("noted", event=event)

    async def join(self, *rooms: str) -> None:
        """Join rooms."""
        for room in rooms:
            assert await self.ask("join_room", {"room": room}) == {"joined": room}

    async def enter(self, nsp: str, **options: Any) -> "Tab":
        """The same connection in another namespace; does not wait until it is in."""
        other = self._tabs.tab()
        other.order("enter", of=self.name, nsp=nsp, options=options)
        return other

    def leave(self) -> None:
        """Disconnect."""
        self.order("call", method="disconnect")


def _single(arguments: list[Any]) -> Any:
    return arguments[0] if len(arguments) == 1 else arguments


class Tabs:
    """The Node process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._tabs: dict[str, Tab] = {}
        self._news: dict[str, asyncio.Event] = {}
        self.over = False

    def tab(self) -> Tab:
        """A client that does nothing yet."""
        name = f"tab{len(self._tabs)}"
        self._tabs[name] = tab = Tab(self, name)
        self._news[name] = asyncio.Event()
        return tab

    def open(self, url: str, auth: Any = None, *, client: str = CLIENTS[0], **options: Any) -> Tab:
        """A client that connects to `http://…`; does not wait until it is in. `client` is its package."""
        tab = self.tab()
        given = {**BRISK, **options} | ({} if auth is None else {"auth": auth})
        tab.order("open", url=url, options=given, client=client)
        return tab

    async def member(self, url: str, user: str, *rooms: str, **options: Any) -> Tab:
        """A client of somebody who belongs to a workspace, in rooms of it."""
        tab = self.open(url, {"token": token(user)}, **options)
        await tab.connected()
        await tab.join(*rooms)
        return tab

    def order(self, what: Record) -> None:
        """Write one line."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(what).encode() + b"\n")

    async def changed(self, tab: Tab) -> None:
        """Wait until something befalls a client."""
        if self.over:
            raise RuntimeError("the Node process has ended")
        news = self._news[tab.name]
        news.clear()
        await news.wait()

    async def read(self) -> None:
        """Take what the process says until it ends."""
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            record = json.loads(line)
            self._tabs[record["name"]].records.append(record)
            self._news[record["name"]].set()
        self.over = True
        for news in self._news.values():
            news.set()


@asynccontextmanager
async def browsing() -> AsyncIterator[Tabs]:
    """A Node process until the block ends."""
    process = await asyncio.create_subprocess_exec(
        *(need_node(), str(JS / "client.cjs")),
        cwd=JS,
        env={"PATH": os.environ["PATH"]},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=1 << 24,
    )
    tabs = Tabs(process)
    reading = asyncio.create_task(tabs.read())
    try:
        yield tabs
    finally:
        if process.stdin is not None:
            process.stdin.close()
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        await reading
