"""Every message of the live endpoint, through both kinds of listeners."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.e2e.gateways import LISTENERS, Place
from tests.e2e.live_client import VIOLATION, Message, Site, Viewer, site, view
from tests.e2e.provider_server import Directory, cut, said
from tests.identity.standin_server import Answer, response

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

ALLOWED = ("1", "2", "3", "x_Y-9", "a" * 64)


@pytest.fixture(params=list(LISTENERS))
def runner(request: pytest.FixtureRequest) -> Site:
    """Each listener in turn."""
    return site(LISTENERS[request.param])


@pytest.fixture
async def both(runner: Site) -> AsyncIterator[tuple[Place, Directory]]:
    """A gateway and its provider, which knows Ann by the cookie `ann`."""
    async with runner() as (place, provider):
        provider.login("ann", "ann", *ALLOWED)
        yield place, provider


@pytest.fixture
def place(both: tuple[Place, Directory]) -> Place:
    """The gateway alone."""
    return both[0]


@pytest.fixture
async def ann(place: Place) -> AsyncIterator[Viewer]:
    """Her page."""
    async with view(place.live, "ann") as ann:
        yield ann


def forbidden(topic: str, **rest: Any) -> Message:
    """How a subscription is refused."""
    words = {"type": "error", "code": "forbidden", "message": "Subscription refused"}
    return {**words, "topic": topic, **rest}


async def test_subscribe_and_unsubscribe(place: Place, ann: Viewer) -> None:
    """A subscription begins with what is, goes on with what comes, and ends when it is left."""
    epoch = (await ann.subscribe("event:1"))["position"]["epoch"]
    first = await place.gateway.live.publish("event:1", {"score": 1}, key="home")
    assert (first.offset, first.epoch) == (1, epoch)
    told = await ann.hear()
    assert told == {
        "type": "data",
        "topic": "event:1",
        "key": "home",
        "data": {"score": 1},
        "ts": told["ts"],
        "offset": 1,
    }
    assert type(told["ts"]) is int
    await place.gateway.live.publish("event:1", None)
    told = await ann.hear()
    assert told == {
        "type": "data",
        "topic": "event:1",
        "data": None,
        "ts": told["ts"],
        "offset": 2,
    }
    left = await ann.ask("unsubscribe", "event:1")
    assert left == {"type": "unsubscribed", "topic": "event:1"}
    await place.gateway.live.publish("event:1", "unheard")
    await ann.silence()


async def test_snapshot(place: Place, ann: Viewer) -> None:
    """Who comes later is first told the newest publication of every key, and where things stand."""
    live = place.gateway.live
    for key, data in (("a", 1), ("b", 2), ("a", 3), (None, "aside"), ("c", [4])):
        position = await live.publish("event:1", data, key=key)
    answer = await ann.ask("subscribe", "event:1", id="q1")
    snapshot = sorted(answer["snapshot"], key=lambda each: str(each["key"]))
    assert answer == {
        "type": "subscribed",
        "topic": "event:1",
        "id": "q1",
        "snapshot": answer["snapshot"],
        "position": {"offset": 5, "epoch": position.epoch},
    }
    assert snapshot == [
        {"key": "a", "data": 3, "ts": snapshot[0]["ts"], "offset": 3},
        {"key": "b", "data": 2, "ts": snapshot[1]["ts"], "offset": 2},
        {"key": "c", "data": [4], "ts": snapshot[2]["ts"], "offset": 5},
    ]
    await ann.silence()


async def test_no_gap_and_no_repeat(place: Place, ann: Viewer) -> None:
    """While the backend publishes without a pause, snapshot and data fit together without a seam."""
    live, stop = place.gateway.live, asyncio.Event()
    published: dict[int, tuple[str, int]] = {}

    async def load() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            key = f"k{number % 7}"
            position = await live.publish("event:1", number, key=key)
            published[position.offset] = (key, number)
            if number % 5 == 0:
                await asyncio.sleep(0)

    loading = asyncio.create_task(load())
    for _ in range(6):
        await ann.say("subscribe", "event:1")
        answer = await ann.hear()
        while answer["type"] == "data":
            answer = await ann.hear()
        start = answer["position"]["offset"]
        shown = {each["offset"]: (each["key"], each["data"]) for each in answer["snapshot"]}
        heard = [await ann.data() for _ in range(50)]
        offsets = [each["offset"] for each in heard]
        assert offsets == list(range(start + 1, start + 51))
        for each in heard:
            assert published[each["offset"]] == (each["key"], each["data"])
        assert all(published[offset] == pair for offset, pair in shown.items())
        latest = {published[offset][0]: offset for offset in range(1, start + 1)}
        assert set(shown) == set(latest.values())
        await ann.say("unsubscribe", "event:1")
        while (await ann.hear())["type"] == "data":
            pass
    stop.set()
    await loading


async def test_forbidden(place: Place, ann: Viewer) -> None:
    """Not allowed, not there, and a topic no pattern matches are refused in the same words."""
    for topic in ("event:4", "event:gone", "news", "event:", "event", "Event:1", "event:1:2"):
        assert await ann.ask("subscribe", topic) == forbidden(topic)
        assert await ann.ask("subscribe", topic, id="f") == forbidden(topic, id="f")
        await place.gateway.live.publish("event:4", "secret")
    await ann.silence()


async def test_what_an_id_may_be(both: tuple[Place, Directory], ann: Viewer) -> None:
    """Letters, digits, `_` and `-`, 64 of them at most; the provider is asked about nothing else."""
    for event in ALLOWED:
        await ann.subscribe(f"event:{event}")
    asked = len(both[1].asked)
    odd = ["a" * 65, "1/2", "..", "1?x=1", "%31", "1#", "1&fields=*", "é", "1 ", " 1", "1\n", "*"]
    odd += ["../../users/me", "{id}", "1%00", "\uff11", "1\u0000", "a.b"]
    for event in odd:
        answer = await ann.ask("subscribe", f"event:{event}")
        answer.pop("details", None)
        assert answer in (forbidden(f"event:{event}"), VIOLATION), event
    assert len(both[1].asked) == asked


async def test_answers_about_a_topic(both: tuple[Place, Directory], ann: Viewer) -> None:
    """A 200 with data allows; 403, 404 and null forbid; everything else is unavailable for now."""
    answers: dict[str, tuple[Answer, str]] = {
        "t200": (said({"id": "t200"}), "subscribed"),
        "t403": (response(b"{}", "403 Forbidden"), "forbidden"),
        "t404": (response(b"{}", "404 Not Found"), "forbidden"),
        "tnull": (said(None), "forbidden"),
        "t500": (response(b"", "500 Internal Server Error"), "unavailable"),
        "thtml": (response(b"<html>", "200 OK", "Content-Type: text/html"), "unavailable"),
        "t302": (response(b"", "302 Found", "Location: /items/events/1"), "unavailable"),
        "tcut": (cut, "unavailable"),
        "tnothing": (response(b"{}"), "unavailable"),
    }
    for event, (answer, outcome) in answers.items():
        both[1].topic_troubles[event] = answer
        told = await ann.ask("subscribe", f"event:{event}", id=event)
        topic = {"topic": f"event:{event}", "id": event}
        if outcome == "unavailable":
            assert told.pop("message")
            assert told.pop("retryMs") > 0
            assert told == {"type": "error", "code": "unavailable", **topic}
        elif outcome == "forbidden":
            assert told == forbidden(**topic)
        else:
            assert told["type"] == outcome


async def test_each_is_asked_with_its_own_cookie(both: tuple[Place, Directory]) -> None:
    """What one user may hear another may not, however close together they ask."""
    place, provider = both
    provider.login("bob", "bob", "4")
    async with view(place.live, "ann") as ann, view(place.live, "bob") as bob:
        for event, lucky, other in (("1", ann, bob), ("4", bob, ann)):
            topic = f"event:{event}"
            good, bad = await asyncio.gather(
                lucky.ask("subscribe", topic), other.ask("subscribe", topic)
            )
            assert (good["type"], bad) == ("subscribed", forbidden(topic))
            await place.gateway.live.publish(topic, "x")
            await lucky.data()
            await other.silence()


async def test_protocol_violations(ann: Viewer) -> None:
    """Whatever is no message is answered in the same words, and the connection lives."""
    texts = ["", "{", "[]", "null", "7", '"subscribe"', "{}", '{"type":"subscribe"}']
    texts += [
        '{"topic":"event:1"}',
        '{"type":"ping","x":1}',
        '{"type":"Subscribe","topic":"event:1"}',
    ]
    texts += ['{"type":"subscribe","topic":7}', '{"type":"subscribe","topic":["event:1"]}']
    texts += ['{"type":"subscribe","topic":"event:1"}x', '{"type":"data","topic":"event:1"}']
    for start in range(0, len(texts), 10):
        for text in texts[start : start + 10]:
            await ann.socket.send(text)
            assert await ann.hear() == VIOLATION, text
        await ann.subscribe("event:1")
        await ann.ask("unsubscribe", "event:1")
    await ann.subscribe("event:1")


async def test_twice_and_never(place: Place, ann: Viewer) -> None:
    """Who subscribes twice hears once; who leaves what it never heard is answered like anybody."""
    await ann.subscribe("event:1")
    await ann.subscribe("event:1")
    await place.gateway.live.publish("event:1", 1)
    await ann.data()
    await ann.silence()
    for topic in ("event:1", "event:1", "event:never", "nonsense"):
        left = await ann.ask("unsubscribe", topic, id="u")
        assert left == {"type": "unsubscribed", "topic": topic, "id": "u"}


async def test_limits(runner: Site) -> None:
    """Too many messages, subscriptions at once, or in a minute are told as a limit, every one of them."""
    tight = '[endpoints.live.limits.messages]\nrate = "5/min"\n'
    joins = '[endpoints.live.limits.join]\nrate = "2/min"\n'
    full = "[namespaces.live]\nmax_subscriptions = 2\n"
    for more, allowed in ((tight, 5), (joins, 2), (full, 2)):
        async with runner(more) as (place, provider):
            provider.login("ann", "ann", *map(str, range(10)))
            async with view(place.live, "ann") as ann:
                for number in range(allowed):
                    await ann.subscribe(f"event:{number}")
                told = await ann.ask("subscribe", "event:9", id="l")
                assert (told["type"], told["code"]) == ("error", "limit")
                assert told["message"]
                assert set(told) <= {"type", "code", "message", "topic", "id", "retryMs"}
                await place.gateway.live.publish("event:1", "heard all the same")
                await ann.data()
    async with runner(tight) as (place, provider):
        provider.login("ann", "ann", "1")
        async with view(place.live, "ann") as ann:
            for _ in range(25):
                await ann.socket.send(json.dumps({"type": "unsubscribe", "topic": "event:1"}))
            heard = [await ann.hear() for _ in range(25)]
            assert [each.get("code") for each in heard] == [None] * 5 + ["limit"] * 20
            await ann.socket.ping()
            assert ann.closed == (None, None)
