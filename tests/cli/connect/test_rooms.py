from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from portward.app.gateway import Gateway
from portward.cli.connect import loop as loop_module
from portward.cli.connect import resume_state as state_module
from portward.cli.connect.resume_state import ResumeFile
from portward.cli.connect.rooms import HELP, TerminalRooms
from portward.cli.connect.screen import Screen
from portward.cli.state import state_folder
from portward.client import ClientError, ConnectionLost, Ended, RequestRefused
from portward.testing import memory_gateway
from tests.cli.connect.peers import rooms_client, talk, terminal
from tests.client.peers import Cable

Shown = pytest.CaptureFixture[str]


@pytest.fixture
async def cable() -> AsyncIterator[Cable]:
    """The way to a gateway without sockets."""
    async with memory_gateway() as running:
        yield Cable(running)


async def talked(cable: Cable, *lines: str, **options: Any) -> bool:
    """Type some lines in the lobby and leave; whether anything was refused."""
    state = ResumeFile("ws://memory/rooms", "ann", "")
    client = rooms_client(cable, state, **options)
    rooms = TerminalRooms(client, Screen(), state, ("lobby",))
    async with client:
        await talk(rooms, *lines)
    return rooms.failed


async def test_joins_talks_and_leaves(cable: Cable, capsys: Shown) -> None:
    """A user enters a room, sends a message, lists users and history, and leaves."""
    assert not await talked(cable, "hello", "/who", "/history", "/history 1", "", "//a", "/quit")
    shown = capsys.readouterr().out
    assert "joined lobby: ann" in shown
    assert shown.count("lobby ann: hello") == 3
    assert "lobby ann: /a" in shown
    assert "in lobby: ann" in shown
    assert shown.endswith("* left lobby\n")


async def test_rooms(cable: Cable, capsys: Shown) -> None:
    """Text goes to the room entered last; leaving it goes back to another."""
    async with terminal(cable, capsys) as ann:
        await ann.type("/join one", "/join two", "to two", "/join one", "to one")
        await ann.until("one ann: to one")
        await ann.type("/leave two")
        await ann.until("left two")
        assert ann.rooms.current == "one"
        await ann.type("/join two")
        await ann.until("joined two")
        await ann.type("/leave")
        await ann.until("left two")
        await ann.type("/who")
        shown = await ann.until("in one: ann")
        assert "two ann: to two" in shown
        assert "! " not in shown


@pytest.mark.parametrize("line", ["hello", "/who", "/history", "/leave"])
async def test_no_room(cable: Cable, capsys: Shown, line: str) -> None:
    """Without a room there is nowhere to speak, and that is said."""
    async with terminal(cable, capsys) as ann:
        await ann.type(line)
        assert "! there is no current room" in ann.look()
        assert ann.rooms.failed


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("/", "there is no command /;"),
        ("/foo bar", "there is no command /foo;"),
        ("/join", "/join needs something"),
        ("/raw  ", "/raw needs something"),
        ("/raw {", "not JSON"),
        ("/history many", "a number from 1 to 100"),
        ("/history 0", "a number from 1 to 100"),
        ("/history 101", "a number from 1 to 100"),
    ],
)
async def test_mistakes(cable: Cable, capsys: Shown, line: str, text: str) -> None:
    """What cannot be done as typed is said, and nothing is sent."""
    async with terminal(cable, capsys, "ann", "lobby") as ann:
        await ann.type(line)
        shown = ann.look()
        assert "! " in shown
        assert text in shown
        assert ann.rooms.failed


async def test_raw_and_help(cable: Cable, capsys: Shown) -> None:
    """Anything can be sent, and every command is explained."""
    async with terminal(cable, capsys) as ann:
        await ann.type('/raw {"type":"heartbeat","data":{}}', "/raw []", "/help", "/quit", "/never")
        shown = await ann.until("Invalid message structure")
        assert "heartbeat_response" in shown
        assert all(command in shown for command, _ in HELP)
        assert "/never" not in shown


async def test_refusals(cable: Cable, capsys: Shown) -> None:
    """What the gateway refuses is shown with its code."""
    async with terminal(cable, capsys, "ann", "lobby", roles=()) as ann:
        assert "! not done: join lobby: Insufficient permissions (permission_denied)" in ann.look()
        await ann.type("/join hall")
        assert ann.rooms.current is None
        assert ann.rooms.failed


async def test_requests_refused_in_a_room(
    cable: Cable, capsys: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each request that is refused leaves everything else as it was."""
    async with terminal(cable, capsys, "ann", "lobby") as ann:

        async def refuse(*_: object) -> None:
            raise RequestRefused("permission_denied", "No")

        for name in ("say", "presence", "history", "leave"):
            monkeypatch.setattr(ann.client, name, refuse)
        await ann.type("hello", "/who", "/history", "/leave")
        shown = ann.look()
        whats = ("say", "who", "history", "leave lobby")
        assert [f"! not done: {what}: No" in shown for what in whats] == [True] * 4
        assert ann.rooms.current == "lobby"


async def test_patience(cable: Cable, capsys: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a limit refuses is tried again when the gateway says, a few times."""
    async with terminal(cable, capsys, "ann", "lobby") as ann:
        say, refusals = ann.client.say, [0.0, 0.0]

        async def limited(room: str, text: str) -> object:
            if refusals:
                raise RequestRefused("rate_limited", "Rate limit exceeded", refusals.pop())
            return await say(room, text)

        monkeypatch.setattr(ann.client, "say", limited)
        await ann.type("hello")
        assert (await ann.until("lobby ann: hello")).count("* Rate limit exceeded: say") == 2
        assert not ann.rooms.failed
        refusals.extend([0.0] * 6)
        await ann.type("too much")
        assert "! not done: say: Rate limit exceeded (rate_limited)" in ann.look()


async def test_lost_connection(
    cable: Cable, capsys: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request whose answer was lost is told as such: it may have been done."""
    async with terminal(cable, capsys, "ann", "lobby") as ann:

        async def lose(*_: object) -> None:
            raise ConnectionLost("the connection broke before the answer")

        monkeypatch.setattr(ann.client, "say", lose)
        await ann.type("hello")
        assert "! not done, or not known: say: the connection broke" in ann.look()


async def test_goes_on_where_it_was(cable: Cable, capsys: Shown) -> None:
    """A client that was cut off for good leaves enough for the next one to miss nothing."""
    async with terminal(cable, capsys, "bob", "lobby") as bob:
        async with terminal(cable, capsys, "ann", "lobby") as ann:
            await bob.type("one")
            await ann.until("lobby bob: one")
            cable.ends[-1].cut()
            await ann.client.close()
        await bob.type("two", "three")
        async with terminal(cable, capsys, "ann", "lobby") as again:
            shown = await again.until("lobby missed bob: three")
            assert again.rooms.current == "lobby"
            mine = shown[shown.index("session resumed") :]
            assert "recovered lobby, 2 missed" in mine
            assert mine.count("missed bob: two") == mine.count("missed bob: three") == 1
            assert "missed bob: one" not in mine
            await again.rooms.begin()
            await again.type("/who")
            assert "* joined lobby" not in again.look()[shown.index("session resumed") :]
            await again.rooms.leave()
    kept = ResumeFile("ws://memory/rooms", "ann", "")
    assert kept.kept.rooms == {}
    kept.close()


async def test_room_that_is_refused_on_return(cable: Cable, capsys: Shown) -> None:
    """A room one may no longer enter is forgotten."""
    async with terminal(cable, capsys, "ann", "lobby") as ann:
        await ann.until("joined lobby")
        await cable.gateway.rooms.set("lobby")
        await cable.gateway.rooms.remove("lobby")
        await ann.until("left lobby")
        assert ann.rooms.current is None


async def test_own_messages_are_shown_before_leaving(cable: Cable, capsys: Shown) -> None:
    """Leaving waits until the own messages have come back."""
    await talked(cable, *(f"n{number}" for number in range(10)))
    shown = capsys.readouterr().out
    assert all(f"ann: n{number}\n" in shown for number in range(10))


async def test_leaves_without_a_connection(cable: Cable, capsys: Shown) -> None:
    """Without a connection nothing is waited for, and the state is deleted."""
    async with terminal(cable, capsys, "ann", "lobby", reconnect=False) as ann:
        await ann.until("joined lobby")
        ann.rooms._sent["lobby"] = 99
        cable.ends[0].cut()
        with pytest.raises(ClientError):
            await ann.client.join("hall")
        assert not ann.rooms.waiting
        await ann.rooms.leave()
        assert "left lobby" not in ann.look()
    assert not list((state_folder() / "connect").glob("*.json"))


async def test_leaving_takes_a_limited_time(cable: Cable, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gateway that does not answer delays the end only for a while; the state is deleted."""
    monkeypatch.setattr(loop_module, "_LAST_ANSWERS", 0.0)
    await talked(cable, "one")
    assert not list((state_folder() / "connect").glob("*.json"))


async def test_nothing_can_be_kept(
    cable: Cable, capsys: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When nothing can be written any more that is said once, and the talk goes on."""

    def full(_: Path, __: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(state_module, "replace_private", full)
    async with terminal(cable, capsys, "ann", "lobby") as ann:
        await ann.type("hello")
        shown = await ann.until("lobby ann: hello")
        assert shown.count("! nothing is kept from here on: No space left on device") == 1


async def test_gateway_that_ends_it(cable: Cable, capsys: Shown) -> None:
    """What the gateway ends is not forgotten, and ends the listening."""
    gateway: Gateway = cable.gateway
    async with terminal(cable, capsys, "ann", "lobby") as ann:
        await gateway.revoke(user="ann")
        with pytest.raises(Ended, match="force disconnect"):
            await ann.listening
    kept = ResumeFile("ws://memory/rooms", "ann", "")
    assert list(kept.kept.rooms) == ["lobby"]
    kept.close()
