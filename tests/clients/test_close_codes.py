"""Which ends of a connection both clients follow by another attempt, for every kind of close code."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any, Final

import pytest
from websockets.asyncio.server import ServerConnection, serve

from tests.clients.client_programs import CLIENTS, Driver, with_each
from tests.e2e.gateways import until

SILENCE: Final = 0.12
"""Many times the wait before an attempt, in the time of these clients."""
INVITE: Final = [
    *[(code, "") for code in (1001, 1011, 1012, 1013, 1014)],
    *[(code, "") for code in (3000, 3001, 3005, 3008, 3012, 3013, 3014, 3100, 3499)],
    *[(code, "") for code in (4000, 4001, 4250, 4499)],
    (1008, "Connection timeout"),
    (3001, "shutdown"),
]
FORBID: Final = [
    *[(code, "") for code in (1000, 1002, 1003, 1007, 1009)],
    *[(code, "") for code in (3500, 3501, 3503, 3504, 3507, 3750, 3999)],
    *[(code, "") for code in (4500, 4750, 4999)],
    (1008, "policy violation"),
    (3503, "force disconnect"),
]
SUCCESS: Final = {
    "wsToken": "a session",
    "user": {"userId": "ann", "email": None, "roles": []},
    "expiresAt": 4102444800000,
    "resumed": False,
}


class Closer:
    """Speaks as much of the rooms protocol as it takes to be ready, then closes as it is told."""

    def __init__(self) -> None:
        self.port = 0
        self.opened: list[ServerConnection] = []

    async def serve(self, socket: ServerConnection) -> None:
        """Greet, and let everybody in."""
        self.opened.append(socket)
        await self._say(socket, "handshake", {"connectionId": "c" * 32, "serverTime": 1})
        async for text in socket:
            message = json.loads(text)
            if message["type"] == "auth":
                await self._say(socket, "auth_success", SUCCESS, id=message["id"])

    async def _say(self, socket: ServerConnection, kind: str, data: Any, **rest: str) -> None:
        await socket.send(json.dumps({"type": kind, "data": data, "timestamp": 1} | rest))


@asynccontextmanager
async def closer() -> AsyncIterator[Closer]:
    """Run one until the block ends."""
    made = Closer()
    async with serve(made.serve, "127.0.0.1", 0) as server:
        made.port = next(iter(server.sockets)).getsockname()[1]
        yield made


async def ready(driver: Driver, server: Closer) -> int:
    """A new client is connected; how many reports there are before the end comes."""
    await driver.start(f"ws://127.0.0.1:{server.port}", speed=5, luck=0.05)
    await driver.done("connected", do="connect", endpoint="rooms")
    return len(driver.reports.records)


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_codes_that_invite() -> None:
    """After a break, and after every code that invites to come back, there is another attempt."""

    async def scenario(client: str) -> None:
        async with closer() as server, CLIENTS[client]("ann") as driver:
            for code, reason in [*INVITE, (1006, "")]:
                start = await ready(driver, server)
                if code == 1006:
                    server.opened[-1].transport.abort()
                else:
                    await server.opened[-1].close(code, reason)
                again = await driver.reports.first(
                    lambda record: record["kind"] == "stopped" or record.get("state") == "ready",
                    start,
                )
                assert again["kind"] == "state", (client, code, reason, again)
                await driver.done("closed", do="close")

    await with_each(scenario)


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_codes_that_forbid() -> None:
    """After every code that forbids it there is no attempt; the client says so once, with a typed error."""

    async def scenario(client: str) -> None:
        async with closer() as server, CLIENTS[client]("ann") as driver:
            for code, reason in FORBID:
                start = await ready(driver, server)
                opened = len(server.opened)
                await server.opened[-1].close(code, reason)
                stopped = await driver.reports.first(
                    lambda record: record["kind"] == "stopped" or record.get("state") == "ready",
                    start,
                )
                assert stopped["kind"] == "stopped", (client, code, reason, stopped)
                assert (stopped["temporary"], bool(stopped["code"])) == (False, True)
                await asyncio.sleep(SILENCE)
                assert len(server.opened) == opened, (client, code, reason)
                await driver.done("closed", do="close")
            assert len(driver.reports.all("stopped")) == len(FORBID)

    await with_each(scenario)


RETRIED: Final = (408, 425, 429, 500, 502, 503, 504, 520, 522, 530, 599)
FINAL: Final = (400, 403, 404, 405, 410, 426, 431, 451)


class Refuser:
    """Answers every handshake with a status, and a Retry-After where one is set."""

    def __init__(self) -> None:
        self.port = 0
        self.status = 503
        self.retry_after: str | None = None
        self.times: list[float] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one handshake."""
        await reader.readuntil(b"\r\n\r\n")
        self.times.append(asyncio.get_running_loop().time())
        head = [f"HTTP/1.1 {self.status} No", "Content-Length: 0", "Connection: close"]
        if self.retry_after is not None:
            head.append(f"Retry-After: {self.retry_after}")
        writer.write("\r\n".join([*head, "", ""]).encode())
        await writer.drain()
        writer.close()


@asynccontextmanager
async def refuser() -> AsyncIterator[Refuser]:
    """Run one until the block ends."""
    made = Refuser()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.port = server.sockets[0].getsockname()[1]
    try:
        yield made
    finally:
        server.close()
        await server.wait_closed()


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_refused_handshakes() -> None:
    """A status that may pass is followed by another attempt, one that does not by none."""

    async def scenario(client: str) -> None:
        async with refuser() as server, CLIENTS[client]("ann") as driver:
            for status in RETRIED + FINAL:
                server.status = status
                start = len(driver.reports.records)
                await driver.start(f"ws://127.0.0.1:{server.port}", speed=5, luck=0.05)
                await driver.do(do="connect", endpoint="rooms")
                first = await driver.reports.first(
                    lambda record: record["kind"] == "stopped" or record.get("state") == "waiting",
                    start,
                )
                expected = "state" if status in RETRIED else "stopped"
                assert first["kind"] == expected, (client, status, first)
                await driver.done("closed", do="close")

    await with_each(scenario)


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("named", ["2", "4"])
async def test_the_time_that_the_server_names(named: str) -> None:
    """No attempt comes before the Retry-After of a refused handshake has passed."""
    speed = 5

    async def scenario(client: str) -> None:
        async with refuser() as server, CLIENTS[client]("ann") as driver:
            server.retry_after = named
            await driver.start(f"ws://127.0.0.1:{server.port}", speed=speed, luck=0.05)
            await driver.do(do="connect", endpoint="rooms")
            await until(lambda: len(server.times) >= 3)
            waits = [later - earlier for earlier, later in pairwise(server.times[:3])]
            assert min(waits) * speed >= float(named) - 0.05, (client, waits)
            await driver.done("closed", do="close")

    await with_each(scenario)
