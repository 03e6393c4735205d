"""Hostile subscribers of alerts: nobody else is disturbed."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed

from tests.e2e.alerts_client import Watcher, visitor
from tests.e2e.gateways import LISTENERS, UNLIMITED, Place, own_listener

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

COLD = '[namespaces.alerts]\ncooldown = "0s"\n'


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    """A gateway without limits."""
    # Alerts have a rate of their own for subscribing, which is charged by call ids.
    free = '[endpoints.alerts.limits.join]\nrate = "none"\n'
    async with own_listener(UNLIMITED + COLD + free) as place:
        yield place


@pytest.fixture
async def ann(place: Place) -> AsyncIterator[Watcher]:
    """Somebody who watches call 1 and expects to go on doing so."""
    async with visitor(place, "ann") as ann:
        await ann.subscribe("1")
        yield ann


async def still_heard(place: Place, ann: Watcher) -> None:
    """An alert of her call reaches Ann, and nothing else has."""
    await place.gateway.alerts.publish("1", "note", "low", {})
    assert (await ann.alert())["callId"] == "1"
    await ann.silence()


def wrong() -> list[Any]:
    """Messages of the wrong types."""
    ask = {"type": "subscribe", "callIds": ["1"]}
    values: list[Any] = [None, 7, -1, 1.5, True, "x", "", [], [None], {}, {"a": []}]
    wrong: list[Any] = [None, 7, True, "subscribe", [], [ask], {}, {"callIds": ["1"]}]
    wrong += [{"type": value} for value in values if not isinstance(value, str)]
    wrong += [{"type": kind, "callIds": {}} for kind in ("subscribe", "unsubscribe")]
    wrong += [{**ask, "since": value} for value in values]
    wrong += [{**ask, "since": {"1": value}} for value in values]
    wrong += [{**ask, "since": {"1": {"offset": value, "epoch": "x"}}} for value in values]
    wrong += [{"type": "getHistory", "callId": value} for value in values if value is not None]
    wrong += [{"type": "ping", "id": value} for value in [*values[6:], "x" * 5000]]
    return wrong


async def test_wrong_types(place: Place, ann: Watcher) -> None:
    """Every one is answered in some way, and every connection can still be used."""
    for message in wrong():
        async with visitor(place, "eve") as eve:
            await eve.socket.send(json.dumps(message))
            answer = await eve.hear()
            assert answer["type"] in {"error", "history", "pong", "subscribed", "unsubscribed"}, (
                message
            )
            await eve.silence()
    await still_heard(place, ann)


async def test_thousands_of_call_ids(place: Place, ann: Watcher) -> None:
    """As many ids as fit a message cost one answer: the first fifty that are some."""
    numbers = [str(number) for number in range(7000)]
    junk = [["x"] * 10, *range(3000), "y" * 60_000]
    async with visitor(place, "eve") as eve:
        assert await eve.subscribe(*numbers) == {"callIds": numbers[:50]}
        assert (await eve.ask("unsubscribe", callIds=numbers))["payload"] == {"callIds": []}
        answer = await eve.ask("subscribe", callIds=[*numbers[:10] * 300, *junk[:2]])
        assert answer["payload"] == {"callIds": numbers[:10]}
        since = {number: {"offset": 0, "epoch": "x"} for number in numbers[:1000]}
        answer = await eve.ask("subscribe", callIds=numbers[10:20], since=since)
        assert answer["type"] in {"subscribed", "error"}
        await eve.ask("unsubscribe")
        assert (await eve.subscribe("y" * 60_000))["callIds"] == []
    await still_heard(place, ann)


async def test_hostile_json(place: Place, ann: Watcher) -> None:
    """Depth, doubled keys, odd numbers and lone surrogates are no JSON worth reading."""
    texts = ["[" * 30_000 + "]" * 30_000, '{"type":"ping","type":"ping"}', '{"type":NaN}']
    texts += ['{"type":"getHistory","limit":1e999}', '{"type":"\\ud800"}', "1" * 60_000]
    texts += ['{"type":"ping","id":99999999999999999999999}', '{"type":"ping"}\u0000']
    for text in texts:
        async with visitor(place, "eve") as eve:
            await eve.socket.send(text)
            assert (await eve.hear())["type"] == "error", text[:40]
            await eve.silence()
    await still_heard(place, ann)


async def test_faults_in_a_row(place: Place, ann: Watcher) -> None:
    """Twenty of them end the connection that makes them."""
    async with visitor(place, "eve") as eve:
        for _ in range(30):
            with suppress(ConnectionClosed):
                await eve.socket.send("{")
        assert all(each["payload"]["code"] == "invalid_json" for each in await eve.goodbye())
        assert eve.closed == (3501, "bad request")
    await still_heard(place, ann)


@pytest.mark.parametrize("runner", LISTENERS.values(), ids=list(LISTENERS))
@pytest.mark.parametrize("kind", ["ping", "subscribe", "getHistory"])
async def test_flood(runner: Any, kind: str) -> None:
    """Under the limits everybody has, a flood is refused, then ended; others hear every alert."""
    async with runner(COLD) as place, visitor(place, "ann") as ann, visitor(place, "eve") as eve:
        await ann.subscribe("1")
        message = {"type": kind} | ({"callIds": ["1"]} if kind == "subscribe" else {})

        async def flood() -> None:
            with suppress(ConnectionClosed):
                for _ in range(2000):
                    await eve.socket.send(json.dumps(message))

        flooding = asyncio.create_task(flood())
        for number in range(50):
            await place.gateway.alerts.publish("1", "note", "low", {"n": number})
            assert (await ann.alert())["data"] == {"n": number}
        heard = await eve.goodbye()
        await flooding
        refusals = [each for each in heard if each["type"] == "error"]
        assert refusals
        assert all(set(each) == {"type", "payload"} for each in refusals)
        assert eve.closed in {(3013, "too many requests"), (1008, "policy violation")}
