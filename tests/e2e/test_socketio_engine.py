"""Engine.IO as anybody may speak it by hand, on both transports: handshake, packets, heartbeat, upgrade."""

import asyncio
from collections.abc import Iterator

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.e2e.gateways import own_listener, until
from tests.e2e.socketio_client import PATIENCE
from tests.e2e.socketio_raw import (
    APPLICATION,
    SEPARATOR,
    SIZE,
    TRANSPORTS,
    Opener,
    Polling,
    application,
    closed,
    polling,
    visitor,
    websocket,
)

pytestmark = pytest.mark.p1

ECHO = "/engine.io/"
BRISK = "/brisk/engine.io/"
LIVELY = "/lively/engine.io/"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The application, one for all tests here."""
    with application(tmp_path_factory.mktemp("application")) as address:
        yield address


@pytest.fixture(params=list(TRANSPORTS))
def opener(request: pytest.FixtureRequest) -> Opener:
    """Each transport."""
    return TRANSPORTS[request.param]


# -- the handshake


async def test_what_a_session_is_told(place: str) -> None:
    """The first packet tells the id, the times, the size, and what one may change to."""
    times = {"pingInterval": 300, "pingTimeout": 200, "maxPayload": SIZE}
    async with polling(place, BRISK) as poller, websocket(place, BRISK) as socket:
        for peer, upgrades in ((poller, ["websocket"]), (socket, [])):
            sid = peer.opening.pop("sid")
            assert isinstance(sid, str)
            assert len(sid) >= 20
            assert peer.opening == times | {"upgrades": upgrades}
            peer.opening["sid"] = sid


@pytest.mark.parametrize(
    ("method", "query", "code"),
    [
        ("GET", {"EIO": ""}, 5),
        ("GET", {"EIO": "3"}, 5),
        ("GET", {"EIO": "abc"}, 5),
        ("GET", {"transport": ""}, 0),
        ("GET", {"transport": "abc"}, 0),
        ("GET", {"transport": "websocket"}, 3),
        ("GET", {"sid": "unknown"}, 1),
        ("POST", {"sid": "unknown"}, 1),
        ("POST", {}, 2),
        ("PUT", {}, 2),
        ("DELETE", {}, 2),
    ],
)
async def test_a_request_that_is_none(
    place: str, method: str, query: dict[str, str], code: int
) -> None:
    """What is wrong with a request is told with 400 and the protocol's number for it."""
    async with visitor(place, ECHO) as peer:
        url = peer.url(**query).replace("ws:", "http:")
        response = await peer.http.request(method, url)
    assert response.status_code == 400
    told = response.json()
    assert told["code"] == code
    assert told["message"]


@pytest.mark.parametrize(
    "query", [{"EIO": ""}, {"EIO": "abc"}, {"transport": ""}, {"transport": "abc"}, {"sid": "x"}]
)
async def test_a_websocket_that_is_none(place: str, query: dict[str, str]) -> None:
    """A WebSocket that asks wrongly does not open."""
    async with visitor(place, ECHO) as peer:
        url = peer.url(**({"transport": "websocket"} | query)).replace("http:", "ws:")
    with pytest.raises(InvalidStatus) as caught:
        await connect(url).__aenter__()
    assert caught.value.response.status_code == 400


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH"])
async def test_a_method_that_is_none(place: str, method: str) -> None:
    """A session knows GET and POST, and survives everything else."""
    async with polling(place, ECHO) as peer:
        response = await peer.http.request(method, peer.url(sid=peer.sid))
        assert response.status_code == 400
        await peer.say("still here")
        assert await peer.message() == "still here"


# -- messages


async def test_messages(place: str, opener: Opener) -> None:
    """Text and bytes come back as they were, in order."""
    async with opener(place, ECHO) as peer:
        for each in ("4hello", b"\x01\x02\x03\x04", "4", "4€ 🙂 \u2028", b"", b"\x1e" * 100):
            await peer.send(each)
            assert await peer.message() == (each if isinstance(each, bytes) else each[1:])


async def test_the_largest_message(place: str, opener: Opener) -> None:
    """A message of the announced size passes; a larger one ends the session."""
    async with opener(place, ECHO) as peer:
        await peer.say("x" * (SIZE - 1))
        assert await peer.message() == "x" * (SIZE - 1)
        await peer.say("x" * (SIZE + 1))
        await closed(peer)


async def test_packets_together(place: str) -> None:
    """Several packets of one request are taken in order, and their answers leave together."""
    async with polling(place, ECHO) as peer:
        response = await peer.post(SEPARATOR.join(["4one", "bAQIDBA==", "4", "4four"]))
        assert (response.status_code, response.text) == (200, "ok")
        assert (await peer.get()).text == SEPARATOR.join(["4one", "bAQIDBA==", "4", "4four"])


async def test_a_hundred_packets_together(place: str) -> None:
    """As many packets as fit into a request are taken: clients put all that waits into one."""
    async with polling(place, ECHO) as peer:
        await peer.post(SEPARATOR.join(f"4{n}" for n in range(100)))
        assert [await peer.message() for _ in range(100)] == [str(n) for n in range(100)]


@pytest.mark.parametrize(
    "packet", ["", "x", "abc", "7", "0", "5", "2", "bA", "b*", f"4a{SEPARATOR}", f"{SEPARATOR}4a"]
)
async def test_a_post_that_is_none(place: str, packet: str) -> None:
    """A mistake in a post ends the session."""
    async with polling(place, ECHO) as peer:
        assert (await peer.post(packet)).status_code == 400
        await closed(peer)


@pytest.mark.parametrize("packet", ["", "x", "abc", "7", "0", "5", "2"])
async def test_a_websocket_packet_that_is_none(place: str, packet: str) -> None:
    """A mistake in a WebSocket message ends the session."""
    async with websocket(place, ECHO) as peer:
        await peer.send(packet)
        await closed(peer)


async def test_two_polls_at_once(place: str) -> None:
    """A second poll beside a waiting one ends the session."""
    async with polling(place, ECHO) as peer:
        first = asyncio.create_task(peer.get())
        second = asyncio.create_task(peer.get())
        answers = sorted([(await each).status_code for each in (first, second)])
        assert answers == [200, 400]
        texts = [each.result().text for each in (first, second) if each.result().status_code == 200]
        assert texts == ["1"]
        await closed(peer)


async def test_goodbye(place: str, opener: Opener) -> None:
    """A client that says goodbye is gone; its waiting poll is answered."""
    async with opener(place, ECHO) as peer:
        if isinstance(peer, Polling):
            waiting = asyncio.create_task(peer.get())
            while True:  # the poll has to wait before it can be answered
                await peer.say("there?")
                if (await waiting).text == "4there?":
                    break
            waiting = asyncio.create_task(peer.get())
            await peer.send("1")
            answer = await waiting
            # A goodbye that overtakes the poll leaves nothing to ask for.
            assert (answer.status_code, answer.text[:1]) in {(200, "6"), (400, "{")}
        else:
            await peer.send("1")
        await closed(peer)


# -- heartbeats


async def test_heartbeats(place: str, opener: Opener) -> None:
    """Who answers pings stays."""
    async with opener(place, LIVELY) as peer:
        for _ in range(4):
            assert await peer.hear() == "2"
            await peer.send("3")
        await peer.say("still here")
        while (packet := await peer.hear()) == "2":
            await peer.send("3")
        assert packet == "4still here"


async def test_silence(place: str, opener: Opener) -> None:
    """Who answers no ping is gone, polls or not: its requests are refused, its WebSocket closed."""
    async with opener(place, BRISK) as peer:
        async with asyncio.timeout(PATIENCE):
            assert await peer.hear() == "2"
            assert await peer.hear() is None
        if isinstance(peer, Polling):
            assert (await peer.get()).status_code == 400
            assert (await peer.post("4hello")).status_code == 400


async def test_a_poll_that_comes_too_late() -> None:
    """A client that slept through its heartbeat finds its session unknown, not a goodbye to it."""
    async with own_listener(APPLICATION) as served, polling(served.base[5:], BRISK) as peer:
        await until(lambda: served.gateway.connections() == [])
        assert (await peer.get()).status_code == 400


async def test_a_session_nobody_polls(place: str) -> None:
    """A session that is not polled at all ends the same way, and is forgotten."""
    async with polling(place, BRISK) as peer:

        async def forgotten() -> bool:
            # What no session takes tells whether there is one, and is no sign of life.
            response = await peer.http.put(peer.url(sid=peer.sid))
            return bool(response.json()["code"] == 1)

        await until(forgotten)
        assert (await peer.get()).json()["code"] == 1


# -- the upgrade


async def test_an_upgrade(place: str) -> None:
    """A session goes on over its WebSocket after the probe, and polls no more."""
    async with (
        polling(place, ECHO) as peer,
        connect(peer.url("websocket", peer.sid), open_timeout=PATIENCE) as socket,
    ):
        waiting = asyncio.create_task(peer.get())
        await socket.send("2probe")
        assert await socket.recv() == "3probe"
        assert (await waiting).text == "6"
        await peer.say("by polling")
        await socket.send("5")
        assert await socket.recv() == "4by polling"
        await socket.send("4by websocket")
        assert await socket.recv() == "4by websocket"
        for response in (await peer.get(), await peer.post("4late")):
            assert response.status_code == 400
        async with connect(peer.url("websocket", peer.sid), open_timeout=PATIENCE) as another:
            with pytest.raises(ConnectionClosed):
                await another.recv()
        await socket.send(b"\x01\x02")
        assert await socket.recv() == b"\x01\x02"


@pytest.mark.parametrize("word", ["5", "2", "4hello", "2probes", b"2probe"])
async def test_a_probe_that_is_none(place: str, word: str | bytes) -> None:
    """A WebSocket that does not begin with the probe is closed; the session goes on polling."""
    async with polling(place, ECHO) as peer:
        async with connect(peer.url("websocket", peer.sid), open_timeout=PATIENCE) as socket:
            await socket.send(word)
            with pytest.raises(ConnectionClosed):
                await socket.recv()
        await peer.say("still here")
        assert await peer.message() == "still here"
