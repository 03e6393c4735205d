from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from portward.app.gateway import Gateway
from portward.cli.connect import memory as memory_module
from portward.cli.connect import talk as talk_module
from portward.cli.connect.memory import Memory
from portward.client import ClientError, ConnectionLost, Ended, RequestRefused
from portward.testing import memory_gateway
from tests.cli.connect.peers import terminal
from tests.client.peers import Cable

Shown = pytest.CaptureFixture[str]


@pytest.fixture
async def cable() -> AsyncIterator[Cable]:
    """The way to a gateway without sockets."""
    async with memory_gateway() as running:
        yield Cable(running)


async def test_joins_talks_and_leaves(cable: Cable, capsys: Shown) -> None:
    """A user enters a room, says something, sees who is there and what was said, and goes."""
    async with terminal(cable, capsys) as ann:
        await ann.talk.begin(["lobby"])
        await ann.type("hello", "/who", "/history", "/history 1", "")
        await ann.until("history of lobby, 1 messages")
        await ann.talk.leave()
        shown = await ann.until("left lobby")
        assert "joined lobby: ann" in shown
        assert shown.count("lobby ann: hello") == 3
        assert "in lobby: ann" in shown
        assert not ann.talk.failed


async def test_rooms(cable: Cable, capsys: Shown) -> None:
    """Text goes to the room entered last; leaving it goes back to another."""
    async with terminal(cable, capsys) as ann:
        await ann.type("/join one", "/join two", "to two", "/join one", "to one")
        await ann.until("one ann: to one")
        await ann.type("/leave two")
        await ann.until("left two")
        assert ann.talk.current == "one"
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
        assert ann.talk.failed


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("/foo", "there is no command /foo"),
        ("/raw {", "not JSON"),
        ("/history many", "a number from 1 to 100"),
        ("/history 0", "a number from 1 to 100"),
        ("/history 101", "a number from 1 to 100"),
    ],
)
async def test_mistakes(cable: Cable, capsys: Shown, line: str, text: str) -> None:
    """What cannot be done as typed is said, and nothing is sent."""
    async with terminal(cable, capsys) as ann:
        await ann.talk.begin(["lobby"])
        await ann.type(line)
        shown = ann.look()
        assert "! " in shown
        assert text in shown
        assert ann.talk.failed


async def test_raw_and_help(cable: Cable, capsys: Shown) -> None:
    """Anything can be sent, and every command is explained."""
    async with terminal(cable, capsys) as ann:
        await ann.type('/raw {"type":"heartbeat","data":{}}', "/raw []", "/help", "/quit", "/never")
        shown = await ann.until("Invalid message structure")
        assert "heartbeat_response" in shown
        assert "/history [N]" in shown
        assert "/never" not in shown


async def test_refusals(cable: Cable, capsys: Shown) -> None:
    """What the gateway refuses is shown with its code."""
    async with terminal(cable, capsys, roles=()) as ann:
        await ann.talk.begin(["lobby"])
        assert "! not done: join lobby: Insufficient permissions (permission_denied)" in ann.look()
        await ann.type("/join hall")
        assert ann.talk.current is None
        assert ann.talk.failed


async def test_requests_refused_in_a_room(
    cable: Cable, capsys: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each request that is refused leaves everything else as it was."""
    async with terminal(cable, capsys) as ann:
        await ann.talk.begin(["lobby"])

        async def refuse(*_: object) -> None:
            raise RequestRefused("permission_denied", "No")

        for name in ("say", "presence", "history", "leave"):
            monkeypatch.setattr(ann.client, name, refuse)
        await ann.type("hello", "/who", "/history", "/leave")
        shown = ann.look()
        whats = ("say", "who", "history", "leave lobby")
        assert [f"! not done: {what}: No" in shown for what in whats] == [True] * 4
        assert ann.talk.current == "lobby"


async def test_patience(cable: Cable, capsys: Shown, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a limit refuses is tried again when the gateway says, a few times."""
    async with terminal(cable, capsys) as ann:
        await ann.talk.begin(["lobby"])
        say, refusals = ann.client.say, [0.0, 0.0]

        async def limited(room: str, text: str) -> object:
            if refusals:
                raise RequestRefused("rate_limited", "Rate limit exceeded", refusals.pop())
            return await say(room, text)

        monkeypatch.setattr(ann.client, "say", limited)
        await ann.type("hello")
        assert (await ann.until("lobby ann: hello")).count("* Rate limit exceeded: say") == 2
        assert not ann.talk.failed
        refusals.extend([0.0] * 6)
        await ann.type("too much")
        assert "! not done: say: Rate limit exceeded (rate_limited)" in ann.look()


async def test_lost_connection(
    cable: Cable, capsys: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request whose answer was lost is told as such: it may have been done."""
    async with terminal(cable, capsys) as ann:
        await ann.talk.begin(["lobby"])

        async def lose(*_: object) -> None:
            raise ConnectionLost("the connection broke before the answer")

        monkeypatch.setattr(ann.client, "say", lose)
        await ann.type("hello")
        assert "! not done, or not known: say: the connection broke" in ann.look()


async def test_goes_on_where_it_was(cable: Cable, capsys: Shown) -> None:
    """A client that was cut off for good leaves enough for the next one to miss nothing."""
    async with terminal(cable, capsys, "bob") as bob:
        await bob.talk.begin(["lobby"])
        async with terminal(cable, capsys) as ann:
            await ann.talk.begin(["lobby"])
            await bob.type("one")
            await ann.until("lobby bob: one")
            cable.ends[-1].cut()
            await ann.client.close()
        await bob.type("two", "three")
        async with terminal(cable, capsys) as again:
            shown = await again.until("lobby missed bob: three")
            assert again.talk.current == "lobby"
            mine = shown[shown.index("session resumed") :]
            assert "recovered lobby, 2 missed" in mine
            assert mine.count("missed bob: two") == mine.count("missed bob: three") == 1
            assert "missed bob: one" not in mine
            await again.talk.begin(["lobby"])
            await again.type("/who")
            assert "* joined lobby" not in again.look()[shown.index("session resumed") :]
            await again.talk.leave()
    kept = Memory("ws://memory/rooms", "ann", "")
    assert kept.kept.rooms == {}
    kept.close()


async def test_room_that_is_refused_on_return(cable: Cable, capsys: Shown) -> None:
    """A room one may no longer enter is forgotten."""
    async with terminal(cable, capsys) as ann:
        await ann.talk.begin(["lobby"])
        await ann.until("joined lobby")
        await cable.gateway.rooms.set("lobby")
        await cable.gateway.rooms.remove("lobby")
        await ann.until("left lobby")
        assert ann.talk.current is None


async def test_leaves_what_it_said_arrive(cable: Cable, capsys: Shown) -> None:
    """Leaving waits until what was said last has come back."""
    async with terminal(cable, capsys) as ann:
        await ann.talk.begin(["lobby"])
        await ann.type(*(f"n{number}" for number in range(10)))
        await ann.talk.leave()
        shown = await ann.until("left lobby")
        assert all(f"ann: n{number}\n" in shown for number in range(10))


async def test_leaves_without_a_connection(cable: Cable, capsys: Shown) -> None:
    """Leaving a gateway that is gone is just going."""
    async with terminal(cable, capsys, reconnect=False) as ann:
        await ann.talk.begin(["lobby"])
        cable.ends[0].cut()
        with pytest.raises(ClientError):
            await ann.client.join("hall")
        await ann.talk.leave()
        assert "left lobby" not in ann.look()


async def test_leaving_does_not_take_for_ever(
    cable: Cable, capsys: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A gateway that does not answer is left all the same."""
    monkeypatch.setattr(talk_module, "_LAST_WORDS", 0.0)
    async with terminal(cable, capsys) as ann:
        await ann.talk.begin(["lobby"])
        ann.talk._said["lobby"] = 99
        await ann.talk.leave()
        assert not ann.client.connected


async def test_nothing_can_be_kept(
    cable: Cable, capsys: Shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When nothing can be written any more that is said once, and the talk goes on."""

    def full(_: Path, __: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(memory_module, "replace_private", full)
    async with terminal(cable, capsys) as ann:
        await ann.talk.begin(["lobby"])
        await ann.type("hello")
        shown = await ann.until("lobby ann: hello")
        assert shown.count("! nothing is kept from here on: No space left on device") == 1


async def test_gateway_that_ends_it(cable: Cable, capsys: Shown) -> None:
    """What the gateway ends is not forgotten, and ends the listening."""
    gateway: Gateway = cable.gateway
    async with terminal(cable, capsys) as ann:
        await ann.talk.begin(["lobby"])
        await gateway.revoke(user="ann")
        with pytest.raises(Ended, match="force disconnect"):
            await ann.listening
    kept = Memory("ws://memory/rooms", "ann", "")
    assert list(kept.kept.rooms) == ["lobby"]
    kept.close()
