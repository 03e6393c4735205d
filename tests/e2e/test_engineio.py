"""Engine.IO, protocol 4, over real sockets: long-polling and WebSocket on every listener."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress

import httpx
import pytest
from msgspec.structs import replace
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from portward.model.disconnects import Disconnect
from portward.telemetry.events import Event
from portward.transports.http_acceptor import DRAINED
from tests.e2e.engines import LISTENERS, ORIGIN, Peer, engine, heard, rest, until

TOO_MANY = "\x1e".join(["4x"] * 1025)


@pytest.fixture(params=sorted(LISTENERS))
async def peer(request: pytest.FixtureRequest) -> AsyncIterator[Peer]:
    """An echo on each listener."""
    async with LISTENERS[request.param](engine()) as running:
        yield running


# -- the handshake


async def test_a_session_by_polling(peer: Peer) -> None:
    """The first poll is answered with all a client has to know, and not kept anywhere."""
    response = await peer.http.get(peer.url(), headers={"origin": ORIGIN})

    told = json.loads(response.text.removeprefix("0"))
    assert len(told.pop("sid")) >= 22
    assert told == {
        "upgrades": ["websocket"],
        "pingInterval": 25000,
        "pingTimeout": 10000,
        "maxPayload": 65536,
    }
    assert response.headers["content-type"] == "text/plain; charset=UTF-8"
    assert response.headers["cache-control"] == "no-store"
    assert response.headers["access-control-allow-origin"] == ORIGIN
    assert response.headers["access-control-allow-credentials"] == "true"
    assert response.headers["vary"] == "Origin"


async def test_a_session_by_websocket(peer: Peer) -> None:
    """The first message says the same, and that there is nothing to change to."""
    async with peer.socket() as socket:
        first = await heard(socket)
        assert isinstance(first, str)
        assert json.loads(first.removeprefix("0"))["upgrades"] == []
        await socket.send("4hello")
        assert await heard(socket) == "4hello"
        await socket.send(b"\x01\x02\x03\x04")
        assert await heard(socket) == b"\x01\x02\x03\x04"
        assert peer.inside() == (1, 0)
    await peer.until_inside((0, 0))


async def test_bytes_as_text(peer: Peer) -> None:
    """A client that takes no binary frames gets base64, from its handshake on or after its upgrade."""
    sid = await peer.open()
    for query in ({}, {"sid": sid}):
        async with connect(peer.url("websocket", b64="1", **query)) as socket:
            if query:
                await socket.send("2probe")
                assert await heard(socket) == "3probe"
                await socket.send("5")
            else:
                await heard(socket)
            await socket.send("bAQID")
            assert await heard(socket) == "bAQID"
            await socket.send(b"\x04")
            assert await heard(socket) == "bBA=="


async def test_the_path_without_its_slash(peer: Peer) -> None:
    """Both spellings of the path lead to the endpoint."""
    peer.base = peer.base.rstrip("/")
    sid = await peer.open()
    await peer.say(sid, "4here")
    assert await peer.hear(sid) == ["4here"]
    async with peer.socket(sid) as socket:
        await socket.send("2probe")
        assert await heard(socket) == "3probe"


BAD = [
    ("GET", {"EIO": ""}, 5),
    ("GET", {"EIO": "abc"}, 5),
    ("GET", {"EIO": "3"}, 5),
    ("GET", {"transport": ""}, 0),
    ("GET", {"transport": "abc"}, 0),
    ("GET", {"transport": "webtransport"}, 0),
    ("GET", {"sid": "unknown"}, 1),
    ("POST", {"sid": "unknown"}, 1),
    ("POST", {}, 2),
    ("PUT", {}, 2),
    ("DELETE", {}, 2),
    ("GET", {"j": "0"}, 3),
    ("GET", {"bad": "%zz"}, 0),
]


@pytest.mark.parametrize(("method", "query", "code"), BAD)
async def test_a_request_that_is_none(
    peer: Peer, method: str, query: dict[str, str], code: int
) -> None:
    """Each mistake has its code, and leaves nothing behind."""
    url = peer.url(**{"transport": "polling"} | query)
    response = await peer.http.request(method, url, headers={"origin": ORIGIN})

    assert response.status_code == 400
    assert response.json()["code"] == code
    assert response.json()["message"]
    assert response.headers["access-control-allow-origin"] == ORIGIN
    assert peer.inside() == (0, 0)


async def test_a_head_request_is_no_handshake(peer: Peer) -> None:
    """HEAD is refused without words."""
    response = await peer.http.head(peer.url())
    assert (response.status_code, response.content) == (400, b"")


async def test_a_websocket_address_without_an_upgrade(peer: Peer) -> None:
    """What wants a WebSocket has to ask for one."""
    url = peer.url(transport="websocket").replace("ws://", "http://")
    response = await peer.http.get(url)
    assert (response.status_code, response.json()["code"]) == (400, 3)


@pytest.mark.parametrize("query", ["EIO=3&transport=websocket", "EIO=4&transport=polling", "EIO=4"])
async def test_a_websocket_that_asks_wrongly(peer: Peer, query: str) -> None:
    """A handshake for another protocol is refused."""
    peer.url = lambda *_, **__: f"ws://{peer.base}?{query}"  # type: ignore[method-assign]  # one address
    with pytest.raises(InvalidStatus) as refused:
        async with peer.socket():
            pass
    assert refused.value.response.status_code in {400, 403}
    assert peer.inside() == (0, 0)


async def test_a_preflight(peer: Peer) -> None:
    """A page of an allowed origin is told what it may send; any other is told nothing."""
    response = await peer.http.options(peer.url(), headers={"origin": ORIGIN})
    assert response.status_code == 204
    assert response.headers["access-control-allow-origin"] == ORIGIN
    assert response.headers["access-control-allow-methods"] == "GET, POST"
    allowed = response.headers["access-control-allow-headers"]
    assert allowed.startswith("content-type, authorization, traceparent")

    other = await peer.http.options(peer.url(), headers={"origin": "https://evil.example"})
    assert other.status_code == 204
    assert not any(name.startswith("access-control") for name in other.headers)


# -- messages by polling


async def test_one_text(peer: Peer) -> None:
    """Text comes back in answer to the next poll."""
    sid = await peer.open()
    await peer.say(sid, "4hello €")
    assert await peer.hear(sid) == ["4hello €"]


async def test_several_packets(peer: Peer) -> None:
    """What came together leaves together, in order, bytes in base64."""
    sid = await peer.open()
    await peer.say(sid, "4one\x1ebAQIDBA==\x1e4two\x1e3\x1e6\x1eb\x1e4")
    assert await peer.hear(sid) == ["4one", "bAQIDBA==", "4two", "b", "4"]


async def test_a_poll_waits(peer: Peer) -> None:
    """A poll with nothing to say is answered when there is something, once per turn."""
    sid = await peer.open()
    pending = peer.polling(sid)
    await peer.say(sid, "4a\x1e4b")
    assert (await pending).text == "4a\x1e4b"
    pending = peer.polling(sid)
    await peer.say(sid, "4c")
    assert (await pending).text == "4c"


@pytest.mark.parametrize(
    "body",
    ["abc", "", "4a\x1e", "b!!!!", "bAQ", "bAQI", "b=", TOO_MANY, "0{}", "2", "5", b"4\xff"],
)
async def test_a_packet_that_is_none(peer: Peer, body: str | bytes) -> None:
    """A mistake in what is posted is answered with 400, and ends the session: so is the next poll."""
    sid = await peer.open()
    response = await peer.post(sid, body)
    assert response.status_code == 400
    after = await peer.poll(sid)
    assert (after.status_code, after.json()["code"]) == (400, 1)
    await peer.until_inside((0, 0))


async def test_a_body_over_the_limit(peer: Peer) -> None:
    """Too much is refused by its announced length, and ends the session."""
    sid = await peer.open()
    pending = peer.polling(sid)
    await until(lambda: peer.is_polling(sid))
    response = await peer.post(sid, "4" + "x" * 65536)
    assert response.status_code == 413
    assert (await pending).text == "1"
    await peer.until_inside((0, 0))


async def test_a_body_of_unknown_length(peer: Peer) -> None:
    """A body that does not say how long it is is refused, and as it is missing the session ends."""

    async def pieces() -> AsyncIterator[bytes]:
        yield b"4hello"

    sid = await peer.open()
    response = await peer.http.post(peer.url(sid=sid), content=pieces())
    assert response.status_code == 411
    assert (await peer.poll(sid)).status_code == 400
    await peer.until_inside((0, 0))


async def test_the_largest_message(peer: Peer) -> None:
    """A body of exactly the limit is taken."""
    sid = await peer.open()
    await peer.say(sid, "4" + "x" * 65535)
    assert await peer.hear(sid) == ["4" + "x" * 65535]


# -- conduct


async def test_two_polls_at_once(peer: Peer) -> None:
    """A second poll ends the session: the first is told, the second refused."""
    sid = await peer.open()
    first = peer.polling(sid)
    await until(lambda: peer.is_polling(sid))
    second = await peer.poll(sid)

    assert (await first).text == "1"
    assert (second.status_code, second.json()["code"]) == (400, 3)
    assert (await peer.poll(sid)).status_code == 400
    await peer.until_inside((0, 0))


async def test_a_poll_given_up(peer: Peer) -> None:
    """Who leaves while polling has left the session."""
    sid = await peer.open()
    pending = peer.polling(sid)
    await until(lambda: peer.is_polling(sid))
    pending.cancel()
    await peer.until_inside((0, 0))
    assert (await peer.poll(sid)).status_code == 400


async def test_a_flood_behind_a_poll(peer: Peer) -> None:
    """Who sends much behind a poll has given it up, and with it the session."""
    sid = await peer.open()
    with suppress(httpx.HTTPError):  # at our own listener there is no answer any more
        response = await peer.http.request("GET", peer.url(sid=sid), content=bytes(4 * DRAINED))
        assert response.status_code == 400
    await peer.until_inside((0, 0))
    assert (await peer.poll(sid)).json()["code"] == 1


async def test_goodbye_by_polling(peer: Peer) -> None:
    """A client that closes has its poll answered, and is gone."""
    sid = await peer.open()
    pending = peer.polling(sid)
    await until(lambda: peer.is_polling(sid))
    await peer.say(sid, "1")

    assert (await pending).text == "6"
    assert (await peer.poll(sid)).status_code == 400
    await peer.until_inside((0, 0))


async def test_goodbye_by_websocket(peer: Peer) -> None:
    """A client that closes by packet is closed in order."""
    async with peer.socket() as socket:
        await heard(socket)
        await socket.send("1")
        assert await rest(socket) == []
    assert socket.close_code == 1000
    await peer.until_inside((0, 0))


@pytest.mark.parametrize("packet", ["abc", "", "2", "5", "0{}"])
async def test_a_packet_that_is_none_by_websocket(peer: Peer, packet: str) -> None:
    """A mistake ends the connection."""
    async with peer.socket() as socket:
        await heard(socket)
        await socket.send(packet)
        assert await rest(socket) == ["1"]
    assert socket.close_code == 1002
    await peer.until_inside((0, 0))


async def test_the_end_of_a_session(peer: Peer) -> None:
    """A session the gateway ends says goodbye by the poll, and its id is forgotten."""
    sid = await peer.open()
    pending = peer.polling(sid)
    await until(lambda: peer.is_polling(sid))
    peer.end(Disconnect.REVOKED)
    assert (await pending).text == "1"
    assert (await peer.poll(sid)).status_code == 400
    await peer.until_inside((0, 0))


async def test_the_end_of_a_session_that_does_not_poll(peer: Peer) -> None:
    """Without a poll the goodbye waits a moment for one."""
    sid = await peer.open()
    peer.end(Disconnect.REVOKED)
    assert await peer.hear(sid) == ["1"]
    await peer.until_inside((0, 0))


# -- heartbeats


@pytest.fixture(params=sorted(LISTENERS))
async def brisk(request: pytest.FixtureRequest) -> AsyncIterator[Peer]:
    """An echo that pings often."""
    async with LISTENERS[request.param](engine(ping_interval=0.2, pong_timeout=0.5)) as running:
        yield running


async def test_heartbeats(brisk: Peer) -> None:
    """The gateway pings on both transports; who answers stays, who does not is gone."""
    sid = await brisk.open()
    async with brisk.socket() as socket:
        await heard(socket)
        for _ in range(3):
            assert await heard(socket) == "2"
            await socket.send("3")
            assert set(await brisk.hear(sid)) == {"2"}
            await brisk.say(sid, "3")
        assert set(await rest(socket)) <= {"1", "2"}
    await brisk.until_inside((0, 0))
    assert (await brisk.poll(sid)).status_code == 400
    assert brisk.events(Event.HB_TIMEOUT) == 2


# -- refusals at the gate


@pytest.mark.parametrize("listener", sorted(LISTENERS))
async def test_draining(listener: str) -> None:
    """A node that drains turns newcomers away, says goodbye to the others, and lets them hear it."""
    async with LISTENERS[listener](engine()) as peer:
        sid = await peer.open()
        drain = asyncio.create_task(peer.gateway.drain(5.0))
        await until(lambda: peer.gateway.node.draining)
        refused = await peer.http.get(peer.url(), headers={"origin": ORIGIN})
        assert (refused.status_code, refused.content) == (503, b"")
        assert refused.headers["retry-after"]
        assert refused.headers["access-control-allow-origin"] == ORIGIN
        assert (await peer.hear(sid))[-1] == "1"
        await drain


@pytest.mark.parametrize("listener", sorted(LISTENERS))
async def test_rates_and_caps(listener: str) -> None:
    """Only a new session counts as a connection and as an attempt."""
    settings = engine()
    limits = replace(
        settings.endpoints["engine"].limits, connections=replace(settings.limits.connections, max=2)
    )
    async with LISTENERS[listener](engine(limits=limits)) as peer:
        sids = [await peer.open(), await peer.open()]
        for _ in range(3):
            for sid in sids:
                await peer.say(sid, "4hi")
                assert await peer.hear(sid) == ["4hi"]
        refused = await peer.http.get(peer.url())
        assert (refused.status_code, refused.content) == (429, b"")
        await peer.say(sids[0], "1")
        await peer.until_inside((1, 1))
        await peer.open()
