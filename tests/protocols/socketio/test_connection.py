"""The Socket.IO side of a connection: parts of packets, who is in which namespace, the last words."""

import asyncio
import json
import re
from collections.abc import AsyncIterator

import pytest

from portward.model.disconnects import Disconnect
from portward.model.limits import MESSAGE_TIME
from portward.model.payload import MultipartPayload
from portward.protocols.socketio.connection import SocketIoConnection, _chain
from portward.protocols.socketio.server import Socket
from portward.telemetry.events import Event
from portward.testing import MemoryClient
from tests.running_gateway import RunningGateway, run_gateway, session_of, settle
from tests.socketio_peer import SocketPeer, member, reach, until, workspaces_settings

PLACE = '{"_placeholder":true,"num":%d}'
BROKEN = (1002, "")


@pytest.fixture
async def running() -> AsyncIterator[RunningGateway]:
    """A gateway with a namespace `/x`, where `echo` answers with what it is told."""
    async with run_gateway(workspaces_settings()) as running:
        space = running.gateway.workspaces.namespace("/x")

        @space.on("echo")
        async def echo(_: Socket, *arguments: object) -> tuple[object, ...]:
            return arguments

        running.gateway.workspaces.namespace().on("echo", echo)
        yield running


@pytest.fixture
async def ann(running: RunningGateway) -> SocketPeer:
    """Somebody in both namespaces."""
    ann = await member(running, "ann")
    await ann.enter(nsp="/x")
    ann.forget()
    return ann


def talk_of(client: MemoryClient) -> SocketIoConnection:
    """The conversation of a client."""
    talk = session_of(client).protocol
    assert isinstance(talk, SocketIoConnection)
    return talk


# -- parts


@pytest.mark.parametrize("count", [1, 2, 10])
async def test_attachments_both_ways(ann: SocketPeer, count: int) -> None:
    """Bytes of an event arrive in their places, and go back in theirs, in order."""
    places = ",".join(PLACE % number for number in range(count))
    blobs = [bytes([number]) * number for number in range(count)]
    await ann.say(f'5{count}-/x,3["echo",{places}]', *blobs)
    assert ann.packets == [f"6{count}-/x,3[{places}]"]
    assert ann.blobs == blobs


async def test_order_of_placeholders(ann: SocketPeer) -> None:
    """A placeholder says which attachment it stands for."""
    await ann.say(f'52-["echo",{PLACE % 1},{{"a":[{PLACE % 0}]}}]', b"zero", b"one")
    assert ann.packets == []
    await ann.say(f'52-0["echo",{PLACE % 1},{{"a":[{PLACE % 0}]}}]', b"zero", b"one")
    assert ann.packets == [f'62-0[{PLACE % 0},{{"a":[{PLACE % 1}]}}]']
    assert ann.blobs == [b"one", b"zero"]


async def test_bytes_where_none_are_taken(ann: SocketPeer) -> None:
    """Bytes in a shared value are no JSON: refused, and the connection lives."""
    await ann.say(f'51-0["state_sync",{{"key":"k","value":{PLACE % 0}}}]', b"x")
    (answer,) = ann.forget()
    assert json.loads(answer[2:])[0]["error"] == "VALIDATION_ERROR"
    assert await ann.call("echo", 1) == 1


async def test_refused_json_with_attachments(ann: SocketPeer) -> None:
    """What is not taken still has its attachments, which are read and forgotten."""
    await ann.say(f'51-7["echo",{{"a":1,"a":2}},{PLACE % 0}]', b"x")
    (answer,) = ann.forget()
    assert json.loads(answer[2:])[0]["error"] == "VALIDATION_ERROR"
    assert await ann.call("echo", 1) == 1


@pytest.mark.p1
@pytest.mark.parametrize(
    ("text", "blobs"),
    [
        (f'51-["echo",{PLACE % 1}]', [b"x"]),
        ('51-["echo",{"_placeholder":true,"num":"0"}]', [b"x"]),
        ('51-["echo",{"_placeholder":true}]', [b"x"]),
        (f'52-["echo",{PLACE % 0},{PLACE % 0}]', [b"x", b"y"]),
        ('51-["echo",1]', [b"x"]),
        (f'511-["echo",{PLACE % 0}]', []),
        (f'51-["echo",{PLACE % 0}]', [b"x", b"y"]),
        ('2["echo"]', [b"x"]),
        (f'51-["echo",{PLACE % 0}]', [b"x" * 100_001]),
        (f'52-["echo",{PLACE % 0},{PLACE % 1}]', [b"x" * 60_000, b"x" * 60_000]),
    ],
)
async def test_attachments_that_do_not_fit(
    running: RunningGateway, ann: SocketPeer, text: str, blobs: list[bytes]
) -> None:
    """Wrong placeholders, too many attachments or bytes, and bytes of nothing break the protocol."""
    await ann.say(text, *blobs)
    assert ann.closed == BROKEN
    assert running.events(Event.INTERNAL_ERROR) == 0
    assert running.events(Event.PROTO_ERROR) == 1


async def test_text_in_place_of_an_attachment(ann: SocketPeer) -> None:
    """Text while bytes are awaited breaks the protocol."""
    await ann.say(f'51-["echo",{PLACE % 0}]')
    await ann.say('2["echo"]')
    assert ann.closed == BROKEN


@pytest.mark.p1
@pytest.mark.parametrize("some", [0, 1])
async def test_attachments_that_never_come(
    running: RunningGateway, ann: SocketPeer, some: int
) -> None:
    """A packet has so long to be whole; then the connection ends."""
    await ann.say(f'52-["echo",{PLACE % 0},{PLACE % 1}]', *[b"x"] * some)
    await running.advance(MESSAGE_TIME - 1)
    assert ann.alive
    await running.advance(2)
    assert ann.closed == (1008, "policy violation")
    assert running.closes("flooding", "workspaces") == 1


async def test_attachments_in_time(running: RunningGateway, ann: SocketPeer) -> None:
    """One whose attachments came in time is served, and has no deadline any more."""
    await ann.say(f'52-1["echo",{PLACE % 0},{PLACE % 1}]', b"x")
    await running.advance(MESSAGE_TIME - 1)
    ann.send_bytes(b"y", binary=True)
    await settle()
    await running.advance(MESSAGE_TIME + 1)
    assert ann.alive
    assert ann.blobs == [b"x", b"y"]


async def test_time_in_which_nothing_is_read_does_not_count(
    running: RunningGateway, ann: SocketPeer
) -> None:
    """While reading is paused no attachment can come, and that is not the client's fault."""
    hold = running.gateway.workspaces.namespace("/x")
    release = asyncio.Event()

    @hold.on("hold")
    async def wait(_: Socket) -> None:
        await release.wait()

    await ann.emit("hold", nsp="/x")
    for _ in range(16):
        ann.put('2["echo"]')
    ann.put(f'51-5["echo",{PLACE % 0}]')
    assert ann.paused
    await running.advance(MESSAGE_TIME + 1)
    assert ann.alive
    release.set()
    await until(lambda: not ann.paused)
    await running.advance(1)
    assert ann.alive
    ann.send_bytes(b"x", binary=True)
    await until(lambda: ann.blobs)
    await running.advance(MESSAGE_TIME + 1)
    assert ann.alive


# -- who is where


@pytest.mark.p1
@pytest.mark.parametrize(
    "packets",
    [
        ["2[1]"], ["2[null]"], ["2{}"], ["x"], [""], ["4{}"], ['2["disconnect"]'], ["0[]"], ['0/x,"x"'],
        ['2/y,["echo"]'], ["1/y,"], ["1", '2["echo"]'], ["1/x,", "1/x,"], ["1", "1"],
    ],
)  # fmt: skip
async def test_against_the_protocol(
    running: RunningGateway, ann: SocketPeer, packets: list[str]
) -> None:
    """What the protocol has no place for ends the connection, quietly for everyone else."""
    bob = await member(running, "bob")
    for packet in packets:
        await ann.say(packet)
    assert ann.closed == BROKEN
    assert running.events(Event.INTERNAL_ERROR) == 0
    assert await bob.call("echo", 1) == 1


@pytest.mark.p0
@pytest.mark.parametrize(
    "packet",
    ['2["echo"]', '20["join_room",{"room":"workspace:w1:dashboard"}]', "1", '2/x,["echo"]', "3"],
)
async def test_before_anybody_is_anywhere(running: RunningGateway, packet: str) -> None:
    """Before a CONNECT there is nothing to say."""
    eve = await reach(running.gateway)
    await eve.say(packet)
    assert eve.closed == BROKEN
    assert eve.packets == []


async def test_nobody_is_given_room(running: RunningGateway) -> None:
    """Before a CONNECT no packet may be large, its attachments included."""
    eve = await reach(running.gateway)
    eve.put(f'52-["echo",{PLACE % 0},{PLACE % 1}]', b"x" * 5000)
    assert eve.alive
    eve.send_bytes(b"x" * 5000, binary=True)
    await settle()
    assert eve.closed == BROKEN


async def test_acknowledgements_of_nothing(ann: SocketPeer) -> None:
    """An acknowledgement that nobody waits for is forgotten."""
    for packet in ("35[1]", "3/x,5[1]"):
        await ann.say(packet)
    assert await ann.call("echo", 1) == 1
    assert talk_of(ann).incomplete_since == 0.0


async def test_acknowledgements_where_one_is_not(ann: SocketPeer) -> None:
    """An acknowledgement in a namespace one has not entered is no packet."""
    await ann.say("3/y,5[1]")
    assert ann.closed == (1002, "")


@pytest.mark.p0
@pytest.mark.parametrize("text", ['["echo",{"a":1,"a":2}]', '["echo",NaN]', '["echo","\\ud800"]'])
async def test_json_that_is_not_taken(ann: SocketPeer, text: str) -> None:
    """Strange JSON is answered, with an id or without, and the connection lives; not forever."""
    await ann.say(f"2/x,7{text}")
    (answer,) = ann.forget()
    assert json.loads(answer.removeprefix("3/x,7"))[0]["error"] == "VALIDATION_ERROR"
    await ann.say(f"2/x,{text}")
    assert ann.events("error", "/x") == [{"code": "VALIDATION_ERROR"}]
    for _ in range(17):
        await ann.say(f"2/x,{text}")
    assert ann.alive
    await ann.say(f"2/x,{text}")
    assert ann.closed == (3501, "bad request")
    assert ann.packets[-2:] == ['2/x,["error",{"code":"TOO_MANY_FAULTS"}]', "1/x,"]


async def test_what_was_on_its_way(running: RunningGateway, ann: SocketPeer) -> None:
    """Events that were sent before one was sent out of a namespace come to nothing."""
    seen: list[str] = []
    space = running.gateway.workspaces.namespace("/x")

    @space.on("out")
    async def out(socket: Socket, name: str) -> None:
        seen.append(name)
        socket.disconnect()

    for number in range(3):
        ann.put(f'2/x,{number}["out","{number}"]')
    ann.put("1/x,")
    await until(lambda: "1/x," in ann.packets)
    await settle()
    assert seen == ["0"]
    assert ann.alive
    assert await ann.call("echo", 1) == 1


async def test_coming_back_after_being_sent_out(running: RunningGateway, ann: SocketPeer) -> None:
    """Who was sent out may enter again, and say more at once."""
    (socket,) = running.gateway.workspaces.sockets("/x")
    socket.disconnect()
    socket.disconnect()
    assert ann.forget() == ["1/x,"]
    assert running.gateway.workspaces.sockets("/x") == []
    ann.put('2/x,["echo"]')
    ann.put("0/x,")
    ann.put('2/x,4["echo",2]')
    await until(lambda: "3/x,4[2]" in ann.packets)
    assert len(running.gateway.workspaces.sockets("/x")) == 1


async def test_sending_out_where_nobody_is(ann: SocketPeer) -> None:
    """To send somebody out of where it is not does nothing."""
    talk_of(ann).remove("/y")
    assert ann.packets == []


# -- the last words


@pytest.mark.parametrize(
    ("ending", "root", "there"),
    [
        (Disconnect.EXPIRED, ['2["error",{"code":"EXPIRED"}]'], ['2/x,["error",{"code":"EXPIRED"}]']),
        (
            Disconnect.REVOKED,
            ['2["error",{"code":"REVOKED"}]', "1"],
            ['2/x,["error",{"code":"REVOKED"}]', "1/x,"],
        ),
        (Disconnect.SHUTDOWN, [], []),
        (Disconnect.QUOTA, ['2["error",{"code":"QUOTA"}]', "1"], ['2/x,["error",{"code":"QUOTA"}]', "1/x,"]),
        (Disconnect.NORMAL, [], []),
    ],
)  # fmt: skip
async def test_last_words(
    ann: SocketPeer, ending: Disconnect, root: list[str], there: list[str]
) -> None:
    """In each namespace one is told why, and whether one is to come back."""
    session_of(ann).end(ending, "test")
    await settle()
    assert [re.sub(r',"retryMs":\d+', "", each) for each in ann.packets] == [*root, *there]
    assert ("retryMs" in "".join(ann.packets)) == (ending is Disconnect.EXPIRED)


def test_words_in_a_row() -> None:
    """A parcel keeps its attachments when something follows it."""
    chained = _chain([b"a", MultipartPayload(b"b", (b"c",)), b"d"])
    assert chained == MultipartPayload(b"a", (), MultipartPayload(b"b", (b"c",), b"d"))
    assert _chain([]) is None


async def test_drain_waits_for_handlers(running: RunningGateway, ann: SocketPeer) -> None:
    """A handler at work when the node goes may finish, and its answer arrives."""
    release = asyncio.Event()

    @running.gateway.workspaces.event("work")
    async def work(_: Socket) -> str:
        await release.wait()
        return "done"

    ann.put('29["work"]')
    draining = asyncio.ensure_future(running.gateway.drain(5.0))
    await settle()
    await running.advance(4)
    assert ann.alive
    release.set()
    await until(lambda: '39["done"]' in ann.packets)
    await running.advance(2)
    await draining
    assert ann.closed == (3001, "shutdown")


async def test_drain(running: RunningGateway, ann: SocketPeer) -> None:
    """When the node goes, each namespace is told when to come back."""
    idle = await reach(running.gateway)
    draining = asyncio.ensure_future(running.gateway.drain(5.0))
    await settle()
    (told,), (there,) = ann.events("shutdown"), ann.events("shutdown", "/x")
    assert told == there
    assert told["retryMs"] > 0
    await running.advance(6)
    await draining
    assert ann.closed == (3001, "shutdown")
    assert "1" not in ann.packets
    assert idle.packets == []
