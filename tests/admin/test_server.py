import asyncio
import errno
import logging
import signal
import socket
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
import pytest
import uvicorn

from portward.admin import server as module
from portward.admin.server import AdminServer, bind
from portward.engines.port import PublishResult
from portward.model.position import Position
from portward.node.commands.server_api import ServerApi
from tests.admin.raw_sockets import GET, POST, RawSocket, listening, until
from tests.admin.service import ADMIN, Service

BODY = b'{"channel":"rooms:a","data":1}'


def url(server: AdminServer, path: str) -> str:
    """An address on a listening server."""
    host, port = server.address
    return f"http://{f'[{host}]' if ':' in host else host}:{port}{path}"


async def test_it_serves_on_a_free_port(service: Service) -> None:
    """Port 0 takes a free one, the address says which, and requests are answered there."""
    async with listening(service) as server, httpx.AsyncClient() as http:
        assert server.address[1] != 0
        assert (await http.get(url(server, "/health"))).json() == {"status": "ok"}
        answer = await http.post(
            url(server, "/api/publish"), content=BODY, headers={"X-API-Key": ADMIN}
        )
        assert answer.json()["result"]["offset"] == 1
        assert "server" not in answer.headers


async def test_a_name_is_served_on_all_its_addresses(service: Service) -> None:
    """Every address of `localhost` listens on the same port."""
    server = AdminServer(service.app, "localhost", 0)
    await server.start()
    async with httpx.AsyncClient() as http:
        port = server.address[1]
        for sock in server._sockets:
            assert sock.getsockname()[1] == port
        assert (await http.get(f"http://localhost:{port}/health")).status_code == 200
    await server.stop()


async def test_it_listens_on_ipv6(service: Service) -> None:
    """An IPv6 address is served like any other."""
    server = AdminServer(service.app, "::1", 0)
    try:
        await server.start()
    except OSError:
        pytest.skip("this machine has no IPv6")
    async with httpx.AsyncClient() as http:
        assert (await http.get(url(server, "/health"))).status_code == 200
    await server.stop()


async def test_a_taken_port_is_a_clear_error(service: Service) -> None:
    """Two servers cannot have one port; the second says which address and why."""
    async with listening(service) as first:
        host, port = first.address
        second = AdminServer(service.app, host, port)
        with pytest.raises(OSError, match=rf"cannot use 127\.0\.0\.1:{port}: .*in use") as caught:
            await second.start()
        assert caught.value.errno == errno.EADDRINUSE
        with pytest.raises(RuntimeError):
            second.address  # noqa: B018 - it raises
        await second.stop()


Found = list[tuple[Any, ...]]


def resolving(monkeypatch: pytest.MonkeyPatch, *found: tuple[str, int]) -> None:
    """Let every name stand for these addresses."""

    def getaddrinfo(*_: object, **__: object) -> Found:
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", each) for each in found]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


async def test_addresses_that_are_absent_are_left_out(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name may stand for an address this machine lacks, as long as it has another."""
    resolving(monkeypatch, ("192.0.2.1", 0), ("127.0.0.1", 0))
    server = AdminServer(service.app, "somewhere", 0)
    await server.start()
    assert server.address[0] == "127.0.0.1"
    await server.stop()


@pytest.mark.parametrize("found", [[("192.0.2.1", 0)], []])
async def test_a_name_without_an_address_is_an_error(
    service: Service, monkeypatch: pytest.MonkeyPatch, found: list[tuple[str, int]]
) -> None:
    """A name with no address here, or none at all, cannot be served."""
    resolving(monkeypatch, *found)
    with pytest.raises(OSError, match="cannot use somewhere:0"):
        await AdminServer(service.app, "somewhere", 0).start()


async def test_a_failure_halfway_lets_go_of_the_rest(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the second address is taken, the first is not kept."""
    async with listening(service) as other:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            free = probe.getsockname()[1]
        resolving(monkeypatch, ("127.0.0.1", free), ("127.0.0.1", other.address[1]))
        with pytest.raises(OSError, match="in use"):
            await AdminServer(service.app, "somewhere", 0).start()
        with socket.socket() as again:
            again.bind(("127.0.0.1", free))


async def test_it_is_started_once(service: Service) -> None:
    """Starting what serves already is an error; stopping what does not is none."""
    async with listening(service) as server:
        with pytest.raises(RuntimeError):
            await server.start()
    await server.stop()


async def test_it_can_be_started_again(service: Service) -> None:
    """After a stop the port is free, and the same server can take it again."""
    async with listening(service) as server:
        host, port = server.address
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(host, port)
    await server.start()
    assert server.address[1]
    await server.stop()


async def test_a_failing_start_is_raised(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """What goes wrong after binding is raised by start, and nothing is left behind."""

    async def startup(*_: object, **__: object) -> None:
        raise ValueError("no")

    monkeypatch.setattr(uvicorn.Server, "startup", startup)
    server = AdminServer(service.app, "127.0.0.1", 0)
    with pytest.raises(ValueError, match="no"):
        await server.start()
    with pytest.raises(RuntimeError):
        server.address  # noqa: B018 - it raises


async def test_signals_and_logging_are_left_alone(service: Service) -> None:
    """The process's signal handlers and loggers are the same while serving and afterwards."""

    def state() -> list[object]:
        loggers = [logging.getLogger(name) for name in ("", "uvicorn", "uvicorn.access")]
        loggers.append(logging.getLogger("uvicorn.error"))
        return [
            signal.getsignal(signal.SIGINT),
            signal.getsignal(signal.SIGTERM),
            [(each.level, each.handlers[:], each.propagate) for each in loggers],
        ]

    before = state()
    async with listening(service):
        assert state() == before
    assert state() == before


Publish = Callable[..., Awaitable[PublishResult]]


def held(monkeypatch: pytest.MonkeyPatch) -> tuple[asyncio.Event, asyncio.Event]:
    """Let publishing wait: the first event is set when it does, the second lets it go on."""
    waiting, going = asyncio.Event(), asyncio.Event()

    async def publish(*_: object) -> PublishResult:
        waiting.set()
        await going.wait()
        return PublishResult("i", Position(7, "e"))

    monkeypatch.setattr(ServerApi, "publish", publish)
    return waiting, going


async def test_a_request_under_way_is_finished(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopping waits for the answer to a request that is being carried out."""
    waiting, going = held(monkeypatch)
    async with listening(service) as server:
        wire = await RawSocket.to(server)
        wire.send(*POST, f"Content-Length: {len(BODY)}", body=BODY)
        await waiting.wait()
        stopping = asyncio.create_task(server.stop())
        uvicorn_server = server._server
        assert uvicorn_server is not None
        await until(lambda: uvicorn_server.should_exit)
        going.set()
        assert b" 200 " in await wire.head()
        await stopping
        await wire.close()


async def test_a_request_that_does_not_end_is_cut_off(
    service: Service, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """After the grace what is left is cancelled, its connection closed, and nothing is printed."""
    waiting, _ = held(monkeypatch)
    async with listening(service, grace=0.0) as server:
        wire = await RawSocket.to(server)
        wire.send(*POST, f"Content-Length: {len(BODY)}", body=BODY)
        await waiting.wait()
        await server.stop()
        assert await wire.rest() == b""
        await wire.close()
    assert caplog.records == []


async def test_there_is_an_end_to_connections(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond the limit on connections a request is answered 503."""
    monkeypatch.setattr(module, "CONNECTIONS", 2)
    async with listening(service) as server:
        first, second = await RawSocket.to(server), await RawSocket.to(server)
        first.send(*GET)
        uvicorn_server = server._server
        assert uvicorn_server is not None
        await until(lambda: len(uvicorn_server.server_state.connections) == 2)
        second.send(*POST)
        assert b"503" in await second.rest()
        await first.close()
        await second.close()


async def test_half_sent_requests_leave_health_alone(service: Service) -> None:
    """Three hundred of them hold the places of the API; probes are answered, and the oldest make room."""
    async with listening(service) as server:
        host, port = server.address
        held = [await asyncio.open_connection(host, port) for _ in range(300)]
        for _, writer in held:
            writer.write(b"POST /api/publish HTTP/1.1\r\nHost: x\r\n")
            await writer.drain()
        async with httpx.AsyncClient() as http:
            for path in ("/health", "/ready"):
                assert (await http.get(url(server, path))).status_code == 200
        assert len(server._server.server_state.connections) <= module.CONNECTIONS + 1  # type: ignore[union-attr]
        await until(lambda: sum(reader.at_eof() for reader, _ in held) >= 300 - module.CONNECTIONS)
        for _, writer in held:
            writer.close()


async def test_listener_that_is_shared(service: Service) -> None:
    """A server on sockets that listen already serves there, and closes no others of the same listener."""
    sockets = await bind("127.0.0.1", 0)
    address = sockets[0].getsockname()
    for _ in range(2):
        server = AdminServer(service.app, "127.0.0.1", 0, sockets=[each.dup() for each in sockets])
        await server.start()
        assert server.address == address
        wire = await RawSocket.to(server)
        wire.send(*GET)
        assert await wire.head() == b"HTTP/1.1 200 OK"
        await wire.close()
        await server.stop()
    for sock in sockets:
        sock.close()
