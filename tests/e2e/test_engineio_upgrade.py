"""From long-polling to WebSocket, over every listener: nothing lost, nothing twice, nobody in between."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import InvalidStatus

from portward.model.disconnects import Disconnect
from portward.node.sessions.session import Session
from portward.wire import message as wire
from tests.e2e.engines import LISTENERS, Peer, engine, heard, rest, until
from tests.e2e.listeners import PATIENCE


@pytest.fixture(params=sorted(LISTENERS))
async def peer(request: pytest.FixtureRequest) -> AsyncIterator[Peer]:
    """An echo behind each listener."""
    async with LISTENERS[request.param](engine()) as running:
        yield running


async def probe(socket: ClientConnection) -> None:
    """Prove that the WebSocket works."""
    await socket.send("2probe")
    assert await heard(socket) == "3probe"


async def test_an_upgrade(peer: Peer) -> None:
    """A pending poll is let go, later ones do not wait, then the WebSocket carries the session."""
    sid = await peer.open()
    pending = peer.polling(sid)
    await until(lambda: peer.is_polling(sid))
    async with peer.socket(sid) as socket:
        await probe(socket)
        assert (await pending).text == "6"
        assert await peer.hear(sid) == ["6"]
        await peer.say(sid, "4by post")
        assert await peer.hear(sid) == ["4by post"]
        await peer.say(sid, "4queued\x1ebAQI=")
        await socket.send("5")
        await socket.send("4hello")
        assert [await heard(socket) for _ in range(3)] == ["4queued", b"\x01\x02", "4hello"]
        assert peer.inside() == (1, 1)
    await peer.until_inside((0, 0))


async def test_an_upgrade_in_one_breath(peer: Peer) -> None:
    """A client need not wait for the answer to its probe."""
    sid = await peer.open()
    async with peer.socket(sid) as socket:
        await socket.send("2probe")
        await socket.send("5")
        await socket.send("4hello")
        assert [await heard(socket), await heard(socket)] == ["3probe", "4hello"]


async def test_requests_after_the_upgrade(peer: Peer) -> None:
    """Polls, posts and further WebSockets with the id come to nothing, and disturb nobody."""
    sid = await peer.open()
    async with peer.socket(sid) as socket:
        await probe(socket)
        await socket.send("5")
        await until(lambda: (found := peer.gateway.engine_io.find(sid)) and not found.polling.open)
        for response in (await peer.poll(sid), await peer.post(sid, "4x"), await peer.poll(sid)):
            assert (response.status_code, response.json()["code"]) == (400, 3)
        async with peer.socket(sid) as late:
            assert await rest(late) == []
        await socket.send("4hello")
        assert await heard(socket) == "4hello"
    await peer.until_inside((0, 0))
    with pytest.raises(InvalidStatus):
        async with peer.socket(sid):
            pass


async def test_two_probes(peer: Peer) -> None:
    """Of two WebSockets the first one asks, the second is closed."""
    sid = await peer.open()
    async with peer.socket(sid) as first:
        await probe(first)
        async with peer.socket(sid) as second:
            assert await rest(second) == []
        await first.send("5")
        await first.send("4mine")
        assert await heard(first) == "4mine"


@pytest.mark.parametrize(
    "said",
    [["4hello"], ["5"], [b"2probe"], ["2"], ["2probe", "4hello"], ["2probe", "2probe"], ["abc"]],
)
async def test_a_probe_that_fails(peer: Peer, said: list[str | bytes]) -> None:
    """Whatever is not the next step closes that socket alone; the session polls on."""
    sid = await peer.open()
    async with peer.socket(sid) as socket:
        for each in said:
            await socket.send(each)
        assert await rest(socket) in ([], ["3probe"])
        assert socket.close_code == 1002
    pending = peer.polling(sid)
    await until(lambda: peer.is_polling(sid))
    await peer.say(sid, "4still here")
    assert (await pending).text == "4still here"
    async with peer.socket(sid) as again:
        await probe(again)
        await again.send("5")
        await again.send("4there")
        assert await heard(again) == "4there"


async def test_a_probe_that_leaves(peer: Peer) -> None:
    """A WebSocket that goes before its last step leaves the session to polling."""
    sid = await peer.open()
    async with peer.socket(sid) as socket:
        await probe(socket)
    await until(lambda: (found := peer.gateway.engine_io.find(sid)) and found.polling.probe is None)
    pending = peer.polling(sid)
    await until(lambda: peer.is_polling(sid))
    await peer.say(sid, "4hello")
    assert (await pending).text == "4hello"


@pytest.mark.parametrize("probed", [False, True])
async def test_the_end_of_a_session_that_is_probed(peer: Peer, probed: bool) -> None:
    """A session that ends closes the WebSocket that asked for it, before its probe or after."""
    sid = await peer.open()
    async with peer.socket(sid) as socket:
        if probed:
            await probe(socket)
        else:
            await until(lambda: (found := peer.gateway.engine_io.find(sid)) and found.polling.probe)
        peer.end(Disconnect.REVOKED)
        if probed:
            await socket.send("5")
        assert await rest(socket) == ["1"] * probed
        assert socket.close_code == Disconnect.REVOKED.code
    if not probed:
        assert await peer.hear(sid) == ["1"]
    assert (await peer.poll(sid)).status_code == 400
    await peer.until_inside((0, 0))


async def test_the_end_of_an_upgraded_session(peer: Peer) -> None:
    """After the upgrade the goodbye comes by WebSocket, with the close code."""
    sid = await peer.open()
    async with peer.socket(sid) as socket:
        await probe(socket)
        await socket.send("5")
        await socket.send("4hello")
        assert await heard(socket) == "4hello"
        peer.end(Disconnect.REVOKED)
        assert await rest(socket) == ["1"]
        assert socket.close_code == Disconnect.REVOKED.code
    await peer.until_inside((0, 0))


async def test_an_upgrade_in_a_stream(peer: Peer) -> None:
    """With two hundred messages a second no message is lost or repeated over ten upgrades."""
    for _ in range(10):
        sid = await peer.open()
        session = next(iter(peer.gateway.node.registry))
        stop = asyncio.Event()
        streaming = asyncio.create_task(_stream(session, stop))
        got: list[str] = []
        for _ in range(3):
            got += await peer.hear(sid)
        async with peer.socket(sid) as socket:
            await probe(socket)
            got += [each for each in await peer.hear(sid) if each != "6"]
            await socket.send("5")
            for _ in range(40):
                got.append(str(await heard(socket)))
            stop.set()
            count = await streaming
            while len(got) < count:
                got.append(str(await heard(socket)))
        assert got == [f"4{number}" for number in range(count)]
        await peer.until_inside((0, 0))


async def _stream(session: Session, stop: asyncio.Event) -> int:
    """Write numbered messages until it is to stop; how many they were."""
    number = 0
    async with asyncio.timeout(PATIENCE):
        while not stop.is_set():
            session.transport.write(wire.ENGINE.text(str(number).encode()))
            number += 1
            await asyncio.sleep(0.005)
    return number
