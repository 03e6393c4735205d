"""One client in one namespace, as the application holds it: emit, call, rooms, sending out."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from portward.model.channel import Channel
from portward.model.errors import CommandError, ErrorKind
from portward.protocols.socketio import server as socketio_server
from portward.protocols.socketio.packets import RESERVED
from portward.protocols.socketio.server import EventError, NamespaceHandlers, Socket
from portward.telemetry.events import Event
from tests.running_gateway import RunningGateway, run_gateway, session_of, settle
from tests.socketio_peer import SocketPeer, member, rooms_of, until, workspaces_settings

LONG = 1000.0


@pytest.fixture
async def running() -> AsyncIterator[RunningGateway]:
    """A gateway with a namespace `/x`."""
    async with run_gateway(workspaces_settings()) as running:
        running.gateway.workspaces.namespace("/x")
        yield running


@pytest.fixture
async def ann(running: RunningGateway) -> SocketPeer:
    """Somebody in the root and in `/x`, who has heard nothing yet."""
    ann = await member(running, "ann")
    await ann.enter(nsp="/x")
    ann.forget()
    return ann


def socket_of(running: RunningGateway, nsp: str = "/x") -> Socket:
    """The one client in a namespace."""
    (socket,) = running.gateway.workspaces.sockets(nsp)
    return socket


# -- what it is


async def test_about(running: RunningGateway, ann: SocketPeer) -> None:
    """A socket says who is there and where, and its representation gives nothing away."""
    socket, root = socket_of(running), socket_of(running, "/")
    assert (socket.nsp, socket.user, socket.workspace, socket.open) == ("/x", "ann", "w1", True)
    assert socket.sid != root.sid
    assert socket.client == root.client == session_of(ann).id
    assert socket.connection == root.connection
    assert socket.sid not in repr(socket)
    session_of(ann).identity = None
    assert socket.workspace is None


def test_handlers() -> None:
    """The last handler set for an event counts; names nobody can emit are refused."""
    handlers = NamespaceHandlers()

    def handle(_: Socket) -> None:
        """Do nothing."""

    for name in ("connect", "disconnect", "e"):
        handlers.set(name, handle)
    assert handlers.connect is handlers.disconnect is handlers.events["e"].handler is handle
    for name in ("", *RESERVED - {"connect", "disconnect"}):
        with pytest.raises(ValueError, match="no name"):
            handlers.set(name, handle)


@pytest.mark.parametrize(
    ("details", "answer"),
    [(None, {"error": "C"}), (0, {"error": "C", "details": 0})],
)
def test_refusals_of_handlers(details: Any, answer: dict[str, Any]) -> None:
    """A refusal has a code, and details when there are some."""
    assert EventError("C", details).answer == answer


# -- emit


@pytest.mark.parametrize(
    ("arguments", "told", "blobs"),
    [
        ((), '2/x,["e"]', []),
        ((1, {"a": None}), '2/x,["e",1,{"a":null}]', []),
        (
            ({"a": b"1"}, b"2"),
            '52-/x,["e",{"a":{"_placeholder":true,"num":0}},{"_placeholder":true,"num":1}]',
            [b"1", b"2"],
        ),
    ],
)
async def test_emit(
    running: RunningGateway,
    ann: SocketPeer,
    arguments: tuple[Any, ...],
    told: str,
    blobs: list[bytes],
) -> None:
    """Any number of arguments, and bytes anywhere in them."""
    await socket_of(running).emit("e", *arguments)
    assert ann.packets == [told]
    assert ann.blobs == blobs


async def test_emit_from_the_root(running: RunningGateway, ann: SocketPeer) -> None:
    """In the root, too."""
    await socket_of(running, "/").emit("e", 1)
    assert ann.packets == ['2["e",1]']


@pytest.mark.parametrize(
    ("arguments", "error"),
    [((object(),), TypeError), (([b""] * 11,), ValueError), (("\ud800",), ValueError)],
)
async def test_what_cannot_be_emitted(
    running: RunningGateway, ann: SocketPeer, arguments: tuple[Any, ...], error: type[Exception]
) -> None:
    """What JSON does not know, and too many attachments, are the caller's mistake; nothing is sent."""
    socket = socket_of(running)
    with pytest.raises(error):
        await socket.emit("e", *arguments)
    with pytest.raises(error):
        await socket.call("e", *arguments)
    assert ann.packets == []
    assert socket._waiting == {}


@pytest.mark.parametrize("name", sorted(RESERVED))
async def test_reserved_names(running: RunningGateway, ann: SocketPeer, name: str) -> None:
    """Events that clients raise by themselves are not sent."""
    socket = socket_of(running)
    with pytest.raises(ValueError, match="reserved"):
        await socket.emit(name)
    with pytest.raises(ValueError, match="reserved"):
        await socket.call(name)
    assert ann.packets == []


async def test_volatile(running: RunningGateway, ann: SocketPeer) -> None:
    """A volatile event is left out while the client has not read what came before."""
    socket = socket_of(running)
    await socket.emit("e", 1, volatile=True)
    ann.reading = False
    await socket.emit("e", 2)
    await socket.emit("e", 3, volatile=True)
    ann.read()
    await socket.emit("e", 4, volatile=True)
    assert ann.events("e", "/x") == [1, 2, 4]


@pytest.mark.parametrize("way", ["leaves", "closes", "sent out"])
async def test_nobody_is_there_any_more(running: RunningGateway, ann: SocketPeer, way: str) -> None:
    """To who has gone nothing is said, and the caller is told."""
    socket = socket_of(running)
    if way == "leaves":
        await ann.say("1/x,")
    elif way == "closes":
        ann.leave()
    else:
        socket.disconnect()
    assert not socket.open
    ann.forget()
    for attempt in (socket.emit("e"), socket.call("e")):
        with pytest.raises(RuntimeError, match="gone"):
            await attempt
    with pytest.raises(CommandError) as caught:
        await socket.listen(Channel.parse("workspaces:/x,r"))
    assert caught.value.kind is ErrorKind.NOT_AUTHENTICATED
    socket.disconnect()
    assert ann.packets == []


# -- call


async def test_call(running: RunningGateway, ann: SocketPeer) -> None:
    """A call returns what the client acknowledges, whatever the order of the answers."""
    socket = socket_of(running)
    calls = [asyncio.ensure_future(socket.call("ask", n, timeout=LONG)) for n in range(3)]
    await settle()
    assert ann.packets == ['2/x,0["ask",0]', '2/x,1["ask",1]', '2/x,2["ask",2]']
    await ann.say("3/x,2[]")
    await ann.say("3/x,0[1,2]")
    await ann.say('61-/x,1[{"_placeholder":true,"num":0}]', b"x")
    assert await asyncio.gather(*calls) == [(1, 2), (b"x",), ()]
    assert socket._waiting == {}


async def test_the_first_acknowledgement_counts(running: RunningGateway, ann: SocketPeer) -> None:
    """A second one, and one from another namespace, change nothing."""
    calling = asyncio.ensure_future(socket_of(running).call("ask", timeout=LONG))
    await settle()
    ann.put("30[0]")
    ann.put("3/x,0[1]")
    ann.put("3/x,0[2]")
    assert await calling == (1,)
    assert ann.alive


async def test_a_call_within_a_handler(running: RunningGateway, ann: SocketPeer) -> None:
    """Acknowledgements overtake what waits for the handler that waits for them."""
    space = running.gateway.workspaces.namespace("/x")

    @space.on("work")
    async def work(socket: Socket, number: int) -> list[Any]:
        (answer,) = await socket.call("ask", number, timeout=LONG)
        return [number, answer]

    for number in range(3):
        ann.put(f'2/x,{number}["work",{number}]')
    for number in range(3):
        await until(lambda: ann.packets[-1:] == [f'2/x,{number}["ask",{number}]'])  # noqa: B023 - used at once
        await ann.say(f"3/x,{number}[{number * 10}]")
        assert f"3/x,{number}[[{number},{number * 10}]]" in ann.packets


async def test_a_call_while_connecting(running: RunningGateway) -> None:
    """A handler of `connect` may ask the newcomer something."""
    space = running.gateway.workspaces.namespace("/x")
    heard: list[Any] = []

    @space.on("connect")
    async def welcome(socket: Socket, _: dict[str, Any]) -> None:
        heard.append(await socket.call("who", timeout=LONG))

    ann = await member(running, "ann")
    await ann.enter(nsp="/x")
    assert ann.packets[-1] == '2/x,0["who"]'
    await ann.say('3/x,0["me"]')
    assert heard == [("me",)]


async def test_no_answer(running: RunningGateway, ann: SocketPeer) -> None:
    """Who does not answer in time is not waited for, and a late answer is forgotten."""
    socket = socket_of(running)
    with pytest.raises(TimeoutError):
        await socket.call("ask", timeout=0.001)
    assert socket._waiting == {}
    await ann.say("3/x,0[1]")
    assert ann.alive


async def test_no_answer_within_a_handler(running: RunningGateway, ann: SocketPeer) -> None:
    """A handler that waits in vain may go on."""
    space = running.gateway.workspaces.namespace("/x")

    @space.on("work")
    async def work(socket: Socket) -> str:
        try:
            await socket.call("ask", timeout=0.001)
        except TimeoutError:
            return "late"
        return "in time"

    ann.put('2/x,7["work"]')
    for _ in range(3000):
        if '3/x,7["late"]' in ann.packets:
            break
        await asyncio.sleep(0.01)
    assert '3/x,7["late"]' in ann.packets


@pytest.mark.parametrize("way", ["leaves", "closes", "vanishes", "sent out", "revoked"])
async def test_the_client_leaves_meanwhile(
    running: RunningGateway, ann: SocketPeer, way: str
) -> None:
    """Who waits for one that goes is told at once."""
    socket = socket_of(running)
    calling = asyncio.ensure_future(socket.call("ask", timeout=LONG))
    await settle()
    match way:
        case "leaves":
            await ann.say("1/x,")
        case "closes":
            ann.leave()
        case "vanishes":
            ann.leave(None)
        case "sent out":
            socket.disconnect()
        case _:
            await running.gateway.revoke(user="ann")
    with pytest.raises(ConnectionError):
        await calling
    assert socket._waiting == {}
    assert running.events(Event.INTERNAL_ERROR) == 0


async def test_a_handler_that_waits_ends_with_its_client(
    running: RunningGateway, ann: SocketPeer
) -> None:
    """A handler at a call is told when its client goes, and nothing is left of either."""
    space = running.gateway.workspaces.namespace("/x")
    ended: list[str] = []

    @space.on("work")
    async def work(socket: Socket) -> None:
        try:
            await socket.call("ask", timeout=LONG)
        except BaseException as error:
            ended.append(type(error).__name__)
            raise

    await ann.emit("work", nsp="/x")
    ann.leave(None)
    await until(lambda: ended)
    await settle()
    assert ended == ["ConnectionResetError"]
    assert running.inside() == (0, 0, 0)


async def test_too_many_calls(
    running: RunningGateway, ann: SocketPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No client that never answers makes us wait for ever more."""
    monkeypatch.setattr(socketio_server, "MAX_WAITING", 3)
    socket = socket_of(running)
    calls = [asyncio.ensure_future(socket.call("ask", timeout=LONG)) for _ in range(3)]
    await settle()
    with pytest.raises(RuntimeError, match="too many"):
        await socket.call("ask")
    ann.leave()
    assert {type(each) for each in await asyncio.gather(*calls, return_exceptions=True)} == {
        ConnectionResetError
    }


# -- rooms


async def test_rooms(running: RunningGateway, ann: SocketPeer) -> None:
    """A client hears a room from when it is put there until it is taken out; twice is once."""
    space, socket = running.gateway.workspaces.namespace("/x"), socket_of(running)
    await space.join(socket, "r")
    await space.join(socket, "r")
    assert rooms_of(ann) == ["workspaces:/x", "workspaces:/x,r"]
    await space.emit("e", 1, room="r")
    await settle()
    space.leave(socket, "r")
    space.leave(socket, "r")
    await space.emit("e", 2, room="r")
    await settle()
    assert ann.packets == ['2/x,["e",1]']


async def test_a_room_of_a_client_that_came_back(running: RunningGateway, ann: SocketPeer) -> None:
    """One that was there before does not take its successor out of a room."""
    space, before = running.gateway.workspaces.namespace("/x"), socket_of(running)
    await space.join(before, "r")
    before.disconnect()
    assert rooms_of(ann) == []
    await ann.enter(nsp="/x")
    await space.join(socket_of(running), "r")
    space.leave(before, "r")
    assert rooms_of(ann) == ["workspaces:/x", "workspaces:/x,r"]


async def test_too_many_rooms(running: RunningGateway, ann: SocketPeer) -> None:
    """Rooms count as subscriptions, of which a connection has so many."""
    space, socket = running.gateway.workspaces.namespace("/x"), socket_of(running)
    for number in range(127):
        await space.join(socket, f"r{number}")
    with pytest.raises(CommandError) as caught:
        await space.join(socket, "more")
    assert caught.value.kind is ErrorKind.LIMIT_EXCEEDED
    assert len(rooms_of(ann)) == 128
