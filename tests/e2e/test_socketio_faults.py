"""Faults that a network makes of one polling session's requests: the real client comes back by itself."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Final

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from tests.e2e.gateways import TOKENS, UNLIMITED
from tests.e2e.socketio_client import CLIENTS, MODES, PATIENCE, Tab, Tabs, browsing, token
from tests.e2e.socketio_gateways import CROWDED, DASHBOARD, ROLES
from tests.e2e.socketio_raw import Base, application, visitor

BASE: Final = f"""
[server]
port = 0
drain_timeout = "0s"
[engine]
url = "memory://"
[admin]
enabled = false
{TOKENS}{UNLIMITED}{ROLES}{CROWDED}
"""
SOCKET_IO: Final = "/socket.io/"
HEADERS: Final = "Host: x\r\nContent-Type: text/plain\r\n"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The application, one for all tests here."""
    folder = tmp_path_factory.mktemp("application")
    with application(folder, BASE, endpoint="workspaces") as address:
        yield address


@pytest.fixture
async def tabs() -> AsyncIterator[Tabs]:
    """A Node process."""
    async with browsing() as tabs:
        yield tabs


class Intruder:
    """Makes requests with the id of a client's session, from the client's own address."""

    def __init__(self, peer: Base, place: str, sid: str) -> None:
        self.peer = peer
        self.sid = sid
        self._host, _, self._port = place.rpartition(":")

    async def get(self) -> int:
        """A poll; its status."""
        return (await self.peer.http.get(self.peer.url(sid=self.sid))).status_code

    async def post(self, body: str) -> int:
        """A post; its status."""
        url = self.peer.url(sid=self.sid)
        return (await self.peer.http.post(url, content=body)).status_code

    @asynccontextmanager
    async def posting(self, head: str, body: bytes) -> AsyncIterator[asyncio.StreamWriter]:
        """A post that is on its way, and reset at the end."""
        _, writer = await asyncio.open_connection(self._host, int(self._port))
        query = f"EIO=4&transport=polling&sid={self.sid}"
        line = f"POST {SOCKET_IO}?{query} HTTP/1.1\r\n{HEADERS}{head}\r\n"
        writer.write(line.encode() + body)
        await writer.drain()
        await asyncio.sleep(0.05)
        yield writer
        writer.transport.abort()
        with suppress(OSError):
            await writer.wait_closed()


async def _two_polls(on: Intruder) -> None:
    assert await on.get() in {200, 400}  # the client's own may be between two


async def _cut_off(on: Intruder) -> None:
    async with on.posting("Content-Length: 100\r\n", b"42["):
        pass


async def _half_closed(on: Intruder) -> None:
    async with on.posting("Content-Length: 100\r\n", b"42[") as writer:
        writer.write_eof()
        await asyncio.sleep(0.05)


async def _two_posts(on: Intruder) -> None:
    async with on.posting("Content-Length: 100\r\n", b"42["):
        while await on.post("6") == 200:
            pass  # the first is not known yet


async def _chunked(on: Intruder) -> None:
    async with on.posting("Transfer-Encoding: chunked\r\n", b"2\r\n46\r\n0\r\n\r\n"):
        pass


async def _garbled(on: Intruder) -> None:
    assert await on.post("\x00\x00") == 400


async def _half_of_base64(on: Intruder) -> None:
    assert await on.post("bAQI") == 400


async def _not_utf8(on: Intruder) -> None:
    async with on.posting("Content-Length: 3\r\n", b"4\xff\xff"):
        pass


FAULTS: Final[dict[str, Callable[[Intruder], Awaitable[None]]]] = {
    "two polls": _two_polls,
    "a post cut off": _cut_off,
    "a post half closed": _half_closed,
    "two posts": _two_posts,
    "a post in chunks": _chunked,
    "a garbled post": _garbled,
    "half of base64": _half_of_base64,
    "no UTF-8": _not_utf8,
}


async def engine_of(tab: Tab) -> str:
    """The id of a client's Engine.IO session."""
    tab.order("engine")
    return str((await tab.told("engine"))["id"])


@pytest.mark.parametrize("client", CLIENTS)
async def test_the_client_comes_back(place: str, tabs: Tabs, client: str) -> None:
    """Each fault ends the session so that its client connects again by itself, and goes on."""
    tab = tabs.open(f"http://{place}", {"token": token("ann")}, client=client, **MODES["polling"])
    await tab.connected()
    async with visitor(place, SOCKET_IO) as peer:
        for fault in FAULTS.values():
            await tab.join(DASHBOARD)
            on = Intruder(peer, place, await engine_of(tab))
            await fault(on)
            told = await tab.told("disconnect")
            assert (told["reason"], told["active"]) != ("io server disconnect", False)
            await tab.connected()
            assert tab.pending("error") == []
            assert (await on.get(), await on.post("6")) == (400, 400)
        await tab.join(DASHBOARD)


async def test_an_upgraded_session_is_not_disturbed(place: str, tabs: Tabs) -> None:
    """Requests that come late, once a WebSocket carries the session, are refused and change nothing."""
    tab = tabs.open(f"http://{place}", {"token": token("ann")})
    await tab.told("upgrade")
    await tab.join(DASHBOARD)
    sid = await engine_of(tab)
    async with visitor(place, SOCKET_IO) as peer:
        on = Intruder(peer, place, sid)
        for _ in range(3):
            assert (await on.get(), await on.post("41"), await on.post("1")) == (400, 400, 400)
        await _cut_off(on)
        with pytest.raises(ConnectionClosed):
            async with connect(peer.url("websocket", sid), open_timeout=PATIENCE) as socket:
                await socket.recv()
    assert await tab.ask("message-with-ack", 1) == 1
    assert not [each for each in tab.records if each["kind"] == "disconnect"]


async def test_a_connect_that_comes_twice(place: str, tabs: Tabs) -> None:
    """A CONNECT that is sent again is answered with the same id, and its client goes on."""
    tab = tabs.open(f"http://{place}", {"token": token("ann")}, **MODES["polling"])
    first = await tab.connected()
    await tab.join(DASHBOARD)
    async with visitor(place, SOCKET_IO) as peer:
        on = Intruder(peer, place, await engine_of(tab))
        assert await on.post("40{}") == 200
        assert (await tab.connected())["sid"] == first["sid"]
    assert await tab.ask("leave_room", {"room": DASHBOARD}) == {"left": DASHBOARD}
