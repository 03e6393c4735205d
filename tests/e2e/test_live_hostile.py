"""Hostile pages on the live endpoint: nobody else is disturbed."""

import asyncio
import json
from contextlib import suppress
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from tests.e2e.gateways import LISTENERS, own_listener, until
from tests.e2e.live_client import VIOLATION, Site, site, status, view
from tests.e2e.provider_server import COOKIE, said, user
from tests.identity.standin_server import response

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

TRICKS = (
    *("*", "%2A", "event:*", "event:%2A", "live:*", "live:event:1", "**", "event:{id}", "?"),
    *("event:1/../2", "event:..%2fusers", "rooms:x", "alerts:*", "\uff0a", "event:\uff11"),
)
"""What somebody tries who would like to hear everything."""


@pytest.fixture(params=list(LISTENERS))
def runner(request: pytest.FixtureRequest) -> Site:
    """Each listener in turn."""
    return site(LISTENERS[request.param])


async def test_guessed_topics(runner: Site) -> None:
    """However `*` is spelt, nothing is heard that was not allowed by name."""
    async with runner() as (place, provider):
        provider.login("ann", "ann", "1")
        provider.login("eve", "eve")
        async with view(place.live, "ann") as ann, view(place.live, "eve") as eve:
            await ann.subscribe("event:1")
            for trick in TRICKS:
                answer = await eve.ask("subscribe", trick)
                assert answer["type"] == "error", trick
                assert answer["code"] in {"forbidden", "protocol-violation"}, trick
            await place.gateway.live.publish("event:1", "secret", key="k")
            await ann.data()
            await eve.silence()
        assert {path for path, _ in provider.asked if "items" in path} == {
            "/items/events/1?fields=id"
        }


def hostile() -> list[str]:
    """Messages of somebody who means no good."""
    deep = "[" * 30_000 + "]" * 30_000
    messages: list[Any] = [
        {"type": "subscribe", "topic": "x" * 65_000},
        {"type": "subscribe", "topic": "event:" + "1" * 65_000},
        {"type": "subscribe", "topic": ["event:1"] * 5_000},
        {"type": "subscribe", "topic": "event:1", "id": "x" * 60_000},
        {"type": "subscribe", "topic": "event:1", "id": {"a": 1}},
        {"type": "subscribe", "topic": "event:1", "snapshot": []},
        {"type": "x" * 60_000},
        {"type": "error", "code": "forbidden"},
    ]
    texts = [json.dumps(each) for each in messages]
    return [
        *texts,
        deep,
        '{"type":"subscribe","topic":"\\ud800"}',
        '{"a":1e999}',
        '{"__proto__":{}}',
    ]


async def test_hostile_messages(runner: Site) -> None:
    """Each is answered with an error or with nothing worse than its own connection's end."""
    async with runner() as (place, provider):
        provider.login("ann", "ann", "1")
        provider.login("eve", "eve", "2")
        async with view(place.live, "ann") as ann:
            await ann.subscribe("event:1")
            for text in hostile():
                async with view(place.live, "eve") as eve:
                    await eve.socket.send(text)
                    answer = await eve.hear()
                    assert answer["type"] == "error", text[:80]
                    assert len(json.dumps(answer)) < 200_000
                    await eve.subscribe("event:2")
                await place.gateway.live.publish("event:1", "still")
                assert (await ann.data())["data"] == "still"


async def test_faults_in_a_row(runner: Site) -> None:
    """Twenty of them end the connection, and only that one."""
    async with runner() as (place, provider):
        provider.login("ann", "ann", "1")
        provider.login("eve", "eve")
        async with view(place.live, "ann") as ann, view(place.live, "eve") as eve:
            await ann.subscribe("event:1")
            for _ in range(30):
                with suppress(ConnectionClosed):
                    await eve.socket.send("{")
            heard = await eve.goodbye()
            assert heard == [VIOLATION] * len(heard)
            assert (len(heard) in {19, 20}, eve.closed) == (True, (3501, "bad request"))
            await place.gateway.live.publish("event:1", "still")
            await ann.data()


async def test_flood(runner: Site) -> None:
    """Under the limits everybody has, a flood ends the flooder and nobody hears less."""
    async with runner(_limits()) as (place, provider):
        provider.login("ann", "ann", "1")
        provider.login("eve", "eve", "1")
        async with view(place.live, "ann") as ann, view(place.live, "eve") as eve:
            await ann.subscribe("event:1")
            await eve.subscribe("event:1")
            message = json.dumps({"type": "subscribe", "topic": "event:1"})

            async def flood() -> None:
                with suppress(ConnectionClosed):
                    for _ in range(3000):
                        await eve.socket.send(message)

            flooding = asyncio.create_task(flood())
            for number in range(50):
                await place.gateway.live.publish("event:1", number)
                assert (await ann.data())["data"] == number
            await eve.goodbye()
            await flooding
            assert eve.closed[0] in {1008, 3013}


async def test_leaving_often(runner: Site) -> None:
    """Who is answered `unsubscribed` has done nothing wrong, however often."""
    async with runner() as (place, provider):
        provider.login("ann", "ann", "1")
        async with view(place.live, "ann") as ann:
            for _ in range(25):
                left = await ann.ask("unsubscribe", "event:1")
                assert left == {"type": "unsubscribed", "topic": "event:1"}


def _limits() -> str:
    """The limits that are there without being written down, in place of none."""
    return (
        '[endpoints.live.limits.frames]\nrate = "200/s"\nburst = 400\n'
        '[endpoints.live.limits.messages]\nrate = "600/min"\n'
    )


async def test_odd_cookies(runner: Site) -> None:
    """A cookie header that is huge, doubled or full of control bytes is nobody's, and costs nobody else."""
    async with runner() as (place, provider):
        provider.login("ann", "ann", "1")
        async with view(place.live, "ann") as ann:
            await ann.subscribe("event:1")
            odd = ["x" * 6000, "ann; " + COOKIE + "=eve", '"ann"', "an\tn", "ann%00", "", "=" * 50]
            for value in odd:
                assert await status(place.live, value) in {400, 401, 503}, value[:20]
            await place.gateway.live.publish("event:1", "still")
            await ann.data()


async def test_a_cookie_that_is_too_long() -> None:
    """A header of more than 8 KiB is refused before anybody looks into it."""
    async with site(own_listener)() as (place, provider):
        assert await status(place.live, "x" * 9000) == 431
        assert provider.asked == []


async def test_many_strangers(runner: Site) -> None:
    """While strangers guess cookies the provider is asked fifty things at once, and the others hear on."""
    gate = asyncio.Event()
    thinking: list[int] = [0]

    async def think(writer: asyncio.StreamWriter) -> None:
        thinking.append(thinking[-1] + 1)
        await gate.wait()
        thinking.append(thinking[-1] - 1)
        writer.write(response(b"{}", "401 Unauthorized", "Connection: close"))
        await writer.drain()

    async with runner() as (place, provider):
        provider.login("ann", "ann", "1")
        async with view(place.live, "ann") as ann:
            await ann.subscribe("event:1")
            guesses = [f"guess-{number}" for number in range(80)]
            provider.troubles.update(dict.fromkeys(guesses, think))
            outcomes = asyncio.gather(*(status(place.live, guess) for guess in guesses))
            await until(lambda: max(thinking) == 50)
            await place.gateway.live.publish("event:1", "still")
            await ann.data()
            assert await status(place.live, "ann") == 101
            gate.set()
            assert set(await outcomes) <= {401, 503}
            assert max(thinking) == 50


async def test_abandoned_handshakes(runner: Site) -> None:
    """Pages that leave while the provider thinks about them leave nothing behind."""
    gate = asyncio.Event()

    async def think(writer: asyncio.StreamWriter) -> None:
        await gate.wait()
        writer.write(said(user("eve")))
        await writer.drain()

    async with runner() as (place, provider):
        provider.troubles["eve"] = think
        comers = [asyncio.create_task(status(place.live, "eve")) for _ in range(10)]
        await until(lambda: bool(provider.asked))
        for comer in comers:
            comer.cancel()
        await asyncio.gather(*comers, return_exceptions=True)
        gate.set()
        assert await status(place.live, "eve") == 101
        await until(lambda: not place.gateway.live.connections())
        assert place.metric('portward_connections{endpoint="live"}') == 0
