import asyncio
import socket
from typing import Any

import pytest

from portward.admin.protocol import ANSWER_STEP, ANSWER_TIME, REQUEST_TIME, BoundedProtocol
from portward.admin.server import AdminServer
from portward.engines.port import PublishResult
from portward.model.position import Position
from portward.node.commands.server_api import ServerApi
from tests.admin.raw_sockets import GET, POST, RawSocket, listening, until
from tests.admin.service import Service


@pytest.mark.parametrize(
    "lines",
    [
        ("GET /" + "x" * 9000 + " HTTP/1.1", "Host: admin"),
        (*GET, *(f"X-{number}: v" for number in range(101))),
        (*GET, *(f"X-{number}: {'v' * 8000}" for number in range(5))),
    ],
)
async def test_a_head_has_bounds(service: Service, lines: tuple[str, ...]) -> None:
    """A target, a number of headers or a head beyond the limits is 400, and the end."""
    async with listening(service) as server:
        wire = await RawSocket.to(server)
        wire.send(*lines)
        assert (await wire.rest()).startswith(b"HTTP/1.1 400 ")
        await wire.close()


async def test_each_head_is_counted_by_itself(service: Service) -> None:
    """Many requests on one connection do not add up to one that is too long."""
    async with listening(service) as server:
        wire = await RawSocket.to(server)
        for _ in range(5):
            wire.send(*GET, *(f"X-{number}: {'v' * 300}" for number in range(90)))
            assert b" 200 " in await wire.head()
        await wire.close()


async def test_what_is_not_http_is_logged_by_us(
    service: Service, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    """A broken request is 400; it goes to our log without its bytes, and to no logger's."""
    async with listening(service) as server:
        wire = await RawSocket.to(server)
        wire.send_bytes(b"canary\r\n\r\n")
        assert (await wire.rest()).startswith(b"HTTP/1.1 400 ")
        await wire.close()
    assert "library" in service.log
    assert "canary" not in service.log
    assert caplog.records == []
    assert capsys.readouterr() == ("", "")


async def test_an_upgrade_is_an_ordinary_request(service: Service) -> None:
    """There is no WebSocket here: a request that asks for one is answered over HTTP."""
    async with listening(service) as server:
        wire = await RawSocket.to(server)
        wire.send(*GET, "Connection: Upgrade", "Upgrade: websocket")
        assert b" 200 " in await wire.head()
        await wire.close()


async def test_silence_is_cut_off(service: Service) -> None:
    """A connection that sends nothing is gone after ten seconds, and not before."""
    async with listening(service) as server:
        idle = service.clock.pending
        wire = await RawSocket.to(server)
        await until(lambda: service.clock.pending == idle + 1)
        service.clock.advance(REQUEST_TIME - 0.1)
        wire.send(*GET)
        assert b" 200 " in await wire.head()
        silent = await RawSocket.to(server)
        await until(lambda: service.clock.pending == idle + 1)
        service.clock.advance(REQUEST_TIME)
        assert await silent.rest() == b""
        await wire.close()
        await silent.close()


@pytest.mark.parametrize("part", [b"GET /hea", b"GET /health HTTP/1.1\r\nHost: a\r\nX-Slow: "])
async def test_a_second_head_has_its_own_deadline(service: Service, part: bytes) -> None:
    """After an answer the clock starts with the first byte of the next request."""
    async with listening(service) as server:
        idle = service.clock.pending
        wire = await RawSocket.to(server)
        wire.send(*GET)
        assert b" 200 " in await wire.head()
        assert service.clock.pending == idle
        wire.send_bytes(part)
        await until(lambda: service.clock.pending == idle + 1)
        service.clock.advance(REQUEST_TIME)
        assert await wire.rest() == b""
        await wire.close()


async def test_a_body_that_drips_is_cut_off(service: Service) -> None:
    """Bytes do not restart the deadline of a request; nothing is recorded as an accident."""
    async with listening(service) as server:
        idle = service.clock.pending
        wire = await RawSocket.to(server)
        wire.send(*POST, "Content-Length: 10", body=b"{")
        await until(lambda: service.clock.pending == idle + 1)
        service.clock.advance(REQUEST_TIME / 2)
        wire.send_bytes(b" ")
        uvicorn_server = server._server
        assert uvicorn_server is not None
        await until(lambda: len(uvicorn_server.server_state.tasks) == 1)
        service.clock.advance(REQUEST_TIME / 2)
        assert await wire.rest() == b""
        await until(lambda: not uvicorn_server.server_state.tasks)
        await wire.close()
    assert "internal.error" not in service.log


async def test_a_complete_request_has_all_the_time(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The deadline is for what the caller sends, not for how long the answer takes."""
    waiting, going = asyncio.Event(), asyncio.Event()

    async def publish(*_: object) -> PublishResult:
        waiting.set()
        await going.wait()
        return PublishResult("i", Position(7, "e"))

    monkeypatch.setattr(ServerApi, "publish", publish)
    body = b'{"channel":"rooms:a","data":1}'
    async with listening(service) as server:
        wire = await RawSocket.to(server)
        wire.send(*POST, f"Content-Length: {len(body)}", body=body)
        await waiting.wait()
        service.clock.advance(REQUEST_TIME * 2)
        going.set()
        assert b" 200 " in await wire.head()
        await wire.close()


async def test_a_deadline_ends_with_its_connection(service: Service) -> None:
    """A caller that leaves early leaves no timer behind."""
    async with listening(service) as server:
        idle = service.clock.pending
        wire = await RawSocket.to(server)
        await until(lambda: service.clock.pending == idle + 1)
        await wire.close()
        await until(lambda: service.clock.pending == idle)


async def test_an_early_answer_does_not_restart_the_deadline(service: Service) -> None:
    """A request that is answered before it is complete still has only its ten seconds."""
    async with listening(service) as server:
        wire = await RawSocket.to(server)
        wire.send("POST /api/publish HTTP/1.1", "Host: admin", "Content-Length: 10", body=b"{")
        assert b" 401 " in await wire.head()
        service.clock.advance(REQUEST_TIME / 2)
        pending = service.clock.pending
        wire.send_bytes(b" ")
        wire.send_bytes(b" ")
        uvicorn_server = server._server
        assert uvicorn_server is not None
        (connection,) = uvicorn_server.server_state.connections
        assert isinstance(connection, BoundedProtocol)
        await until(lambda: connection.timeout_keep_alive_task is None)
        assert service.clock.pending == pending
        service.clock.advance(REQUEST_TIME / 2)
        assert await wire.rest() == b""
        await wire.close()


REPEATED = 100
"""Requests that are sent at once: their answers are more than the buffers of two kernels take."""


class Reader:
    """A client with a small buffer that asks for much and reads when it is told to."""

    def __init__(self, server: AdminServer) -> None:
        self._server = server
        for each in server._sockets:  # inherited by what is accepted
            each.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self._socket.setblocking(False)

    async def ask(self) -> None:
        """Connect, and ask for the description of the API over and over."""
        loop = asyncio.get_running_loop()
        await loop.sock_connect(self._socket, self._server.address)
        request = b"GET /openapi.json HTTP/1.1\r\nHost: admin\r\n\r\n"
        await loop.sock_sendall(self._socket, request * REPEATED)

    async def read(self, count: int) -> bool:
        """Read so many bytes; False when the connection ended before."""
        loop = asyncio.get_running_loop()
        while count > 0:
            try:
                data = await loop.sock_recv(self._socket, count)
            except ConnectionResetError:
                return False
            if not data:
                return False
            count -= len(data)
        return True

    def close(self) -> None:
        """Close."""
        self._socket.close()


def protocols(server: AdminServer) -> list[Any]:
    """The connections of a server."""
    assert server._server is not None
    return list(server._server.server_state.connections)


async def test_a_client_that_does_not_read_is_cut_off(service: Service) -> None:
    """A client that asks and does not read is gone after thirty seconds, with all that waited for it."""
    async with listening(service) as server:
        reader = Reader(server)
        await reader.ask()
        await until(lambda: any(each._unread for each in protocols(server)))
        service.clock.advance(ANSWER_TIME - 0.1)
        await asyncio.sleep(0)
        assert len(protocols(server)) == 1
        service.clock.advance(0.2)
        await until(lambda: not protocols(server))
        assert not await reader.read(1 << 30)
        reader.close()
        wire = await RawSocket.to(server)
        wire.send(*GET)
        assert b" 200 " in await wire.head()
        await wire.close()


async def test_a_client_that_reads_slowly_is_served(service: Service) -> None:
    """As long as a client reads, it may take its time: it has everything in the end."""
    size = len((await service.http.get("/openapi.json")).content)
    async with listening(service) as server:
        reader = Reader(server)
        await reader.ask()
        await until(lambda: any(each._unread for each in protocols(server)))
        left = REPEATED * size
        while left > 0:
            assert await reader.read(min(left, 2 * (size + ANSWER_STEP)))
            left -= 2 * (size + ANSWER_STEP)
            await asyncio.sleep(0.01)
            service.clock.advance(ANSWER_TIME - 0.1)
        reader.close()
