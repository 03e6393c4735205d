from collections.abc import AsyncIterator

import pytest

from portward.model.channel import Channel
from portward.model.disconnects import Disconnect
from portward.model.limits import CLOSE_TIME, OUTBOX_AGE
from portward.transports.engineio.polling import REQUESTS_AT_ONCE
from portward.wire import message as wire
from tests.transports.engineio.polling_listener import PollingListener, run_polling
from tests.transports.running_listener import FakeGate, until

CHANNEL = Channel.parse("rooms:lobby")


def text(words: bytes) -> wire.WireMessage:
    """A message of Engine.IO."""
    return wire.ENGINE.text(words)


@pytest.fixture
async def running() -> AsyncIterator[PollingListener]:
    """A listener with one Engine.IO endpoint."""
    async with run_polling() as opened:
        yield opened


async def test_one_turn_is_one_answer(running: PollingListener) -> None:
    """Messages of one turn of the loop leave together, in order; later ones wait for a poll."""
    query, session = await running.begin()
    client = await running.poll(query)
    for word in (b"a", b"b"):
        session.link.write(text(word))
    session.link.write(wire.ENGINE.binary(b"\x01"))
    assert (await running.answer(client)).told == (200, b"4a\x1e4b\x1ebAQ==")
    session.link.write(text(b"c"))
    assert session.link.unsent() > 0
    assert (await running.ask("GET", query)).body == b"4c"
    assert session.link.unsent() == 0


async def test_a_channel_can_be_dropped(running: PollingListener) -> None:
    """What is queued for a channel, or all that is queued, can be forgotten."""
    query, session = await running.begin()
    session.link.drop(CHANNEL)
    session.link.write(text(b"kept"))
    session.link.write(text(b"dropped"), CHANNEL)
    session.link.drop(CHANNEL)
    assert (await running.ask("GET", query)).body == b"4kept"
    client = await running.poll(query)
    session.link.write(text(b"dropped"))
    session.link.discard()
    await running.ask("GET", "EIO=4")
    assert not session.slows
    session.link.write(text(b"kept"))
    assert (await running.answer(client)).body == b"4kept"


async def test_a_reader_over_its_bounds() -> None:
    """More than may wait is reported once; so is what waits too long, or is not taken."""
    gate = FakeGate()
    gate.options = {"max_unsent": 2048}
    async with run_polling(gate) as running:
        query, session = await running.begin()
        session.link.write(text(bytes(1500)))
        assert not session.link.stale(running.clock.monotonic())
        for _ in range(3):
            session.link.write(text(bytes(1500)))
        assert session.slows == 1
        running.clock.advance(OUTBOX_AGE + 1)
        assert session.link.stale(running.clock.monotonic())
        assert (await running.ask("GET", query)).body == b"4" + bytes(1500)
        assert not session.link.stale(running.clock.monotonic())
        session.link.write(text(b"again"))
        assert session.slows == 1


async def test_an_answer_that_is_not_taken() -> None:
    """An answer counts until it is taken: as unsent, as age, and against a second poll."""
    gate = FakeGate()
    gate.options = {"max_unsent": 30_000_000}
    async with run_polling(gate) as running:
        query, session = await running.begin()
        session.link.write(text(bytes(20_000_000)))
        client = await running.request("GET", query)
        await until(lambda: running.listener_state.answering)
        taken: list[bool] = []
        session.link.when_sent(lambda: taken.append(True))
        assert session.link.unsent() > 0
        running.clock.advance(OUTBOX_AGE - 1)
        assert not session.link.stale(running.clock.monotonic())
        running.clock.stall(2)
        assert session.link.stale(running.clock.monotonic())
        assert not taken

        second = await running.ask("GET", query)
        assert (second.status, session.endings) == (400, [Disconnect.GOING_AWAY])
        client.leave()


async def test_an_answer_that_was_lost() -> None:
    """A poll after an answer that broke off is refused: what was in it will not come again."""
    gate = FakeGate()
    gate.options = {"max_unsent": 30_000_000}
    async with run_polling(gate) as running:
        query, session = await running.begin()
        session.link.write(text(bytes(20_000_000)))
        client = await running.request("GET", query)
        await until(lambda: running.listener_state.answering)
        client.reset()
        await until(lambda: not running.listener_state.sockets)
        assert session.link.unsent() > 0
        session.link.write(text(b"more"))
        assert (await running.ask("GET", query)).code == 3
        assert session.endings == [Disconnect.GOING_AWAY]
        assert (await running.ask("GET", query)).code == 1


async def test_a_poll_that_comes_twice(running: PollingListener) -> None:
    """Of two polls the first one is told the end, the second is refused; the client may come back."""
    query, session = await running.begin()
    session.link.write(text(b"lost"))
    session.link.discard()
    first = await running.poll(query)
    assert (await running.ask("GET", query)).code == 3
    assert (await running.answer(first)).told == (200, b"1")
    assert session.endings == [Disconnect.GOING_AWAY]
    assert (await running.ask("GET", query)).code == 1
    assert session.losses == [None]


async def test_who_waits_until_all_is_taken(running: PollingListener) -> None:
    """Whoever asked is told when nothing is queued any more, or at once, or at the end."""
    query, session = await running.begin()
    told: list[str] = []
    session.link.when_sent(lambda: told.append("at once"))
    session.link.write(text(b"a"))
    session.link.when_sent(lambda: told.append("taken"))
    assert told == ["at once"]
    await running.ask("GET", query)
    assert told == ["at once", "taken"]
    session.link.write(text(b"b"))
    session.link.when_sent(lambda: told.append("over"))
    session.link.abort()
    assert told == ["at once", "taken", "over"]


async def test_pings_are_packets(running: PollingListener) -> None:
    """A ping leaves like a message; a pong frame there is none."""
    query, session = await running.begin()
    client = await running.poll(query)
    session.link.pong(b"")
    session.link.ping()
    assert (await running.answer(client)).body == b"2"


async def test_goodbye(running: PollingListener) -> None:
    """A close answers the pending poll with what is queued, the next with the last packet, and no other."""
    query, session = await running.begin()
    client = await running.poll(query)
    session.link.write(text(b"last words"))
    session.link.close(3001, "shutdown")
    session.link.close(3001, "shutdown")
    session.link.write(text(b"too late"))
    assert (await running.answer(client)).body == b"4last words"
    assert (await running.ask("GET", query)).body == b"1"
    await until(lambda: session.losses)
    assert session.losses == [None]
    assert (await running.ask("GET", query)).code == 1


async def test_goodbye_to_the_next_poll(running: PollingListener) -> None:
    """Without a pending poll the goodbye waits for the next one; posts are ignored meanwhile."""
    query, session = await running.begin()
    session.link.write(text(b"last words"))
    session.link.close(3001, "shutdown")
    assert (await running.post(query, b"4x")).told == (200, b"ok")
    assert (session.messages, session.losses) == ([], [])
    assert (await running.ask("GET", query)).body == b"4last words"
    assert (await running.ask("GET", query)).body == b"1"
    assert (await running.ask("GET", query)).code == 1
    assert session.losses == [None]


async def test_a_client_that_leaves_before_its_goodbye(running: PollingListener) -> None:
    """A close packet ends the wait for a last poll; two posts at once are no use then either."""
    query, session = await running.begin()
    session.link.close(3500, "invalid token")
    first = await running.request("POST", query, b"4x", length=6)
    await until(running.server._bodies.waiting)
    assert (await running.post(query, b"1")).code == 3
    await first.send(b"xxxx")
    assert (await running.answer(first)).told == (200, b"ok")
    assert session.losses == []
    assert (await running.post(query, b"1")).told == (200, b"ok")
    await until(lambda: session.losses)
    assert (session.losses, session.failures) == ([1000], [])


async def test_no_goodbye_to_who_is_not_there(running: PollingListener) -> None:
    """A session that ends because nobody answers is gone at once."""
    query, session = await running.begin()
    session.link.write(text(b"a"))
    session.link.close(Disconnect.NO_PONG.code, "no pong")
    await until(lambda: session.losses)
    assert (await running.ask("GET", query)).code == 1


async def test_goodbye_to_nobody(running: PollingListener) -> None:
    """When no poll comes the session is gone after a while."""
    query, session = await running.begin()
    session.link.close(3001, "shutdown")
    running.clock.advance(CLOSE_TIME - 0.1)
    assert not session.losses
    running.clock.advance(0.2)
    await until(lambda: session.losses)
    assert session.losses == [None]
    assert (await running.ask("GET", query)).code == 1


async def test_leaving_at_once(running: PollingListener) -> None:
    """An abort answers the pending poll, and is over with or without one."""
    query, session = await running.begin()
    client = await running.poll(query)
    session.link.write(text(b"forgotten"))
    session.link.abort()
    assert (await running.answer(client)).body == b"1"
    await until(lambda: session.losses)
    session.link.abort()
    _, other = await running.begin()
    other.link.abort()
    await until(lambda: other.losses)
    assert (session.losses, other.losses) == ([None], [None])


async def test_a_poll_that_comes_between_the_end_and_its_news(running: PollingListener) -> None:
    """A session that is about to be gone has nothing more to say."""
    query, session = await running.begin()
    entrance = running.server.find(query.rpartition("=")[2])
    assert entrance is not None
    session.link.abort()
    answer = entrance.polling.poll(Asker())
    assert answer is not None
    assert answer.status == 400


class Asker:
    """A request that is never answered."""

    def respond(self, response: object) -> None:
        """Do nothing."""

    def unsent(self) -> int:
        """Nothing."""
        return 0


async def test_polls_have_a_rate(running: PollingListener) -> None:
    """Who polls faster than fifty times a second, after a burst, floods."""
    query, session = await running.begin()
    for _ in range(REQUESTS_AT_ONCE):
        session.link.write(text(b"x"))
        assert (await running.ask("GET", query)).status == 200
    assert (await running.ask("GET", query)).code == 3
    assert session.endings == [Disconnect.FLOODING]


async def test_polls_in_time(running: PollingListener) -> None:
    """At the sustained rate nobody is refused."""
    query, session = await running.begin()
    for _ in range(REQUESTS_AT_ONCE + 20):
        session.link.write(text(b"x"))
        running.clock.advance(1 / 50)
        assert (await running.ask("GET", query)).status == 200
    assert session.failures == []
