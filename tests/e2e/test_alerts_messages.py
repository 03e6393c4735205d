"""Every word of the alerts endpoint, through both kinds of listeners."""

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.e2e.alerts_client import Message, Watcher, visitor, visitors
from tests.e2e.gateways import LISTENERS, UNLIMITED, GatewayRunner, Place

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

COLD = UNLIMITED + '[namespaces.alerts]\ncooldown = "0s"\n'


@pytest.fixture(params=list(LISTENERS))
def runner(request: pytest.FixtureRequest) -> GatewayRunner:
    """Each listener in turn."""
    return LISTENERS[request.param]


@pytest.fixture
async def place(runner: GatewayRunner) -> AsyncIterator[Place]:
    """A gateway without limits and without a cooldown."""
    async with runner(COLD) as place:
        yield place


@pytest.fixture
async def ann(place: Place) -> AsyncIterator[Watcher]:
    """A subscriber."""
    async with visitor(place) as ann:
        yield ann


async def publish(place: Place, call: str, *numbers: int) -> None:
    """Publish numbered alerts of one call."""
    for number in numbers:
        await place.gateway.alerts.publish(call, "note", "low", {"n": number})


def numbers(alerts: list[Message]) -> list[int]:
    """Which of them these are."""
    return [each["data"]["n"] for each in alerts]


def error(message: str, code: str) -> Message:
    """How a mistake is answered."""
    return {"type": "error", "payload": {"message": message, "code": code}}


async def test_subscribe_and_unsubscribe(ann: Watcher) -> None:
    """Every answer names all that is now subscribed; without call ids everything is left."""
    answers = [
        await ann.ask("subscribe", callIds=["a", "b"]),
        await ann.ask("subscribe", callIds=["c", "a"]),
        await ann.ask("unsubscribe", callIds=["b", "never"]),
        await ann.ask("unsubscribe"),
        await ann.ask("subscribe", callIds=[]),
    ]
    assert answers == [
        {"type": "subscribed", "payload": {"callIds": ["a", "b"]}},
        {"type": "subscribed", "payload": {"callIds": ["a", "b", "c"]}},
        {"type": "unsubscribed", "payload": {"callIds": ["a", "c"]}},
        {"type": "unsubscribed", "payload": {"callIds": []}},
        {"type": "subscribed", "payload": {"callIds": []}},
    ]


async def test_ping(ann: Watcher) -> None:
    """A ping is answered with the time in Unix milliseconds."""
    before = time.time() * 1000
    answer = await ann.ask("ping")
    stamp = answer["payload"]["timestamp"]
    assert answer == {"type": "pong", "payload": {"timestamp": stamp}}
    assert type(stamp) is int
    assert before - 1000 < stamp < time.time() * 1000 + 1000


async def test_mistakes(ann: Watcher) -> None:
    """What is not JSON is said to be that, an unknown type is named, and the connection lives."""
    for text in ("", "{", "nothing", '{"type":"ping"', "\x00", '{"type":"ping"}{"type":"ping"}'):
        await ann.socket.send(text)
        assert await ann.hear() == error("Invalid JSON", "invalid_json"), text
    await ann.silence()
    for kind in ("dance", "Subscribe", "alert", "handshake", "auth"):
        assert await ann.ask(kind) == error(f"Unknown message type: {kind}", "unknown_type")
    assert await ann.ask("subscribe") == error("Invalid message", "invalid_message")
    await ann.silence()


async def test_ids_are_repeated(ann: Watcher) -> None:
    """Whatever a message asks, its answer carries the message's id."""
    for identifier in ("x1", 7, 0, "ü" * 10):
        await _asks_everything(ann, identifier)


async def _asks_everything(ann: Watcher, identifier: object) -> None:
    mark = {"id": identifier}
    assert await ann.ask("subscribe", callIds=["a"], **mark) == {
        "type": "subscribed",
        "payload": {"callIds": ["a"]},
        **mark,
    }
    history = await ann.ask("getHistory", **mark)
    assert history == {"type": "history", "payload": {"alerts": []}, **mark}
    unknown = error("Unknown message type: dance", "unknown_type")
    assert await ann.ask("dance", **mark) == unknown | mark
    pong = await ann.ask("ping", **mark)
    assert (set(pong), pong["id"]) == ({"type", "payload", "id"}, identifier)
    left = await ann.ask("unsubscribe", **mark)
    assert left == {"type": "unsubscribed", "payload": {"callIds": []}, **mark}


async def test_which_call_ids_count(ann: Watcher) -> None:
    """Strings of 1 to 64 characters are call ids, whatever they hold; the others are skipped."""
    long = "x" * 64
    strange = ["a b", "ž", 'q"', "[1]", "a/b", "?", "%2A", "日本語", "-", "alerts:a"]
    sent = [*strange, long, long + "y", "", 7, None, True, ["a"], {"a": 1}, 1.5]
    answer = await ann.ask("subscribe", callIds=sent)
    assert answer == {"type": "subscribed", "payload": {"callIds": [*strange, long]}}


async def test_long_call_ids_of_any_script(ann: Watcher) -> None:
    """The length of a call id is counted in characters, whatever they are."""
    for call in ("ž" * 64, "🙂" * 64):
        assert call in (await ann.subscribe(call))["callIds"]


async def test_strange_call_ids_are_heard(place: Place, ann: Watcher) -> None:
    """Each of them gets its own alerts and is read back by its name."""
    strange = ["a b", "ž", "%2A", "日本語", "a/b", "alerts:a", "🙂" * 64]
    await ann.subscribe(*strange)
    for number, call in enumerate(strange):
        await publish(place, call, number)
        alert = await ann.alert()
        assert (alert["callId"], alert["data"]) == (call, {"n": number})
        assert numbers(await ann.history(callId=call)) == [number]
    await publish(place, "a%20b", 99)
    await ann.silence()


async def test_fifty_at_most(ann: Watcher) -> None:
    """The first fifty stay, in the order given; there is room again once one was left."""
    calls = [f"call-{number}" for number in range(60)]
    assert (await ann.subscribe(*calls[:30], *calls[:3]))["callIds"] == calls[:30]
    assert (await ann.subscribe(*calls[30:]))["callIds"] == calls[:50]
    await ann.ask("unsubscribe", callIds=[calls[0]])
    assert (await ann.subscribe("late", "later"))["callIds"] == [*calls[1:50], "late"]


async def test_alert(place: Place, ann: Watcher) -> None:
    """An alert is told in these words, with dense offsets, and read back in the same."""
    await ann.subscribe("a")
    data = {"deep": {"list": [1, None, "ü"]}, "mos": 1.5}
    made = await place.gateway.alerts.publish("a", "noise", "critical", data)
    alert = await ann.alert()
    assert alert == {
        "id": made.id,
        "timestamp": alert["timestamp"],
        "callId": "a",
        "type": "noise",
        "severity": "critical",
        "data": data,
        "offset": 1,
        "epoch": alert["epoch"],
    }
    assert re.fullmatch(r"alert_[0-9a-f]{16}", alert["id"])
    assert type(alert["timestamp"]) is int
    assert await ann.history() == [alert]
    await place.gateway.alerts.publish("a", "noise", "low", {})
    assert (await ann.alert())["offset"] == 2


async def test_history_limits(place: Place, ann: Watcher) -> None:
    """A number or a numeric string counts up to 100; anything else stands for 50."""
    await publish(place, "a", *range(110))
    await ann.subscribe("a")
    everything = list(range(110))
    counted: list[tuple[Any, int]] = [
        *((1, 1), ("3", 3), (100, 100), (101, 100), ("1000", 100), (50.0, 50)),
        *((None, 50), ("many", 50), ("", 50), ([1], 50), ({}, 50), (True, 50)),
    ]
    for limit, count in counted:
        assert numbers(await ann.history(limit=limit)) == everything[-count:], limit
        assert numbers(await ann.history(limit=limit, callId="a")) == everything[-count:], limit
    assert numbers(await ann.history()) == everything[-50:]

    asked = await ann.ask("getHistory", limit=0, callId="a")
    assert asked["payload"]["alerts"] == []
    assert asked["payload"]["positions"]["a"]["offset"] == 110

    for odd in (-1, "-5", 1e300, "1e400", "NaN", "٣", "0x10", 2.5):
        found = numbers(await ann.history(limit=odd))
        assert found == everything[110 - len(found) :], odd
        assert len(found) <= 100, odd


async def test_history_is_merged_in_order(place: Place, ann: Watcher) -> None:
    """Without a call, the alerts of all that is subscribed come in the order they were published."""
    for number in range(20):
        await publish(place, "abc"[number % 3], number)
        await _next_millisecond()
    await ann.subscribe("a", "b")
    heard = [number for number in range(20) if number % 3 != 2]
    assert numbers(await ann.history()) == heard
    assert numbers(await ann.history(limit=5)) == heard[-5:]
    assert numbers(await ann.history(callId="b")) == list(range(1, 20, 3))


async def _next_millisecond() -> None:
    """Let alerts differ in their time."""
    now = int(time.time() * 1000)
    while int(time.time() * 1000) == now:  # noqa: ASYNC110 - a millisecond at most
        await asyncio.sleep(0)


async def test_recovery(place: Place, ann: Watcher) -> None:
    """Who says where it stopped is told what it missed, once, and then what is new."""
    await publish(place, "a", 1, 2, 3)
    await ann.subscribe("a")
    known = (await ann.history())[0]
    async with visitor(place, "bob") as bob:
        since = {
            "a": {"offset": 1, "epoch": known["epoch"]},
            "b": {"offset": 4, "epoch": known["epoch"]},
            "c": {"offset": 0, "epoch": "another"},
        }
        answer = await bob.ask("subscribe", callIds=["a", "b", "c", "d"], since=since)
        recovered = answer["payload"].pop("recovered")
        assert answer == {"type": "subscribed", "payload": {"callIds": ["a", "b", "c", "d"]}}
        assert recovered == {"a": True, "b": False, "c": False}
        missed = [await bob.alert(), await bob.alert()]
        assert numbers(missed) == [2, 3]
        assert missed == (await bob.history(callId="a"))[1:]
        await publish(place, "a", 4)
        assert numbers([await bob.alert()]) == [4]
        await bob.silence()


async def test_recovery_of_too_much(place: Place, ann: Watcher) -> None:
    """More than three hundred missing alerts are not told: the answer says so, and only new ones come."""
    await publish(place, "a", *range(302))
    await ann.subscribe("a")
    epoch = (await ann.history(limit=1))[0]["epoch"]
    for offset, possible in ((1, False), (2, True)):
        async with visitor(place, "bob") as bob:
            since = {"a": {"offset": offset, "epoch": epoch}}
            answer = await bob.ask("subscribe", callIds=["a"], since=since)
            assert answer["payload"] == {"callIds": ["a"], "recovered": {"a": possible}}
            if possible:
                assert numbers([await bob.alert() for _ in range(300)]) == list(range(2, 302))
            await bob.silence()


async def test_recovery_while_alerts_come(place: Place) -> None:
    """Between what was missed and what is new nothing is lost, repeated or out of order."""
    await publish(place, "a", 0)
    first = (await place.gateway.alerts.history(call_id="a"))[0]
    since = {"a": {"offset": 0, "epoch": first.epoch}}

    async def load() -> None:
        for number in range(1, 200):
            await publish(place, "a", number)
            await asyncio.sleep(0)

    async def returning(user: str) -> list[int]:
        async with visitor(place, user) as watcher:
            answer = await watcher.ask("subscribe", callIds=["a"], since=since)
            assert answer["payload"]["recovered"] == {"a": True}
            return numbers([await watcher.alert() for _ in range(200)])

    loading = asyncio.create_task(load())
    for heard in await asyncio.gather(*(returning(f"u{number}") for number in range(5))):
        assert heard == list(range(200))
    await loading


async def test_cooldown(runner: GatewayRunner) -> None:
    """The same pair is told once in a while, the next one says how many were left out; history has all."""
    cool = UNLIMITED + '[namespaces.alerts]\ncooldown = "200ms"\n'
    async with runner(cool) as place, visitor(place) as ann, visitor(place, "bob") as bob:
        await ann.subscribe("a", "b")
        await publish(place, "a", 0)
        assert "suppressed" not in await ann.alert()
        await bob.subscribe("a")
        await publish(place, "b", 1)
        assert (await ann.alert())["callId"] == "b"
        number = 1
        told: Message = {}
        while "suppressed" not in told:
            number += 1
            await publish(place, "a", number)
            if told := await _alert_before_pong(ann):
                await asyncio.sleep(0)
        # When the cooldown ended first, the last one left out came late, and the new one was left out.
        assert told["data"]["n"] == (number - 1 if told.get("late") else number)
        assert told["suppressed"] == told["data"]["n"] - 2
        kept = numbers(await ann.history(callId="a", limit=100))
        assert kept == [0, *range(2, number + 1)][-100:]
        assert numbers([await bob.alert()]) == [2]


async def _alert_before_pong(watcher: Watcher) -> Message:
    """The alert that was sent by now; nothing when there was none."""
    await watcher.say("ping")
    first = await watcher.hear()
    if first["type"] == "pong":
        return {}
    assert (await watcher.hear())["type"] == "pong"
    payload: Message = first["payload"]
    return payload


@pytest.mark.parametrize("calls", [("*", "a"), ("a", "*")])
async def test_all_calls_and_one_of_them(runner: GatewayRunner, calls: tuple[str, ...]) -> None:
    """Who hears all calls and subscribes to one of them as well is told each alert once."""
    async with runner(COLD) as place, visitor(place, permissions=["alerts:*"]) as sue:
        for call in calls:
            answer = await sue.subscribe(call)
        assert answer == {"callIds": ["*"]}
        await publish(place, "a", 1)
        await publish(place, "b", 2)
        assert numbers([await sue.alert(), await sue.alert()]) == [1, 2]
        await sue.silence()
        assert numbers(await sue.history()) == [1, 2]
        left = await sue.ask("unsubscribe", callIds=["*"])
        assert left == {"type": "unsubscribed", "payload": {"callIds": []}}
        await publish(place, "a", 3)
        await sue.silence()


async def test_recovery_of_all_calls(runner: GatewayRunner) -> None:
    """A supervisor who comes back is told what was missed of all calls."""
    async with runner(COLD) as place:
        async with visitor(place, "sue", permissions=["alerts:*"]) as sue:
            await sue.subscribe("*")
            await publish(place, "a", 1)
            last = await sue.alert()
        await publish(place, "b", 2)
        await publish(place, "c", 3)
        async with visitor(place, "sue", permissions=["alerts:*"]) as sue:
            since = {"*": {"offset": last["offset"], "epoch": last["epoch"]}}
            answer = await sue.ask("subscribe", callIds=["*"], since=since)
            assert answer["payload"] == {"callIds": ["*"], "recovered": {"*": True}}
            assert numbers([await sue.alert(), await sue.alert()]) == [2, 3]
            await sue.silence()


async def test_types_cool_apart(runner: GatewayRunner) -> None:
    """Another type of the same call is told at once, and so is the same type of another call."""
    supervisor = {"permissions": ["alerts:*"]}
    async with runner(UNLIMITED) as place, visitors(place, "ann", "sue", **supervisor) as watchers:
        for watcher, calls in zip(watchers, (("a", "b"), ("*",)), strict=True):
            await watcher.subscribe(*calls)
        for call, kind in (("a", "x"), ("a", "y"), ("b", "x"), ("a", "x"), ("b", "x")):
            await place.gateway.alerts.publish(call, kind, "low", {})
        for watcher in watchers:
            told = [await watcher.alert() for _ in range(3)]
            assert [(each["callId"], each["type"]) for each in told] == [
                *(("a", "x"), ("a", "y"), ("b", "x")),
            ]
            await watcher.silence()


async def test_large_and_binary_messages(place: Place) -> None:
    """Exactly 64 KiB are read; a byte more closes with 1009, binary with 1003."""
    async with visitor(place) as ann:
        text = json.dumps({"type": "subscribe", "callIds": ["a"], "id": ""})
        text = text.replace('["a"]', '["a"' + " " * (65536 - len(text)) + "]")
        assert len(text) == 65536
        await ann.socket.send(text)
        assert (await ann.hear())["payload"] == {"callIds": ["a"]}
        await ann.socket.send(text + " ")
        assert await ann.goodbye() == []
        assert ann.closed[0] == 1009
    async with visitor(place) as ann:
        await ann.socket.send(b'{"type":"ping"}')
        assert await ann.goodbye() == []
        assert ann.closed[0] == 1003
