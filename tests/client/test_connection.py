import asyncio

import pytest

from portward.client.connection import Connection
from portward.client.envelope import Envelope
from portward.client.errors import ConnectionLost, NoAnswer, RequestRefused
from portward.client.inbox import Inbox
from tests.client.peers import FakeLink, joined, refusing


class Heard:
    """Remembers what a connection lets hear."""

    def __init__(self) -> None:
        self.all: list[tuple[str, bool]] = []

    def __call__(self, text: str, envelope: Envelope, answered: bool) -> None:
        """Remember a message."""
        if envelope.type == "broken":
            raise ValueError(text)
        self.all.append((envelope.type, answered))


def make(link: FakeLink, timeout: float = 5.0) -> tuple[Connection, Heard]:
    """A connection and what it lets hear."""
    heard = Heard()
    return Connection(link, Inbox(10), heard, timeout), heard


async def test_answers_find_their_requests() -> None:
    """Two requests under way each get their own answer, whatever comes first."""
    link = FakeLink()
    connection, heard = make(link)
    listening = asyncio.create_task(connection.listen())
    asking = [asyncio.create_task(connection.request(kind, {})) for kind in ("a", "b")]
    await link.heard("b")
    link.say("message", {})
    link.say("second", {}, link.sent[1]["id"])
    link.say("first", {}, link.sent[0]["id"])
    assert [(await each).type for each in asking] == ["first", "second"]
    assert heard.all == [("message", False), ("second", True), ("first", True)]
    await connection.close()
    assert (await listening).code == 1000


async def test_error_is_raised() -> None:
    """An answer that is an error is raised, with when to try again."""
    link = FakeLink({"join": refusing("join_rate_limited", 1500)})
    connection, _ = make(link)
    listening = asyncio.create_task(connection.listen())
    with pytest.raises(RequestRefused, match="No: join_rate_limited") as refused:
        await connection.request("join", {})
    assert (refused.value.code, refused.value.retry_after) == ("join_rate_limited", 1.5)
    link.end(None)
    await listening


async def test_break_fails_what_waits() -> None:
    """A connection that breaks fails the requests under way, and those that come later."""
    link = FakeLink()
    connection, _ = make(link)
    listening = asyncio.create_task(connection.listen())
    asking = asyncio.create_task(connection.request("join", {}))
    abandoned = asyncio.create_task(connection.request("join", {}))
    await link.heard("join", 2)
    link.end(3008, "slow")
    await asyncio.sleep(0)
    abandoned.cancel()
    with pytest.raises(ConnectionLost):
        await asking
    with pytest.raises(asyncio.CancelledError):
        await abandoned
    closed = await listening
    assert (closed.code, closed.reason) == (3008, "slow")
    with pytest.raises(ConnectionLost):
        await connection.request("join", {})
    with pytest.raises(ConnectionLost):
        await connection.send("{}")


async def test_silence_is_no_answer() -> None:
    """A request that is not answered in time says so, and its late answer is just heard."""
    link = FakeLink()
    connection, heard = make(link, timeout=0.0)
    listening = asyncio.create_task(connection.listen())
    with pytest.raises(NoAnswer):
        await connection.request("join", {})
    link.say("late", {}, "1")
    link.end(1000)
    await listening
    assert heard.all == [("late", False)]


@pytest.mark.parametrize("text", ["no JSON", '{"type":"broken","data":{}}'])
async def test_other_dialect(text: str) -> None:
    """Whoever says something else than this dialect is left, for good."""
    link = FakeLink()
    connection, _ = make(link)
    link.say_text(text)
    closed = await connection.listen()
    assert closed.code == 1002
    assert link.closed is not None


async def test_answer_passes_a_full_inbox() -> None:
    """An answer is found behind more messages than the inbox takes."""
    link = FakeLink({"join": joined()})
    inbox = Inbox(0)
    connection = Connection(link, inbox, Heard(), 5.0)
    listening = asyncio.create_task(connection.listen())
    for _ in range(5):
        link.say("message", {})
    assert (await connection.request("join", {"roomId": "lobby"})).type == "room_joined"
    inbox.end(None)
    link.end(1000)
    await listening
