"""Workspaces at the terminal: Socket.IO over a WebSocket, events as lines."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from portward.cli.connect import loop as module
from portward.cli.connect.options import ConnectOptions
from portward.cli.connect.screen import Screen
from portward.cli.connect.socketio import (
    TerminalSocketIo,
    open_socketio,
    typed,
    websocket_address,
)
from portward.cli.terminal import CommandRefused
from portward.client.transport import Payload, TransportClosed
from portward.protocols.socketio.server import Socket
from tests.cli.connect.peers import Mirror, talk
from tests.e2e.gateways import Place, own_listener

ROLES = """
[roles]
agent = ["dashboard.*", "approvals.decide"]
"""
ROOM = "workspace:w1:dashboard"
OPEN = '0{"sid":"x","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":100000}'


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    """A gateway that listens."""
    async with own_listener(ROLES) as place:
        yield place


async def scripted(
    *messages: Payload, token: str | None = None, rooms: tuple[str, ...] = ()
) -> Mirror:
    """What the client sent to a gateway that sends some messages, and then closes."""
    link = Mirror(*messages, dumb=True)
    link.queue.put_nowait(TransportClosed(1001, "going away"))
    with pytest.raises(CommandRefused, match=r"the connection is over: going away \(1001\)"):
        await talk(TerminalSocketIo(link, Screen(), token, rooms), stays=True)
    return link


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("ws://h:1/socket.io/", "ws://h:1/socket.io/?EIO=4&transport=websocket"),
        ("wss://h/x/socket.io/?a=b", "wss://h/x/socket.io/?a=b&EIO=4&transport=websocket"),
    ],
)
def test_address(url: str, expected: str) -> None:
    """The protocol and the transport are added to whatever else the address says."""
    assert websocket_address(url) == expected


@pytest.mark.parametrize(
    ("line", "event"),
    [
        ('join_room {"room": "x"}', ["join_room", {"room": "x"}]),
        ('  ["join_room", {"room": "x"}, 2] ', ["join_room", {"room": "x"}, 2]),
        ("ping", ["ping"]),
        ("count 3", ["count", 3]),
        ('say "hello you"', ["say", "hello you"]),
    ],
)
def test_typed_events(line: str, event: list[Any]) -> None:
    """As a name and JSON, or as the array that travels."""
    assert typed(line) == event


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("say hello", "type an event and JSON"),
        ("[1", "type an event and JSON"),
        ("[]", "begins with its name"),
        ("[1, 2]", "begins with its name"),
        ('[""]', "begins with its name"),
    ],
)
def test_what_is_no_event(line: str, why: str) -> None:
    """It is said how one is typed."""
    with pytest.raises(ValueError, match=why):
        typed(line)


async def talked(
    place: Place, token: str | None, *lines: str, rooms: tuple[str, ...] = ()
) -> TerminalSocketIo:
    """Connect, type some lines, see the answers and leave; without a token nothing is typed."""
    options = ConnectOptions(
        url=f"{place.base}/socket.io/", protocol="socketio", token=token, subscribe=rooms
    )
    made = await open_socketio(options, Screen())
    await talk(made, *lines, stays=token is None)
    return made


def member(place: Place) -> str:
    """A token of a member."""
    return place.gateway.token("ann", roles=["agent"], workspaceId="w1")


async def test_a_workspace(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """Rooms of the command line are joined; what is typed is answered, what happens is shown."""
    made = await talked(
        place,
        member(place),
        'dashboard_action {"action": "refresh", "payload": {"tile": 3}}',
        rooms=(ROOM,),
    )
    out, err = capsys.readouterr()
    assert err == ""
    assert set(out.splitlines()) == {
        "* connected",
        f'ack join_room {{"joined": "{ROOM}"}}',
        'ack dashboard_action {"ok": true}',
        'dashboard_update {"action": "refresh", "payload": {"tile": 3}, "userId": "ann"}',
    }
    assert not made.failed


async def test_refusals_are_told(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """A refused event and a line that is none are shown, and remembered for the exit code."""
    made = await talked(
        place, member(place), "nonsense 1 2", "unheard", rooms=("workspace:w2:dashboard",)
    )
    out, err = capsys.readouterr()
    assert 'ack join_room {"error": "ACCESS_DENIED"}' in out
    assert 'ack unheard {"error": "VALIDATION_ERROR"' in out
    assert err.startswith("! type an event and JSON")
    assert made.failed


async def test_strangers(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """Who is not admitted is shown why, and the connection is over."""
    with pytest.raises(CommandRefused, match="the connection is over: disconnected by the gateway"):
        await talked(place, None)
    assert 'error {"code": "AUTH_REQUIRED"}' in capsys.readouterr().out


async def test_bytes_and_acknowledgements(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """Bytes are shown by their number, and what waits for an acknowledgement gets one."""
    answers: list[tuple[Any, ...]] = []

    @place.gateway.workspaces.event("blob")
    async def blob(socket: Socket) -> dict[str, bytes]:
        answers.append(await socket.call("ready?", b"\x00\x01", timeout=30.0))
        return {"data": b"\xff"}

    await talked(place, member(place), "blob")
    out = capsys.readouterr().out
    assert 'ready? "<2 bytes>"' in out
    assert 'ack blob {"data": "<1 bytes>"}' in out
    assert answers == [()]


async def test_the_opening_and_the_pings() -> None:
    """The token goes into the CONNECT, rooms are joined once we are in, pings are answered."""
    script = await scripted(OPEN, "2", '40{"sid":"s"}', token="t", rooms=("a", "b"))
    assert script.sent == [
        '40{"token": "t"}',
        "3",
        '420["join_room", {"room": "a"}]',
        '421["join_room", {"room": "b"}]',
    ]
    assert (await scripted(OPEN)).sent == ["40"]


async def test_what_needs_no_answer(capsys: pytest.CaptureFixture[str]) -> None:
    """Noops, and acknowledgements nobody waits for, are nothing to show."""
    script = await scripted("6", "435[1]", '42["a",1,null]', '427["b"]')
    assert capsys.readouterr().out == "a 1 null\nb\n"
    assert script.sent == ["437[]"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no Socket.IO"),
        ("9", "no Socket.IO"),
        ("4", "no Socket.IO"),
        ("49", "no Socket.IO"),
        ('42{"a":1}', "no Socket.IO"),
        ('42["a",{"x":1,"x":2}]', "no Socket.IO"),
        ("44", "no Socket.IO"),
        ("bAA==", "no Socket.IO"),
        (b"\x00", "no Socket.IO"),
        ("b*", "no Socket.IO"),
        ("1", "closed by the gateway"),
        ("41", "disconnected by the gateway"),
        (
            '44{"message":"Invalid token","data":{"code":"INVALID_TOKEN"}}',
            r"not admitted: Invalid token \(INV",
        ),
        ('44{"message":"no"}', "not admitted: no$"),
        ('44/x,{"message":"no","data":1}', "not admitted: no$"),
    ],
)
async def test_the_end(text: Payload, why: str) -> None:
    """What ends it is told in one line, whether it was meant or made no sense."""
    with pytest.raises(CommandRefused, match=why):
        await talk(TerminalSocketIo(Mirror(text, dumb=True), Screen(), None, ()), stays=True)


async def test_attachments_in_parts(capsys: pytest.CaptureFixture[str]) -> None:
    """An event is shown once its last part is there."""
    first = '452-["a",{"_placeholder":true,"num":1},{"_placeholder":true,"num":0}]'
    await scripted(first, b"12", b"345")
    assert capsys.readouterr().out == 'a "<3 bytes>" "<2 bytes>"\n'


async def test_no_answer_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    """An acknowledgement that does not come delays the end only for a while."""
    monkeypatch.setattr(module, "_LAST_ANSWERS", 0.01)
    link = Mirror(OPEN, '40{"sid":"s"}', dumb=True)
    await talk(TerminalSocketIo(link, Screen(), None, ()), "one", "")
    assert link.sent == ["40", '420["one"]', "41"]
