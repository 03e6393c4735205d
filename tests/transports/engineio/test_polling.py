from collections.abc import AsyncIterator

import pytest

from portward.model.channel import Channel
from portward.model.disconnects import Disconnect
from portward.model.limits import CLOSE_TIME, OUTBOX_AGE
from portward.transports.engineio.polling import REQUESTS_AT_ONCE
from portward.wire import message as wire
from tests.transports.engineio.polls import PollHouse, poll_house
from tests.transports.house import FakeGate, until

CHANNEL = Channel.parse("rooms:lobby")


def text(words: bytes) -> wire.WireMessage:
    """A message of Engine.IO."""
    return wire.ENGINE.text(words)


@pytest.fixture
async def house() -> AsyncIterator[PollHouse]:
    """A house with one kind of guests."""
    async with poll_house() as opened:
        yield opened


async def test_one_turn_is_one_answer(house: PollHouse) -> None:
    """Messages of one turn of the loop leave together, in order; later ones wait for a poll."""
    query, session = await house.begin()
    client = await house.poll(query)
    for word in (b"a", b"b"):
        session.link.write(text(word))
    session.link.write(wire.ENGINE.binary(b"\x01"))
    assert (await house.answer(client)).told == (200, b"4a\x1e4b\x1ebAQ==")
    session.link.write(text(b"c"))
    assert session.link.unsent() > 0
    assert (await house.ask("GET", query)).body == b"4c"
    assert session.link.unsent() == 0


async def test_a_channel_can_be_dropped(house: PollHouse) -> None:
    """What is queued for a channel, or all that is queued, can be forgotten."""
    query, session = await house.begin()
    session.link.drop(CHANNEL)
    session.link.write(text(b"kept"))
    session.link.write(text(b"dropped"), CHANNEL)
    session.link.drop(CHANNEL)
    assert (await house.ask("GET", query)).body == b"4kept"
    client = await house.poll(query)
    session.link.write(text(b"dropped"))
    session.link.discard()
    await house.ask("GET", "EIO=4")
    assert not session.slows
    session.link.write(text(b"kept"))
    assert (await house.answer(client)).body == b"4kept"


async def test_a_reader_over_its_bounds() -> None:
    """More than may wait is reported once; so is what waits too long, or is not taken."""
    gate = FakeGate()
    gate.options = {"max_unsent": 2048}
    async with poll_house(gate) as house:
        query, session = await house.begin()
        session.link.write(text(bytes(1500)))
        assert not session.link.stale(house.clock.monotonic())
        for _ in range(3):
            session.link.write(text(bytes(1500)))
        assert session.slows == 1
        house.clock.advance(OUTBOX_AGE + 1)
        assert session.link.stale(house.clock.monotonic())
        assert (await house.ask("GET", query)).body == b"4" + bytes(1500)
        assert not session.link.stale(house.clock.monotonic())
        session.link.write(text(b"again"))
        assert session.slows == 1


async def test_an_answer_that_is_not_taken() -> None:
    """An answer counts until it is taken: as unsent, as age, and against a second poll."""
    gate = FakeGate()
    gate.options = {"max_unsent": 30_000_000}
    async with poll_house(gate) as house:
        query, session = await house.begin()
        session.link.write(text(bytes(20_000_000)))
        client = await house.request("GET", query)
        await until(lambda: house.listener_state.answering)
        taken: list[bool] = []
        session.link.when_sent(lambda: taken.append(True))
        assert session.link.unsent() > 0
        house.clock.advance(OUTBOX_AGE - 1)
        assert not session.link.stale(house.clock.monotonic())
        house.clock.stall(2)
        assert session.link.stale(house.clock.monotonic())
        assert not taken

        second = await house.ask("GET", query)
        assert (second.status, session.endings) == (400, [Disconnect.GOING_AWAY])
        client.leave()


async def test_an_answer_that_was_lost() -> None:
    """A poll after an answer that broke off is refused: what was in it will not come again."""
    gate = FakeGate()
    gate.options = {"max_unsent": 30_000_000}
    async with poll_house(gate) as house:
        query, session = await house.begin()
        session.link.write(text(bytes(20_000_000)))
        client = await house.request("GET", query)
        await until(lambda: house.listener_state.answering)
        client.reset()
        await until(lambda: not house.listener_state.sockets)
        assert session.link.unsent() > 0
        session.link.write(text(b"more"))
        assert (await house.ask("GET", query)).code == 3
        assert session.endings == [Disconnect.GOING_AWAY]
        assert (await house.ask("GET", query)).code == 1


async def test_a_poll_that_comes_twice(house: PollHouse) -> None:
    """Of two polls the first one is told the end, the second is refused; the client may come back."""
    query, session = await house.begin()
    session.link.write(text(b"lost"))
    session.link.discard()
    first = await house.poll(query)
    assert (await house.ask("GET", query)).code == 3
    assert (await house.answer(first)).told == (200, b"1")
    assert session.endings == [Disconnect.GOING_AWAY]
    assert (await house.ask("GET", query)).code == 1
    assert session.losses == [None]


async def test_who_waits_until_all_is_taken(house: PollHouse) -> None:
    """Whoever asked is told when nothing is queued any more, or at once, or at the end."""
    query, session = await house.begin()
    told: list[str] = []
    session.link.when_sent(lambda: told.append("at once"))
    session.link.write(text(b"a"))
    session.link.when_sent(lambda: told.append("taken"))
    assert told == ["at once"]
    await house.ask("GET", query)
    assert told == ["at once", "taken"]
    session.link.write(text(b"b"))
    session.link.when_sent(lambda: told.append("over"))
    session.link.abort()
    assert told == ["at once", "taken", "over"]


async def test_pings_are_packets(house: PollHouse) -> None:
    """A ping leaves like a message; a pong frame there is none."""
    query, session = await house.begin()
    client = await house.poll(query)
    session.link.pong(b"")
    session.link.ping()
    assert (await house.answer(client)).body == b"2"


async def test_goodbye(house: PollHouse) -> None:
    """A close answers the pending poll with what is queued, the next with the last packet, and no other."""
    query, session = await house.begin()
    client = await house.poll(query)
    session.link.write(text(b"last words"))
    session.link.close(3001, "shutdown")
    session.link.close(3001, "shutdown")
    session.link.write(text(b"too late"))
    assert (await house.answer(client)).body == b"4last words"
    assert (await house.ask("GET", query)).body == b"1"
    await until(lambda: session.losses)
    assert session.losses == [None]
    assert (await house.ask("GET", query)).code == 1


async def test_goodbye_to_the_next_poll(house: PollHouse) -> None:
    """Without a pending poll the goodbye waits for the next one; posts are ignored meanwhile."""
    query, session = await house.begin()
    session.link.write(text(b"last words"))
    session.link.close(3001, "shutdown")
    assert (await house.post(query, b"4x")).told == (200, b"ok")
    assert (session.messages, session.losses) == ([], [])
    assert (await house.ask("GET", query)).body == b"4last words"
    assert (await house.ask("GET", query)).body == b"1"
    assert (await house.ask("GET", query)).code == 1
    assert session.losses == [None]


async def test_a_client_that_leaves_before_its_goodbye(house: PollHouse) -> None:
    """A close packet ends the wait for a last poll; two posts at once are no use then either."""
    query, session = await house.begin()
    session.link.close(3500, "invalid token")
    first = await house.request("POST", query, b"4x", length=6)
    await until(house.server._bodies.waiting)
    assert (await house.post(query, b"1")).code == 3
    await first.send(b"xxxx")
    assert (await house.answer(first)).told == (200, b"ok")
    assert session.losses == []
    assert (await house.post(query, b"1")).told == (200, b"ok")
    await until(lambda: session.losses)
    assert (session.losses, session.failures) == ([1000], [])


async def test_no_goodbye_to_who_is_not_there(house: PollHouse) -> None:
    """A session that ends because nobody answers is gone at once."""
    query, session = await house.begin()
    session.link.write(text(b"a"))
    session.link.close(Disconnect.NO_PONG.code, "no pong")
    await until(lambda: session.losses)
    assert (await house.ask("GET", query)).code == 1


async def test_goodbye_to_nobody(house: PollHouse) -> None:
    """When no poll comes the session is gone after a while."""
    query, session = await house.begin()
    session.link.close(3001, "shutdown")
    house.clock.advance(CLOSE_TIME - 0.1)
    assert not session.losses
    house.clock.advance(0.2)
    await until(lambda: session.losses)
    assert session.losses == [None]
    assert (await house.ask("GET", query)).code == 1


async def test_leaving_at_once(house: PollHouse) -> None:
    """An abort answers the pending poll, and is over with or without one."""
    query, session = await house.begin()
    client = await house.poll(query)
    session.link.write(text(b"forgotten"))
    session.link.abort()
    assert (await house.answer(client)).body == b"1"
    await until(lambda: session.losses)
    session.link.abort()
    _, other = await house.begin()
    other.link.abort()
    await until(lambda: other.losses)
    assert (session.losses, other.losses) == ([None], [None])


async def test_a_poll_that_comes_between_the_end_and_its_news(house: PollHouse) -> None:
    """A session that is about to be gone has nothing more to say."""
    query, session = await house.begin()
    entrance = house.server.find(query.rpartition("=")[2])
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


async def test_polls_have_a_rate(house: PollHouse) -> None:
    """Who polls faster than fifty times a second, after a burst, floods."""
    query, session = await house.begin()
    for _ in range(REQUESTS_AT_ONCE):
        session.link.write(text(b"x"))
        assert (await house.ask("GET", query)).status == 200
    assert (await house.ask("GET", query)).code == 3
    assert session.endings == [Disconnect.FLOODING]


async def test_polls_in_time(house: PollHouse) -> None:
    """At the sustained rate nobody is refused."""
    query, session = await house.begin()
    for _ in range(REQUESTS_AT_ONCE + 20):
        session.link.write(text(b"x"))
        house.clock.advance(1 / 50)
        assert (await house.ask("GET", query)).status == 200
    assert session.failures == []
