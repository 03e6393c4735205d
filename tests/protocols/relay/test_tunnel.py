"""Both ways through a tunnel: order, pace, budgets, and how each side's end becomes the other's."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from msgspec.structs import replace

from portward.model.limits import CLOSE_TIME, MIB
from portward.protocols.relay.service import RelayService
from portward.protocols.relay.tunnel import UNSENT, WAITING, sendable
from portward.settings import Settings
from portward.telemetry.events import Event
from tests.protocols.relay.fake_upstream import (
    FakeUpstream,
    connected,
    proven,
    relaying,
    tell,
    transparent,
)
from tests.running_gateway import RunningGateway, settle

pytestmark = pytest.mark.p1

Both = tuple[RunningGateway, FakeUpstream]


def spending(**upstream: Any) -> Settings:
    """Settings with bounds on what goes upstream."""
    given = Settings()
    return replace(given, upstream=replace(given.upstream, **upstream))


@pytest.fixture
async def both(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Both]:
    """A gateway without bounds, and its upstream."""
    async with relaying(monkeypatch) as pair:
        yield pair


def done(tokens: int) -> bytes:
    """What the upstream says after an answer."""
    usage = {"total_tokens": tokens}
    return json.dumps({"type": "response.done", "response": {"usage": usage}}).encode()


async def turns(number: int = 30) -> None:
    """Let everything happen that can."""
    for _ in range(number):
        await asyncio.sleep(0)


async def test_both_ways_unchanged_and_in_order(both: Both) -> None:
    """Text and binary go through as they came, whatever they hold."""
    running, upstream = both
    client = await connected(running)
    assert client.received[-1] == {"type": "realtime_connected", "model": "gpt-realtime"}
    sent = [
        (b'{"type": "a",  "x": "\xc3\xa9"}', False),
        (b' {"type":"b"}', True),
        (b"no json", False),
    ]
    for payload, binary in sent:
        client.send_bytes(payload, binary=binary)
    await turns()
    assert upstream.link.sent == sent
    for number in range(5):
        upstream.link.say(json.dumps({"n": number}).encode())
    upstream.link.say(b"\x01", binary=True)
    await turns()
    assert [each["n"] for each in client.received[-5:]] == list(range(5))
    assert client.binary == [b"\x01"]
    assert running.count("upstream_connections") == 1


async def test_messages_wait_while_the_upstream_does_not_read(both: Both) -> None:
    """Reading from the client stops, nothing is lost, and goes on in order."""
    running, upstream = both
    client = await connected(running)
    upstream.link.reads.clear()
    for number in range(20):
        client.send_bytes(str(number).encode(), binary=False)
    await turns()
    paused = [client.paused]
    assert upstream.link.sent == []
    upstream.link.reads.set()
    await turns(100)
    assert [*paused, client.paused] == [True, False]
    assert [payload for payload, _ in upstream.link.sent] == [str(n).encode() for n in range(20)]


async def test_large_messages_stop_reading_at_once(both: Both) -> None:
    """What waits is bounded in bytes as well."""
    running, upstream = both
    client = await connected(running)
    upstream.link.reads.clear()
    client.send_bytes(b"x" * MIB, binary=False)
    client.send_bytes(b"y" * MIB, binary=False)
    assert client.paused


async def test_the_upstream_is_read_at_the_clients_pace(both: Both) -> None:
    """With too much unread by the client nothing more is taken from the upstream."""
    running, upstream = both
    client = await connected(running)
    client.reading = False
    for _ in range(10):
        upstream.link.say(b"x" * (UNSENT // 2), binary=True)
    await turns()
    assert client.open
    assert UNSENT < client.unsent() <= 2 * UNSENT
    client.read()
    await turns()
    assert len(client.binary) == 10


async def test_small_messages_are_held_back_too(both: Both) -> None:
    """However small they are, so many may wait for the client and no more."""
    running, upstream = both
    client = await connected(running)
    client.reading = False
    for number in range(2 * WAITING):
        upstream.link.say(str(number).encode(), binary=True)
    await turns(3 * WAITING)
    waiting = len(client.queue)
    assert waiting == WAITING
    assert client.open
    client.read()
    await turns(3 * WAITING)
    client.read()
    assert client.binary == [str(number).encode() for number in range(2 * WAITING)]


async def test_the_notice_of_a_tokens_end(both: Both) -> None:
    """It comes before the upstream is connected, during a conversation, and to transparent clients."""
    running, _ = both
    clients = [
        await proven(running, "bob", ttl=100.0),
        await connected(running, "ann", ttl=100.0),
        await transparent(running, ttl=100.0),
    ]
    for _ in range(60):
        await running.advance(1)
    assert [len(client.all("token_expiring")) for client in clients] == [1, 1, 1]


async def test_a_transparent_client_is_greeted_by_the_upstream(both: Both) -> None:
    """The notice of a token with little time left waits until the upstream is connected."""
    running, upstream = both
    upstream.opens.clear()
    client = await transparent(running, ttl=60.0)
    for _ in range(3):
        await running.advance(1)
    assert client.received == []
    upstream.opens.set()
    await turns()
    upstream.link.say(b'{"type":"session.created"}')
    await turns()
    for _ in range(3):
        await running.advance(1)
    assert [each["type"] for each in client.received] == ["session.created", "token_expiring"]


@pytest.mark.parametrize(
    ("came", "passed"),
    [
        (1000, 1000), (1001, 1001), (1003, 1003), (1008, 1008), (1011, 1011), (1013, 1013),
        (3000, 3000), (4999, 4999), (1005, 1000), (1004, None), (1006, None), (1015, None),
        (1016, None), (2999, None), (5000, None), (0, None), (None, None),
    ],
)  # fmt: skip
def test_codes_that_may_be_sent(came: int | None, passed: int | None) -> None:
    """Only those go on that may stand in a close frame."""
    assert sendable(came) == passed


@pytest.mark.parametrize(
    ("came", "closed"),
    [
        (4001, (4001, "upstream closed")),
        (1000, (1000, "upstream closed")),
        (1005, (1000, "upstream closed")),
        (None, (1014, "bad gateway")),
        (1015, (1014, "bad gateway")),
    ],
)
async def test_the_upstream_closes(both: Both, came: int | None, closed: tuple[int, str]) -> None:
    """So does the client, with the same code where it may be sent."""
    running, upstream = both
    client = await connected(running)
    upstream.link.say(b'{"type":"last"}')
    upstream.link.end(came)
    await turns()
    assert client.closed == closed
    told = [each.get("code", each["type"]) for each in client.received[1:]]
    lost = ["upstream_unavailable"] if closed[0] == 1014 else []
    assert told == ["realtime_connected", "last", *lost]
    assert running.count("upstream_connections") == 0


@pytest.mark.parametrize(
    ("code", "passed"), [(1000, 1000), (4321, 4321), (1005, 1000), (None, 1011)]
)
async def test_the_client_closes(both: Both, code: int | None, passed: int) -> None:
    """So does the upstream; a client that just vanished leaves an error behind."""
    running, upstream = both
    client = await connected(running)
    client.leave(code)
    await turns()
    assert upstream.link.closed == passed
    assert running.count("upstream_connections") == 0
    assert running.inside() == (0, 0, 0)


async def test_a_revoked_client_is_cut_off_from_the_upstream(both: Both) -> None:
    """Nothing more is passed on either way."""
    running, upstream = both
    client = await connected(running)
    await running.gateway.revoke(user="ann")
    assert client.closed == (3503, "force disconnect")
    upstream.link.say(b'{"late":1}')
    await turns()
    assert upstream.link.closed == 1001
    assert {"late": 1} not in client.received


async def test_a_send_that_finds_the_upstream_gone(both: Both) -> None:
    """A message on its way while the upstream is lost ends the session once."""
    running, upstream = both
    client = await connected(running)
    upstream.link.reads.clear()
    client.send_bytes(b"{}", binary=False)
    await turns()
    upstream.link.end(None)
    await turns()
    assert client.closed == (1014, "bad gateway")
    assert running.closes("bad_gateway", "realtime") == 1
    assert running.events(Event.INTERNAL_ERROR) == 0


async def test_bounds_of_a_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """Messages, bytes and time: the one beyond is not sent, and the session ends in words."""
    cases = [
        ({"max_messages": 2}, [b"1", b"2", b"3"], [b"1", b"2"]),
        ({"max_bytes": 10}, [b"12345", b"12345", b"6"], [b"12345", b"12345"]),
    ]
    for bounds, sent, passed in cases:
        async with relaying(monkeypatch, spending(**bounds)) as (running, upstream):
            client = await connected(running)
            for payload in sent:
                client.send_bytes(payload, binary=False)
                await turns()
            assert [payload for payload, _ in upstream.link.sent] == passed
            assert client.received[-1] == {
                "type": "error", "code": "quota_exceeded", "message": "Quota exceeded",
            }  # fmt: skip
            assert client.closed == (3504, "quota exceeded")


async def test_the_upstreams_bytes_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bound on bytes is for both ways together."""
    async with relaying(monkeypatch, spending(max_bytes=10)) as (running, upstream):
        client = await connected(running)
        upstream.link.say(b"x" * 11)
        await turns()
        assert client.closed == (3504, "quota exceeded")


async def test_a_session_lasts_so_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy it is."""
    async with relaying(monkeypatch, spending(max_duration=120.0)) as (running, _):
        client = await connected(running)
        for _ in range(119):
            await running.advance(1)
        assert client.closed is None
        await running.advance(2)
        assert client.closed == (3504, "quota exceeded")


async def test_tokens_of_a_day(monkeypatch: pytest.MonkeyPatch) -> None:
    """All sessions of a user count together, until midnight in Greenwich; another user's do not."""
    async with relaying(monkeypatch, spending(max_tokens=100)) as (running, upstream):
        first = await connected(running)
        upstream.link.say(done(60))
        await turns()
        assert first.closed is None
        second = await connected(running)
        upstream.link.say(done(40))
        await turns()
        assert second.closed == (3504, "quota exceeded")
        third = await proven(running)
        await tell(third, {"type": "connect_realtime"})
        assert third.closed == (3504, "quota exceeded")
        assert third.received[-1]["code"] == "quota_exceeded"
        first.leave()
        other = await connected(running, "bob")
        assert other.closed is None
        assert running.count("upstream_tokens_total") == 100
        other.leave()
        await running.advance(86400)
        tomorrow = await connected(running)
        assert tomorrow.closed is None


async def test_refused_events_are_answered_and_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection lives; what is allowed goes on."""
    given = spending(allow_events=("response.create",), pin={"instructions": "Be kind."})
    async with relaying(monkeypatch, given) as (running, upstream):
        client = await connected(running)
        opening = json.loads(upstream.link.sent[0][0])
        assert opening["session"]["instructions"] == "Be kind."
        for message in (
            {"type": "session.update", "session": {}},
            {"type": "response.create", "response": {"instructions": "Be evil."}},
            {"type": "response.create"},
        ):
            await tell(client, message)
        assert [each["code"] for each in client.all("error")] == ["event_refused"] * 2
        assert len(upstream.link.sent) == 2
        assert client.closed is None


async def test_a_transparent_client(both: Both) -> None:
    """It is sent the upstream's messages from the first on; a drain tells it once when to come back."""
    running, upstream = both
    upstream.opens.clear()
    client = await transparent(running, ttl=100.0)
    client.send_bytes(b'{"type":"response.create"}', binary=False)
    await turns()
    upstream.opens.set()
    await turns()
    assert upstream.link.model == "gpt-realtime"
    assert upstream.link.sent == [(b'{"type":"response.create"}', False)]
    upstream.link.say(b'{"type":"session.created"}')
    await turns()
    drain = asyncio.ensure_future(running.gateway.drain(1))
    await settle()
    for _ in range(20):
        await running.advance(0.1)
    await drain
    created, closing = client.received
    assert created == {"type": "session.created"}
    assert (closing["type"], closing["reason"]) == ("closing", "shutdown")
    assert closing["retryMs"] > 0
    assert client.closed == (3001, "shutdown")


async def test_a_model_of_the_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of the list is taken, another refused before anything is connected."""
    async with relaying(monkeypatch, spending(models=("a", "b"))) as (running, upstream):
        await transparent(running, "/realtime?model=b")
        assert upstream.link.model == "b"
        client = await transparent(running, "/realtime?model=c")
        assert client.received == [
            {"type": "error", "code": "model_not_allowed", "message": "Model not allowed"}
        ]
        assert client.closed == (3507, "permission denied")
        assert len(upstream.links) == 1
        asked = await proven(running)
        await tell(asked, {"type": "connect_realtime", "model": "c"})
        assert asked.received[-1]["code"] == "model_not_allowed"
        await tell(asked, {"type": "connect_realtime", "model": "b"})
        assert asked.received[-1] == {"type": "realtime_connected", "model": "b"}


async def test_an_upstream_that_refuses(both: Both) -> None:
    """The client learns that much, by message or transparent, and no more."""
    running, upstream = both
    upstream.refuses = True
    for client in (await connected(running), await transparent(running)):
        await turns()
        retry = client.received[-1].pop("retryMs")
        assert retry > 0
        assert client.received[-1] == {
            "type": "error", "code": "upstream_unavailable", "message": "Upstream unavailable",
        }  # fmt: skip
        assert client.closed == (1014, "bad gateway")
    assert running.events(Event.UPSTREAM_FAIL) == 2


async def test_a_client_that_leaves_while_the_upstream_opens(both: Both) -> None:
    """The link that comes too late is closed at once."""
    running, upstream = both
    upstream.opens.clear()
    client = await proven(running)
    await tell(client, {"type": "connect_realtime"})
    client.leave()
    await running.advance(CLOSE_TIME + 0.2)
    upstream.opens.set()
    await turns()
    assert upstream.link.closed == 1001
    assert running.count("upstream_connections") == 0


async def test_no_key_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without one every connection ends as with an upstream that refuses."""
    async with relaying(monkeypatch) as (running, _):
        relay = running.gateway.node.protocols.of(RelayService).of(
            running.gateway.node.endpoints["/realtime"]
        )
        relay.adopt(relay.rules, None)
        client = await connected(running)
        assert client.closed == (1014, "bad gateway")


async def test_reading_less_is_not_the_clients_fault(both: Both) -> None:
    """While the upstream does not read, neither a half message nor an unread pong counts against it."""
    running, upstream = both
    client = await connected(running)
    upstream.link.reads.clear()
    for _ in range(20):
        client.send_bytes(b"x" * 65536, binary=False)
    client.session.partial(True)
    client.reading = False
    for _ in range(90):
        await running.advance(1)
    assert client.closed is None
    upstream.link.reads.set()
    await turns(100)
    assert len(upstream.link.sent) == 20
    for _ in range(12):
        await running.advance(1)
    assert client.closed == (1008, "policy violation")


async def test_the_last_words_of_the_upstream_arrive(both: Both) -> None:
    """What it said before it closed is passed on, although the client is speaking meanwhile."""
    running, upstream = both
    client = await connected(running)
    for number in range(50):
        upstream.link.say(str(number).encode(), binary=True)
    upstream.link.end(4000)
    client.send_bytes(b"{}", binary=False)
    await turns(200)
    assert len(client.binary) == 50
    assert client.closed == (4000, "upstream closed")


async def test_the_other_sessions_of_a_user_stop_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once the tokens are used up, none of them starts another answer; another user's does."""
    async with relaying(monkeypatch, spending(max_tokens=100)) as (running, upstream):
        first, second, other = (
            await connected(running),
            await connected(running),
            await connected(running, "bob"),
        )
        upstream.links[0].say(done(100))
        await turns()
        assert first.closed == (3504, "quota exceeded")
        for client in (second, other):
            await tell(client, {"type": "response.create"})
        assert second.closed == (3504, "quota exceeded")
        assert (upstream.links[1].sent, other.closed) == ([], None)


async def test_usage_counts_although_it_is_one_byte_too_many(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The report that breaks the bound on bytes is counted before the session ends."""
    async with relaying(monkeypatch, spending(max_bytes=10)) as (running, upstream):
        client = await connected(running)
        upstream.link.say(done(70))
        await turns()
        assert client.closed == (3504, "quota exceeded")
        assert running.count("upstream_tokens_total") == 70
