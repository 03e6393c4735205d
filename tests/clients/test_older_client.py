"""The older client of rooms, in Node and in Chromium, against the real process."""

import json
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from websockets.asyncio.client import connect

from tests.clients.browser import chromium
from tests.clients.fault_proxy import UNHARMED, Cut, FaultProxy, Script, always, fault_proxy
from tests.clients.programs import Records, program
from tests.clients.site import site
from tests.e2e.process import CONFIG, Served, serving
from tests.e2e.socketio_chromium import need_chromium
from tests.e2e.socketio_client import JS, need_node, token

pytestmark = [pytest.mark.slow, pytest.mark.timeout(150)]

HERE: Final = Path(__file__).parent
FILES: Final = {
    f"/older/{name}": HERE / "older" / name
    for name in ("client.js", "timers.js", "orders.js", "page.html", "page.js")
}
HEARTBEAT: Final = 30_000


@dataclass
class Older:
    """A running older client: what it reports, and how it is ordered about."""

    reports: Records
    do: Callable[..., Awaitable[None]]

    async def connect(self, url: str, user: str, **claims: Any) -> None:
        """Connect and authenticate."""
        start = len(self.reports.records)
        await self.do(do="connect", url=url, token=token(user, roles=["user"], **claims))
        answer = await self.reports.first("connected", start)
        assert answer["user"]["userId"] == user


@asynccontextmanager
async def node(port: int) -> AsyncIterator[Older]:
    """The client in Node, with `ws`."""
    command = (need_node(), str(HERE / "older" / "node.cjs"), str(JS))
    async with program(*command, PATH=os.environ["PATH"]) as running:
        yield Older(running, running.do)


@asynccontextmanager
async def page(port: int) -> AsyncIterator[Older]:
    """The client in a page of Chromium."""
    need_chromium()
    async with chromium() as browser:
        opened = await browser.page(f"http://localhost:{port}/older/page.html")

        async def do(**order: Any) -> None:
            await opened.call("obey", order)

        yield Older(opened, do)
        assert opened.problems == []


Where = Callable[[int], AbstractAsyncContextManager[Older]]
EVERYWHERE: Final = pytest.mark.parametrize("where", [node, page])


@asynccontextmanager
async def stage(folder: Path, where: Where) -> AsyncIterator[tuple[Older, FaultProxy, Served]]:
    """The real process, a proxy in front of it, and the client."""
    with site(FILES) as port:
        gate = f'[gate]\nallowed_origins = ["http://localhost:{port}"]\n'
        async with serving(folder, gate + CONFIG) as served:
            server = int(served.url.rpartition(":")[2].partition("/")[0])
            async with fault_proxy(server) as proxy, where(port) as older:
                yield older, proxy, served


def envelope(kind: str, **data: Any) -> str:
    """A message as the older client writes it."""
    return json.dumps({"type": kind, "data": data, "timestamp": time.time() * 1000})


async def hear(socket: Any, kind: str) -> Any:
    """The data of the next message of a kind."""
    while True:
        message = json.loads(await socket.recv())
        assert message["type"] != "error" or kind == "error", message
        if message["type"] == kind:
            return message["data"]


@EVERYWHERE
async def test_the_older_client(tmp_path: Path, where: Where) -> None:
    """It talks and beats, comes back with its first token, tries five times, and says goodbye with 1000."""
    async with stage(tmp_path, where) as (older, proxy, served):
        await refused_tokens(older, proxy)
        await older.connect(f"{proxy.url}/rooms", "ann")
        await conversation(older)
        await hears_a_friend(older, served)
        await comes_back(older, proxy, served)
        await goodbye(older)
        await older.connect(f"{proxy.url}/rooms", "ann")
        await tries_five_times(older, proxy)
        await older.connect(f"{proxy.url}/rooms", "ann")
        await hears_the_node_leave(older, served)


async def conversation(older: Older) -> None:
    """It is sent its own message, its heartbeats are answered, and an error is one that it can read."""
    await older.do(do="join", room="lobby")
    await older.do(do="say", room="lobby", content="hello")
    heard = await older.reports.first("message")
    assert (heard["data"]["content"], heard["data"]["userId"]) == ("hello", "ann")
    for beat in range(1, 4):
        await older.do(do="advance", ms=HEARTBEAT)
        await older.reports.first(lambda _: len(older.reports.all("heartbeat_response")) == beat)  # noqa: B023 - awaited at once
    await older.do(do="say", room="elsewhere", content="not in that room")
    refused = await older.reports.first("error")
    assert refused["data"]["code"] == "room_not_found"
    assert refused["data"]["message"]


async def hears_a_friend(older: Older, served: Served) -> None:
    """Another user joins, talks and leaves; both are sent what the other says."""
    async with connect(served.url, proxy=None) as bob:
        await bob.send(envelope("auth", token=token("bob", roles=["user"])))
        await bob.send(envelope("join", roomId="lobby"))
        joined = await older.reports.first("user_joined")
        assert (joined["data"]["userId"], joined["data"]["roomId"]) == ("bob", "lobby")
        assert set((await hear(bob, "room_joined"))["participants"]) == {"ann", "bob"}
        await bob.send(envelope("message", roomId="lobby", content="hi ann"))
        await older.reports.first(
            lambda record: record["kind"] == "message" and record["data"]["content"] == "hi ann"
        )
        await older.do(do="say", room="lobby", content="hi bob")
        while (await hear(bob, "message"))["content"] != "hi bob":
            pass
        await bob.send(envelope("leave", roomId="lobby"))
        left = await older.reports.first("user_left")
        assert (left["data"]["userId"], left["data"]["roomId"]) == ("bob", "lobby")


async def refused_tokens(older: Older, proxy: FaultProxy) -> None:
    """An error before `auth_success` is the end of the attempt, and a text that people can read."""
    for bad in ("", "x", "a.b.c", token("ann", ttl=-60), token("ann", secret="another" * 8)):
        start = len(older.reports.records)
        await older.do(do="connect", url=f"{proxy.url}/rooms", token=bad)
        failed = await older.reports.first("failed", start)
        assert failed["message"] == ("Authentication failed" if bad else "Token required")
        await older.do(do="disconnect")
        await older.reports.first("closed", start)


async def comes_back(older: Older, proxy: FaultProxy, served: Served) -> None:
    """After a reset and after a FIN it waits two seconds, and the first token is good again."""
    for how in (Cut.RST, Cut.FIN, Cut.RST):
        start, opened = len(older.reports.records), len(proxy.connections)
        proxy.cut_all(how)
        assert (await older.reports.first("closed", start))["code"] != 1000
        waiting = await older.reports.first("waiting", start)
        assert (waiting["attempt"], waiting["seconds"]) == (1, 2)
        await older.do(do="advance", ms=1999)
        assert len(proxy.connections) == opened
        await older.do(do="advance", ms=1)
        back = await older.reports.first(lambda record: record["kind"] in {"back", "failed"}, start)
        assert back == {"kind": "back", "resumed": False}
        await older.do(do="join", room="lobby")
        await older.do(do="say", room="lobby", content=f"back {opened}")
        assert (await older.reports.first("message", start))["data"]["content"] == f"back {opened}"
    assert (await served.call("connections", user="ann"))["total"] == 1


async def goodbye(older: Older) -> None:
    """It closes with 1000 and does not come back."""
    start = len(older.reports.records)
    await older.do(do="disconnect")
    assert (await older.reports.first("closed", start))["code"] == 1000
    await older.do(do="timers")
    assert (await older.reports.first("timers"))["count"] == 0


async def tries_five_times(older: Older, proxy: FaultProxy) -> None:
    """While nothing answers it waits 2, 4, 8, 16 and 32 seconds, and then gives up."""
    start, opened = len(older.reports.records), len(proxy.connections)
    proxy.plan = always(Script(refuse=True))
    proxy.cut_all()
    for attempt in range(1, 6):
        waiting = await older.reports.first(
            lambda record: record.get("attempt") == attempt,  # noqa: B023 - awaited at once
            start,
        )
        assert waiting["seconds"] == 2**attempt
        await older.do(do="advance", ms=2**attempt * 1000)
    await older.reports.first("gave up", start)
    proxy.plan = UNHARMED
    await older.do(do="advance", ms=3_600_000)
    assert len(proxy.connections) == opened + 5


async def hears_the_node_leave(older: Older, served: Served) -> None:
    """The close of a node that leaves is one of those after which it comes back."""
    start = len(older.reports.records)
    served.process.terminate()
    closed = await older.reports.first("closed", start)
    assert (closed["code"], closed["reason"]) == (3001, "shutdown")
    await older.reports.first("waiting", start)


async def test_shapes_of_the_older_messages(tmp_path: Path) -> None:
    """`auth` with a token alone, empty heartbeats before and after it, messages without an id: all pass."""
    stamps = [0, -1, 1763690400000, 1763690400000.25, 2**53 - 1]
    async with serving(tmp_path) as served:
        for stamp in stamps:
            for extra in ({}, {"id": "7"}, {"id": ""}):
                async with connect(served.url, proxy=None) as socket:
                    await older_messages(socket, {"timestamp": stamp} | extra)


async def older_messages(socket: Any, rest: dict[str, Any]) -> None:
    """Everything that an older client sends, with these keys beside type and data."""

    async def say(kind: str, **data: Any) -> None:
        await socket.send(json.dumps({"type": kind, "data": data} | rest))

    assert set(await hear(socket, "handshake")) == {"connectionId", "serverTime"}
    await say("heartbeat")
    assert set(await hear(socket, "heartbeat_response")) == {"serverTime"}
    await say("auth", token=token("ann", roles=["user"]))
    success = await hear(socket, "auth_success")
    assert set(success) == {"wsToken", "user", "expiresAt", "resumed"}
    await say("heartbeat")
    await hear(socket, "heartbeat_response")
    await say("join", roomId="lobby")
    await hear(socket, "room_joined")
    await say("message", roomId="lobby", content="hello")
    heard = await hear(socket, "message")
    assert heard["content"] == "hello"
    assert {"id", "type", "roomId", "content", "userId", "timestamp", "offset"} <= set(heard)
