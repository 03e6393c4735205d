import asyncio
import io
import json
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from portward.app.gateway import Gateway
from portward.app.server import Server
from portward.app.workers import control_protocol, handover
from portward.app.workers.handover import LIMIT, Handover, HandoverMessage
from portward.app.workers.sockets import listening
from portward.model.request import RequestHead
from portward.node.sessions.clock import LoopClock
from portward.settings import Settings, load
from portward.telemetry.telemetry import make_telemetry
from portward.testing import FakeClock
from portward.transports.listener_state import ListenerState
from tests.app.workers.worker_admins import place_in

PATIENCE = 30.0
POLL = "/socket.io/?EIO=4&transport=polling"


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something in this process is so."""
    async with asyncio.timeout(PATIENCE):
        while not condition():  # noqa: ASYNC110 - several parts have a share in it
            await asyncio.sleep(0.01)


class Pair:
    """Two workers in this process, each with a port of its own, so that a test can choose."""

    def __init__(self) -> None:
        self.servers: list[Server] = []
        self.gateways: list[Gateway] = []

    def url(self, number: int, path: str = POLL) -> str:
        """Where one of them is."""
        host, port = self.servers[number].public.addresses[0]
        return f"http://{host}:{port}{path}"

    def token(self) -> str:
        """A token of anybody."""
        return self.gateways[0].token("ann", roles=["agent"], workspaceId="w1")

    async def settled(self) -> None:
        """Wait until no socket is open anywhere."""
        await until(lambda: all(each.listener_state.sockets == 0 for each in self.servers))


def settings() -> Settings:
    """Settings of one of two workers; both have the same secret."""
    flags = {
        "server.port": 0,
        "admin.enabled": False,
        "tokens.secrets": ["a secret of the tests, long enough to be one"],
    }
    return load({}, flags=flags).settings


@asynccontextmanager
async def workers(folder: Path) -> AsyncIterator[Pair]:
    """Run both."""
    pair = Pair()
    async with AsyncExitStack() as stack:
        for number in range(2):
            telemetry = make_telemetry(settings(), LoopClock(), io.StringIO())
            gateway = await stack.enter_async_context(Gateway(settings(), telemetry=telemetry))
            place, parent = place_in(folder, number)
            stack.callback(parent.close)
            stack.callback(place.close)
            server = Server(gateway, place)
            assert server._handover is not None
            server._handover._others = {"0", "1"} - {str(number)}
            await server.start()
            stack.push_async_callback(server.stop)
            pair.servers.append(server)
            pair.gateways.append(gateway)
        yield pair


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    """Two workers."""
    async with workers(tmp_path) as made:
        yield made


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    """A client."""
    async with httpx.AsyncClient(trust_env=False, timeout=PATIENCE) as client:
        yield client


async def begin(pair: Pair, http: httpx.AsyncClient, number: int) -> str:
    """A session by polling; the rest of its address."""
    answer = await http.get(pair.url(number))
    sid = json.loads(answer.text[1:])["sid"]
    assert sid.startswith(f"{number}.")
    return f"{POLL}&sid={sid}"


async def test_polls_and_posts_at_the_wrong_worker(pair: Pair, http: httpx.AsyncClient) -> None:
    """A whole session goes by the worker that does not have it, and ends with nothing left open."""
    path = await begin(pair, http, 1)
    login = f'40{{"token":"{pair.token()}"}}'
    assert (await http.post(pair.url(0, path), content=login)).text == "ok"
    assert (await http.get(pair.url(0, path))).text.startswith('40{"sid":')
    assert len(pair.gateways[0].node.registry) == 0
    assert len(pair.gateways[1].node.registry) == 1
    waiting = asyncio.create_task(http.get(pair.url(0, path)))
    await until(lambda: pair.servers[0].listener_state.sockets == 0)
    said = json.dumps(["state_sync", {"key": "k", "value": 1}])
    assert (await http.post(pair.url(0, path), content=f"420{said}")).text == "ok"
    assert (await waiting).text.startswith("430[")
    assert (await http.post(pair.url(0, path), content="1")).text == "ok"
    await pair.settled()


async def test_body_in_many_pieces(pair: Pair, http: httpx.AsyncClient) -> None:
    """What comes with the head goes along, and what comes after it finds its way by itself."""
    path = await begin(pair, http, 1)
    login = f'40{{"token":"{pair.token()}"}}'.encode()
    host, port = pair.servers[0].public.addresses[0]
    reader, writer = await asyncio.open_connection(host, port)
    head = f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(login)}\r\n\r\n"
    for piece in (head.encode() + login[:5], login[5:9], login[9:]):
        writer.write(piece)
        await writer.drain()
        await until(lambda: pair.servers[0].listener_state.sockets == 0)
    assert (await asyncio.wait_for(reader.read(), PATIENCE)).endswith(b"\r\n\r\nok")
    writer.close()
    await writer.wait_closed()
    await pair.settled()


async def test_body_larger_than_a_socket_holds(
    pair: Pair, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A large body goes over in parts."""
    path = await begin(pair, http, 1)
    first = socket.send_fds

    def little(sock: socket.socket, buffers: list[bytes], fds: list[int]) -> int:
        return first(sock, [buffers[0][:100]], fds)

    monkeypatch.setattr(socket, "send_fds", little)
    body = f'40{{"token":"{pair.token()}","more":"{"x" * 3000}"}}'
    assert (await http.post(pair.url(0, path), content=body)).status_code == 200


async def test_upgrade_at_the_wrong_worker(pair: Pair, http: httpx.AsyncClient) -> None:
    """A session is taken over by a WebSocket that came to the other worker."""
    path = await begin(pair, http, 1)
    login = f'40{{"token":"{pair.token()}"}}'
    await http.post(pair.url(0, path), content=login)
    await http.get(pair.url(0, path))
    address = pair.url(0, path).replace("http:", "ws:").replace("polling", "websocket")
    async with connect(address) as ws:
        await ws.send("2probe")
        assert await asyncio.wait_for(ws.recv(), PATIENCE) == "3probe"
        await ws.send("5")
        await ws.send('421["state_sync",{"key":"k","value":1}]')
        assert str(await asyncio.wait_for(ws.recv(), PATIENCE)).startswith("431[")
        assert pair.servers[0].listener_state.sockets == 0
    await pair.settled()


@pytest.mark.parametrize("tag", ["7", "1x", "", "9" * 30, "0.1"])
async def test_session_of_nobody(pair: Pair, http: httpx.AsyncClient, tag: str) -> None:
    """An id that names no other worker is looked for here, and not found."""
    answer = await http.get(pair.url(0, f"{POLL}&sid={tag}.abc"))
    assert (answer.status_code, answer.json()["code"]) == (400, 1)


async def test_session_that_the_other_does_not_know(pair: Pair, http: httpx.AsyncClient) -> None:
    """The other worker says that there is no such session, and does not send it back."""
    answer = await http.get(pair.url(0, f"{POLL}&sid=1.abc"))
    assert (answer.status_code, answer.json()["code"]) == (400, 1)
    await pair.settled()


async def test_worker_that_is_gone(pair: Pair, http: httpx.AsyncClient) -> None:
    """Polls for a worker that is gone are answered here: there is no such session."""
    path = await begin(pair, http, 1)
    await pair.servers[1].stop()
    answer = await http.get(pair.url(0, path))
    assert (answer.status_code, answer.json()["code"]) == (400, 1)
    address = pair.url(0, path).replace("http:", "ws:").replace("polling", "websocket")
    with pytest.raises(InvalidStatus):
        await connect(address).__aenter__()


async def test_other_paths_stay(pair: Pair, http: httpx.AsyncClient) -> None:
    """Whatever is not for Engine.IO is served where it came, whatever its query says."""
    answer = await http.get(pair.url(0, "/health?sid=1.abc"))
    assert answer.json() == {"status": "ok"}


async def closed(client: socket.socket) -> None:
    """Wait until the other end of a connection is nowhere open."""
    client.setblocking(False)
    end = asyncio.get_running_loop().sock_recv(client, 1)
    assert await asyncio.wait_for(end, PATIENCE) == b""


class Alone:
    """The receiving half, with a clock that leaps."""

    def __init__(self, folder: Path, gateway: Gateway) -> None:
        self.clock = FakeClock()
        self.listener_state = ListenerState(gateway.front, self.clock)
        place, self._parent = place_in(folder, 0)
        self._place = place
        self.sessions = gateway.engine_io
        self.handover = Handover(place, self.sessions, self.listener_state, 2)
        self.handover.start()
        self.path = control_protocol.handover_socket(str(folder), 0)

    def sender(self) -> socket.socket:
        """Somebody who hands something over."""
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.settimeout(PATIENCE)
        sock.connect(self.path)
        return sock

    def close(self) -> None:
        """End."""
        self.handover.close()
        self.sessions.close()
        self.listener_state.clear()
        self._parent.close()
        self._place.close()


@pytest.fixture
async def alone(tmp_path: Path) -> AsyncIterator[Alone]:
    """A worker that takes connections over."""
    telemetry = make_telemetry(settings(), LoopClock(), io.StringIO())
    async with Gateway(settings(), telemetry=telemetry) as gateway:
        made = Alone(tmp_path, gateway)
        yield made
        made.close()
        await until(lambda: made.listener_state.sockets == 0)


def parcel(path: str = "/health") -> bytes:
    """What is handed over with a connection."""
    head = RequestHead(method="GET", path=path, headers={"host": ["localhost"]})
    return msgspec.msgpack.encode(HandoverMessage(head, b""))


async def test_connection_is_served_here(alone: Alone) -> None:
    """A connection that was handed over is answered like any other, and counted while it is here."""
    client, theirs = socket.socketpair()
    with client, theirs, alone.sender() as sender:
        socket.send_fds(sender, [parcel()[:10]], [theirs.fileno()])
        sender.sendall(parcel()[10:])
        sender.close()
        theirs.close()
        reader, writer = await asyncio.open_connection(sock=client)
        assert b"200 OK" in await asyncio.wait_for(reader.readline(), PATIENCE)
        writer.close()
        await writer.wait_closed()
    await until(lambda: alone.listener_state.sockets == 0)


@pytest.mark.parametrize("sent", [b"nonsense", b"", parcel()[:-3]])
async def test_handover_that_makes_no_sense(alone: Alone, sent: bytes) -> None:
    """What cannot be read is dropped, connection and all."""
    client, theirs = socket.socketpair()
    with client, alone.sender() as sender:
        with theirs:
            if sent:
                socket.send_fds(sender, [sent], [theirs.fileno()])
        sender.close()
        await closed(client)


async def test_handover_without_a_connection(alone: Alone) -> None:
    """Payload alone are nothing to serve."""
    with alone.sender() as sender:
        sender.sendall(parcel())
    await until(lambda: not alone.handover._transfers)
    assert alone.listener_state.sockets == 0


async def test_handover_without_end(alone: Alone, monkeypatch: pytest.MonkeyPatch) -> None:
    """More than a head and what came with it is not taken."""
    monkeypatch.setattr(handover, "LIMIT", 1000)
    assert LIMIT > 1000
    with alone.sender() as sender:
        sender.sendall(b"x" * 5000)
        await until(lambda: not alone.handover._transfers)


async def test_handover_that_stops_half_way(alone: Alone) -> None:
    """One that is not whole in time is dropped."""
    client, theirs = socket.socketpair()
    with client, theirs, alone.sender() as sender:
        socket.send_fds(sender, [b"half"], [theirs.fileno()])
        theirs.close()
        await until(lambda: bool(alone.handover._transfers))
        alone.clock.advance(handover.TIME)
        await until(lambda: not alone.handover._transfers)
        await closed(client)


async def test_end_with_handovers_under_way(alone: Alone) -> None:
    """Whatever is on its way when a worker ends is dropped."""
    with alone.sender() as sender:
        sender.sendall(b"half")
        await until(lambda: len(alone.handover._transfers) == 1)
        alone.handover.close()
        await until(lambda: not alone.handover._transfers)
    assert alone.listener_state.handoff is None


MESSAGE = msgspec.msgpack.decode(parcel(), type=HandoverMessage)


async def test_end_while_one_arrives(alone: Alone) -> None:
    """A connection that arrives in the very moment of the end is closed."""
    client, theirs = socket.socketpair()
    with client:
        serving = asyncio.ensure_future(alone.handover._serve(MESSAGE, theirs))
        await asyncio.sleep(0)
        serving.cancel()
        await asyncio.wait([serving])
        client.setblocking(False)
        while await asyncio.wait_for(asyncio.get_running_loop().sock_recv(client, 4096), PATIENCE):
            pass  # it may have been answered already


async def test_connection_that_cannot_be_served(alone: Alone) -> None:
    """What is handed over and is no connection is closed."""
    client, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with client, alone.sender() as sender:
        with theirs:
            socket.send_fds(sender, [parcel()], [theirs.fileno()])
        sender.close()
        await until(lambda: is_refused(client))
    assert not alone.handover._transfers


def is_refused(client: socket.socket) -> bool:
    """Whether the other end of a datagram socket is nowhere open."""
    try:
        client.send(b"x")
    except ConnectionError:
        return True
    return False


async def test_nobody_is_waiting(alone: Alone, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wake-up without data is none."""
    first, tries = socket.recv_fds, iter([True])

    def late(*given: Any) -> Any:
        if next(tries, False):
            raise BlockingIOError
        return first(*given)

    monkeypatch.setattr(socket, "recv_fds", late)
    client, theirs = socket.socketpair()
    with client, alone.sender() as sender:
        with theirs:
            socket.send_fds(sender, [parcel()], [theirs.fileno()])
        sender.close()
        reader, writer = await asyncio.open_connection(sock=client)
        assert b"200 OK" in await asyncio.wait_for(reader.readline(), PATIENCE)
        writer.close()
        await writer.wait_closed()


async def test_sending_waits_for_room(pair: Pair) -> None:
    """What does not fit is sent as soon as the other one reads."""
    given = pair.servers[0].listener_state.handoff
    assert isinstance(given, Handover)
    listener = listening(control_protocol.handover_socket(given._folder, 1))
    ours = socket.socket()
    early = bytes(range(256)) * 4096
    path, _, query = f"{POLL}&sid=1.abc".partition("?")
    head = RequestHead(method="GET", path=path, query=query)
    with ours:
        assert given.carry(head, early, ours.fileno())
    theirs, _ = await asyncio.get_running_loop().sock_accept(listener)
    listener.close()
    theirs.setblocking(False)
    got = bytearray()
    with theirs:
        while data := await asyncio.wait_for(
            asyncio.get_running_loop().sock_recv(theirs, 1 << 16), PATIENCE
        ):
            got += data
    assert msgspec.msgpack.decode(bytes(got), type=HandoverMessage).early == early
    assert not given._transfers


async def test_sending_to_one_who_left(pair: Pair) -> None:
    """Where the other one is gone, there is nothing more to send."""
    handoff = pair.servers[0].listener_state.handoff
    assert isinstance(handoff, Handover)
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    theirs.close()
    handoff._run(ours, asyncio.get_running_loop().sock_sendall(ours, b"rest"))
    await until(lambda: not handoff._transfers)
    assert ours.fileno() == -1
