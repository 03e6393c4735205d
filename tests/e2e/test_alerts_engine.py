"""What an analysis engine reports reaches whoever watches the call, all of it and nobody else."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable
from functools import partial
from typing import Any

import pytest
from pyee.asyncio import AsyncIOEventEmitter
from pyee.base import EventEmitter

from tests.e2e.alerts_client import Message, Watcher, visitor, visitors
from tests.e2e.gateways import UNLIMITED, Place, own_listener, until

COLD = UNLIMITED + '[namespaces.alerts]\ncooldown = "0s"\n'
CALLS = [f"call-{number}" for number in range(500)]
RESULTS = 1000


def heard_by(number: int) -> list[str]:
    """The 50 calls one of the hundred subscribers hears; each call is heard by ten."""
    return [CALLS[(number * 5 + step) % len(CALLS)] for step in range(50)]


def result(call: str, mos: float, **rest: Any) -> dict[str, Any]:
    """What the engine says of the quality of a call."""
    return {"callId": call, "callQuality": {"mosScore": mos, **rest}}


def emit(engine: EventEmitter, calls: Iterable[str]) -> None:
    """One result for each of these."""
    for number, call in enumerate(calls):
        engine.emit("result", result(call, 4.2, n=number))


async def crowd(place: Place, watchers: list[Watcher]) -> None:
    """A hundred subscribers of fifty calls each."""
    assert (await place.gateway.alerts.stats())["activeSubscribers"] == 100
    answers = await asyncio.gather(
        *(watcher.subscribe(*heard_by(number)) for number, watcher in enumerate(watchers))
    )
    assert [each["callIds"] for each in answers] == [heard_by(n) for n in range(100)]


async def test_a_thousand_results_for_a_hundred_subscribers() -> None:
    """Every subscriber is told every result of its own calls, in order, and none of another."""
    users = [f"u{number}" for number in range(100)]
    async with own_listener(COLD) as place, visitors(place, *users) as watchers:
        await crowd(place, watchers)
        engine = EventEmitter()
        place.gateway.alerts.connect_engine(engine)
        emit(engine, (CALLS[number % len(CALLS)] for number in range(RESULTS)))

        async def listen(number: int, watcher: Watcher) -> int:
            alerts = [await watcher.alert() for _ in range(2 * 50)]
            await watcher.silence()
            told = Counter(each["callId"] for each in alerts)
            assert told == dict.fromkeys(heard_by(number), 2)
            offsets = {call: [] for call in told}  # type: dict[str, list[int]]
            for each in alerts:
                offsets[each["callId"]].append(each["offset"])
            assert set(map(tuple, offsets.values())) == {(1, 2)}
            return len(alerts)

        counts = await asyncio.gather(*(listen(*each) for each in enumerate(watchers)))
        assert sum(counts) == RESULTS * 10


async def test_a_thousand_results_with_a_cooldown() -> None:
    """What is sent and what is said to be suppressed is all that was emitted, for every pair."""
    cool = UNLIMITED + '[namespaces.alerts]\ncooldown = "1s"\n'
    users = [f"u{number}" for number in range(100)]
    async with own_listener(cool) as place, visitors(place, *users) as watchers:
        await crowd(place, watchers)
        engine = EventEmitter()
        connection = place.gateway.alerts.connect_engine(engine)
        emit(engine, (CALLS[number // 2] for number in range(RESULTS)))
        listening = [
            asyncio.create_task(_until_told(watcher, set(heard_by(number))))
            for number, watcher in enumerate(watchers)
        ]
        emitted = 2
        while not all(task.done() for task in listening):
            await until(partial(_published, connection, emitted * len(CALLS)))
            await asyncio.wait(listening, timeout=0.4)
            # Two at once: however long a round takes, the cooldown suppresses the second.
            emit(engine, (call for call in CALLS for _ in range(2)))
            emitted += 2
        await asyncio.gather(*listening)
        await until(partial(_published, connection, emitted * len(CALLS)))
        for call in CALLS[::50]:
            offsets = [each.offset for each in await _kept(place, call)]
            assert offsets == list(range(emitted + 1))[-len(offsets) :]
            assert len(offsets) == min(emitted, 100)


def _published(connection: Any, count: int) -> bool:
    assert connection.lost == 0
    return bool(connection.published >= count)


async def _kept(place: Place, call: str) -> list[Any]:
    return await place.gateway.alerts.history(100, call)


async def _kept_all(place: Place, call: str, count: int) -> bool:
    return len(await _kept(place, call)) >= count


async def _until_told(watcher: Watcher, calls: set[str]) -> None:
    """Listen until every call has told of suppressed ones; each alert accounts for all before it."""
    sent: Counter[str] = Counter()
    suppressed: Counter[str] = Counter()
    while not all(suppressed[call] for call in calls):
        alert = await watcher.alert()
        call = alert["callId"]
        assert call in calls
        sent[call] += 1
        suppressed[call] += alert.get("suppressed", 0)
        assert alert.get("suppressed", 1) > 0
        assert sent[call] + suppressed[call] == alert["offset"]


REPORTS: list[tuple[str, dict[str, Any], list[tuple[str, str, dict[str, Any]]]]] = [
    *(
        ("result", result("a", mos), [("call_quality", severity, {"mosScore": mos})])
        for mos, severity in [
            *((0, "critical"), (2.49, "critical"), (2.5, "high"), (3.49, "high")),
            *((3.5, "medium"), (3.99, "medium"), (4.0, "low"), (5, "low")),
        ]
    ),
    (
        "result",
        {"callId": "a", "callQuality": {"jitter": 30}, "sentiment": "sad"},
        [("call_quality", "low", {"jitter": 30})],
    ),
    ("result", {"callId": "a", "sentiment": "sad"}, []),
    ("result", {"callId": "other", "callQuality": {"mosScore": 1}}, []),
    (
        "events",
        {
            "callId": "a",
            "events": [{"type": "silence", "timestamp": 5}, {"type": "barge_in", "timestamp": 6}],
        },
        [
            ("call_event:silence", "medium", {"eventType": "silence", "timestamp": 5}),
            ("call_event:barge_in", "medium", {"eventType": "barge_in", "timestamp": 6}),
        ],
    ),
    ("events", {"callId": "a", "events": []}, []),
    (
        "anomalies",
        {
            "callId": "a",
            "anomalies": [
                {"type": "echo", "confidence": 0.81},
                {"type": "echo", "confidence": 0.8},
                {"type": "robot", "confidence": 0},
            ],
        },
        [
            ("anomaly:echo", "high", {"anomalyType": "echo", "confidence": 0.81}),
            ("anomaly:echo", "medium", {"anomalyType": "echo", "confidence": 0.8}),
            ("anomaly:robot", "medium", {"anomalyType": "robot", "confidence": 0}),
        ],
    ),
]
MALFORMED: list[tuple[str, Any]] = [
    ("result", None),
    ("result", "text"),
    ("result", []),
    ("result", {}),
    ("result", {"callId": 7, "callQuality": {"mosScore": 1}}),
    ("result", {"callId": "", "callQuality": {"mosScore": 1}}),
    ("result", {"callId": "*", "callQuality": {"mosScore": 1}}),
    ("result", {"callId": "a", "callQuality": "bad"}),
    ("result", {"callId": "a", "callQuality": {"mosScore": "1"}, "x": object()}),
    ("events", {"callId": "a", "events": {"type": "x"}}),
    ("events", {"callId": "a", "events": [None, 7, {"type": None}]}),
    ("anomalies", {"callId": "a"}),
    ("anomalies", {"callId": "a", "anomalies": [{"confidence": 0.9}]}),
    ("anomalies", {"callId": "a", "anomalies": [{"type": "x", "confidence": float("nan")}]}),
]


async def hears(watcher: Watcher) -> list[tuple[str, str, dict[str, Any]]]:
    """The alerts that came before the marker, in short."""
    told: list[Message] = []
    while not told or told[-1]["type"] != "marker":
        told.append(await watcher.alert())
    assert all(each["callId"] == "a" for each in told)
    return [(each["type"], each["severity"], each["data"]) for each in told[:-1]]


@pytest.mark.parametrize("kind", ["emitter", "asyncio emitter", "iterator"])
async def test_what_each_report_says(kind: str) -> None:
    """Every kind of report becomes its alerts, whichever way the engine speaks; bad ones stop nothing."""
    async with own_listener(COLD) as place, visitor(place) as ann:
        await ann.subscribe("a")
        reports: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()

        async def iterate() -> AsyncIterator[tuple[str, Any]]:
            while True:
                yield await reports.get()

        engine = EventEmitter() if kind == "emitter" else AsyncIOEventEmitter()
        place.gateway.alerts.connect_engine(iterate() if kind == "iterator" else engine)
        expected: list[tuple[str, str, dict[str, Any]]] = []
        for (event, payload, alerts), (bad, broken) in zip(
            REPORTS, MALFORMED + MALFORMED, strict=False
        ):
            for each in ((bad, broken), (event, payload)):
                if kind == "iterator":
                    reports.put_nowait(each)
                else:
                    engine.emit(*each)
            expected += alerts
        await until(reports.empty)
        await until(partial(_kept_all, place, "a", len(expected)))
        await place.gateway.alerts.publish("a", "marker", "low", {})
        told = await hears(ann)
        assert [each for each in told if each in expected] == expected
        assert place.metric('portward_events_total{event="analysis.malformed"}') > 0
        if kind != "iterator":
            assert told == expected


async def test_publish_history_and_stats() -> None:
    """The application publishes any other alert, reads all back, and counts who listens."""
    async with own_listener(COLD) as place, visitor(place) as ann, visitor(place):
        alerts = place.gateway.alerts
        await ann.subscribe("a")
        for number in range(120):
            await alerts.publish("ab"[number % 2], "note", "medium", {"n": number})
        assert [each.data["n"] for each in await alerts.history()] == list(range(70, 120))
        assert [each.data["n"] for each in await alerts.history(2)] == [118, 119]
        assert [each.data["n"] for each in await alerts.history(1000)] == list(range(20, 120))
        ours = [each.data["n"] for each in await alerts.history(limit=3, call_id="a")]
        assert ours == [114, 116, 118]
        assert await alerts.stats() == {"activeSubscribers": 2, "alertHistorySize": 120}


async def test_hooks() -> None:
    """The application hears of subscribers who come and go, and of every alert."""
    heard: list[tuple[str, Any]] = []
    async with own_listener(COLD) as place:
        alerts = place.gateway.alerts
        alerts.on("subscriber_connected", lambda who: heard.append(("came", who.user)))
        alerts.on("subscriber_disconnected", lambda who, _: heard.append(("left", who.user)))
        alerts.on("alert_emitted", lambda alert: heard.append(("alert", alert.call_id)))
        async with visitor(place) as ann:
            await ann.subscribe("a")
            await alerts.publish("a", "note", "low", {})
            await ann.alert()
        await until(lambda: ("left", "ann") in heard)
    assert heard == [("came", "ann"), ("alert", "a"), ("left", "ann")]
