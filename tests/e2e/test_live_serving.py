"""How live connections end, and how the application takes them over."""

import asyncio
import socket
from typing import Any

import pytest
from websockets.asyncio.client import connect

from portward.node.sessions.connection_handle import ConnectionHandle
from tests.e2e.gateways import LISTENERS, until
from tests.e2e.listeners import PATIENCE
from tests.e2e.live_client import VIOLATION, Site, Viewer, page, site, status, view
from tests.identity.standin_server import response

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture(params=list(LISTENERS))
def runner(request: pytest.FixtureRequest) -> Site:
    """Each listener in turn."""
    return site(LISTENERS[request.param])


def small_pipe(url: str) -> socket.socket:
    """A connection whose receiving side holds next to nothing."""
    host, port = url.removeprefix("ws://").split("/")[0].split(":")
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.connect((host, int(port)))
    return raw


async def test_back_pressure(runner: Site) -> None:
    """Who stops reading is closed with 1008, others hear everything, and a fresh snapshot waits."""
    small = '[endpoints.live]\nbackpressure_threshold = "256KiB"\n'
    async with runner(small) as (place, provider), view_as(place.live, provider, "bob") as bob:
        ended: asyncio.Queue[tuple[Any, str]] = asyncio.Queue()

        async def closed(connection: ConnectionHandle, reason: str) -> None:
            ended.put_nowait(((connection.user or {})["id"], reason))

        place.gateway.live.on_close = closed
        await bob.subscribe("event:1")
        provider.login("slow", "sam", "1")
        options = page("slow", compression=None) | {"max_queue": 1}
        async with connect(place.live, sock=small_pipe(place.live), **options) as sleeper:
            slow = Viewer(sleeper)
            await slow.subscribe("event:1")
            sent = 0
            while ended.empty():
                sent += 1
                assert sent < 2000
                await place.gateway.live.publish("event:1", f"{sent} " + "x" * 50_000, key="k")
                assert (await bob.data())["offset"] == sent
            assert await ended.get() == ("sam", "slow")
            heard = [each for each in await slow.goodbye() if each["type"] == "data"]
            assert [each["offset"] for each in heard] == list(range(1, len(heard) + 1))
            assert len(heard) < sent
            assert slow.closed == (1008, "back-pressure threshold exceeded")
        async with view(place.live, "slow") as again:
            (newest,) = (await again.subscribe("event:1"))["snapshot"]
            assert newest["offset"] == sent
            await place.gateway.live.publish("event:1", "on")
            assert (await again.data())["offset"] == sent + 1
            assert (await bob.data())["offset"] == sent + 1


def view_as(url: str, provider: Any, name: str) -> Any:
    """A page of somebody who is logged in and may hear event 1."""
    provider.login(f"cookie-of-{name}", name, "1", "2")
    return view(url, f"cookie-of-{name}")


async def test_stop(runner: Site) -> None:
    """At the end nobody comes in, and all are closed with 1001 and told so in the reason."""
    async with runner() as (place, provider), view_as(place.live, provider, "ann") as ann:
        await ann.subscribe("event:1")
        draining = asyncio.create_task(place.gateway.drain(2.0))
        assert [each["type"] for each in await ann.goodbye()] == ["shutdown"]
        assert ann.closed == (1001, "server shutting down")
        assert await status(place.live, "cookie-of-ann") == 503
        await draining


async def test_logout(runner: Site) -> None:
    """Who logs out is closed with 3503 when the provider is asked again; others stay, troubles or not."""
    async with runner(revalidate='"1s"') as (place, provider):
        ann, bob = view_as(place.live, provider, "ann"), view_as(place.live, provider, "bob")
        async with ann as leaving, bob as staying:
            await leaving.subscribe("event:1")
            await staying.subscribe("event:1")
            provider.logout("cookie-of-ann")
            provider.troubles["cookie-of-bob"] = response(b"", "500 Internal Server Error")
            heard = await asyncio.wait_for(leaving.goodbye(), 3 * PATIENCE)
            assert [each for each in heard if each["type"] == "data"] == []
            assert leaving.closed == (3503, "force disconnect")
            await place.gateway.live.publish("event:1", "on")
            assert (await staying.data())["data"] == "on"


async def test_own_handler(runner: Site) -> None:
    """The application answers in place of the subscriptions, and hears of every end."""
    closes: list[tuple[str, str]] = []
    heard: list[Any] = []

    async def answer(connection: ConnectionHandle, message: Any) -> None:
        heard.append(message)
        if message == "raise":
            raise RuntimeError(f"the cookie is not told: {message}")
        await connection.send({"echo": message, "user": (connection.user or {})["id"]})
        if message == "close":
            connection.close()

    async def closed(connection: ConnectionHandle, reason: str) -> None:
        closes.append((connection.id, reason))

    async with runner() as (place, provider), view_as(place.live, provider, "ann") as ann:
        place.gateway.live.on_message, place.gateway.live.on_close = answer, closed
        (connection,) = place.gateway.live.connections()
        for text, value in (
            ('{"type":"subscribe","topic":"event:1"}', {"type": "subscribe", "topic": "event:1"}),
            ("[1, null]", [1, None]),
            ('"text"', "text"),
        ):
            await ann.socket.send(text)
            assert await ann.hear() == {"echo": value, "user": "ann"}
        await ann.socket.send("{")
        assert await ann.hear() == VIOLATION
        await ann.socket.send('"raise"')
        told = await ann.hear()
        assert (told["type"], "cookie" in str(told)) == ("error", False)
        await ann.socket.send('"close"')
        assert await ann.hear() == {"echo": "close", "user": "ann"}
        assert await ann.goodbye() == []
        assert ann.closed[0] == 1000
        await until(lambda: bool(closes))
        assert closes == [(connection.id, "normal")]
        assert len(heard) == 5
        place.gateway.live.on_message = None
        async with view(place.live, "cookie-of-ann") as again:
            await again.subscribe("event:1")


async def test_binary_and_large_messages(runner: Site) -> None:
    """Binary closes with 1003 and more than 64 KiB with 1009; a topic that long alone is no message."""
    async with runner() as (place, provider):
        async with view_as(place.live, provider, "ann") as ann:
            await ann.socket.send(b'{"type":"subscribe","topic":"event:1"}')
            assert await ann.goodbye() == []
            assert ann.closed[0] == 1003
        async with view_as(place.live, provider, "ann") as ann:
            await ann.socket.send('{"type":"subscribe","topic":"' + "x" * 65536 + '"}')
            assert await ann.goodbye() == []
            assert ann.closed[0] == 1009


async def test_pings(runner: Site) -> None:
    """A silent connection is pinged, and its answers are seen."""
    quick = '[endpoints.live]\nping_interval = "100ms"\n'
    async with runner(quick) as (place, provider), view_as(place.live, provider, "ann") as ann:
        (connection,) = place.gateway.live.connections()
        seen = connection.last_seen_at
        await until(lambda: connection.last_seen_at > seen + 0.05)
        await ann.silence()
