from random import Random
from typing import Any

import pytest

from portward.demo.analysis import SimulatedEngine
from portward.protocols.alerts import analysis
from portward.testing.clock import FakeClock

NAMES = ("result", "events", "anomalies")


class Heard:
    """An engine on a clock that leaps, and everything it emitted."""

    def __init__(self, seed: int = 1, calls: int = 6) -> None:
        self.clock = FakeClock()
        self.engine = SimulatedEngine(self.clock, Random(seed), calls=calls)
        self.told: list[tuple[float, str, dict[str, Any]]] = []
        for name in NAMES:
            self.engine.on(name, self._hear(name))

    def _hear(self, name: str) -> Any:
        def handler(payload: dict[str, Any]) -> None:
            self.told.append((self.clock.time(), name, payload))

        return handler

    def ids(self) -> list[str]:
        """The calls in the order in which they were first heard of."""
        return list(dict.fromkeys(payload["callId"] for _, _, payload in self.told))


def test_calls_begin_at_once() -> None:
    """A second or two after the start all calls are under way, under ids of their own."""
    heard = Heard()
    before = heard.engine.calls
    assert not before
    heard.engine.start()
    heard.clock.advance(2.0)
    calls = heard.engine.calls
    assert len(set(calls)) == 6
    assert set(heard.ids()) == set(calls)
    assert {name[:6] for name in calls} == {"call-1", "call-2"}


def test_pace() -> None:
    """A few reports a second come from six calls."""
    heard = Heard()
    heard.engine.start()
    heard.clock.advance(60.0)
    assert 120 < len(heard.told) < 420


def test_calls_come_and_go() -> None:
    """In ten minutes calls end and others begin; about as many as there are lines go on at once."""
    heard = Heard()
    heard.engine.start()
    most = 0
    for _ in range(600):
        heard.clock.advance(1.0)
        most = max(most, len(heard.engine.calls))
    assert most == 6
    assert len(heard.ids()) > 15
    assert len(heard.engine.calls) >= 3
    assert {name for _, name, _ in heard.told} == set(NAMES)


def test_nothing_is_said_of_a_call_that_ended() -> None:
    """The last word about a call is that it ended, and its id does not come back."""
    heard = Heard()
    heard.engine.start()
    heard.clock.advance(900.0)
    ended: set[str] = set()
    for _, name, payload in heard.told:
        if name == "result":
            assert payload["callId"] not in ended
        if name == "events" and payload["events"][-1]["type"] == "ended":
            ended.add(payload["callId"])
    assert ended


def test_times() -> None:
    """What happened is stamped with the time it happened, in Unix milliseconds."""
    heard = Heard()
    heard.engine.start()
    heard.clock.advance(30.0)
    stamps = [
        (when, each["timestamp"])
        for when, name, payload in heard.told
        if name == "events"
        for each in payload["events"]
    ]
    assert stamps
    assert all(stamp == int(when * 1000) for when, stamp in stamps)


def test_same_seed_same_story() -> None:
    """The same random numbers on the same clock tell the same story."""
    stories = []
    for seed in (7, 7, 8):
        heard = Heard(seed)
        heard.engine.start()
        heard.clock.advance(120.0)
        stories.append(heard.told)
    assert stories[0] == stories[1] != stories[2]


def test_stop() -> None:
    """A stopped engine says nothing more and leaves nothing on the clock."""
    heard = Heard()
    heard.engine.start()
    heard.clock.advance(10.0)
    said = len(heard.told)
    heard.engine.stop()
    assert heard.clock.pending == 0
    heard.clock.advance(60.0)
    assert len(heard.told) == said


def test_listeners() -> None:
    """Whoever is added hears, in order, until removed."""
    engine = SimulatedEngine(FakeClock(), Random(1))
    heard: list[object] = []

    first = engine.on("result", heard.append)
    engine.on("result", lambda payload: heard.append([payload]))
    assert engine.emit("result", {"a": 1})
    assert heard == [{"a": 1}, [{"a": 1}]]
    engine.remove_listener("result", first)
    engine.emit("result", {"b": 2})
    assert heard[2:] == [[{"b": 2}]]
    assert not engine.emit("events", {})


def test_removing_a_stranger() -> None:
    """Removing who was not added is an error."""
    engine = SimulatedEngine(FakeClock(), Random(1))
    engine.on("result", repr)
    for event in ("result", "events"):
        with pytest.raises(KeyError):
            engine.remove_listener(event, print)


def test_handler_that_leaves_while_it_hears() -> None:
    """A handler may remove itself; the others hear all the same."""
    engine = SimulatedEngine(FakeClock(), Random(1))
    heard: list[str] = []

    def once(_: object) -> None:
        heard.append("once")
        engine.remove_listener("result", once)

    engine.on("result", once)
    engine.on("result", lambda _: heard.append("always"))
    engine.emit("result", {})
    engine.emit("result", {})
    assert heard == ["once", "always", "always"]


def test_handler_that_fails() -> None:
    """A handler that fails does not silence the engine."""
    clock = FakeClock()
    engine = SimulatedEngine(clock, Random(1), calls=1)
    heard: list[object] = []

    def fail(payload: object) -> None:
        heard.append(payload)
        raise ZeroDivisionError

    engine.on("result", fail)
    engine.start()
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            clock.advance(5.0)
    assert len(heard) == 2


def test_payloads_are_understood() -> None:
    """The gateway reads every report, and makes an alert of every quality, event and anomaly."""
    heard = Heard()
    heard.engine.start()
    heard.clock.advance(600.0)
    severities, kinds = set(), set()
    for _, name, payload in heard.told:
        reading = analysis.read("alerts", name, payload)
        assert not reading.malformed
        assert len(reading.alerts) == (len(payload[name]) if name in payload else 1)
        for alert in reading.alerts:
            severities.add(alert.data["severity"])
            kinds.add(str(alert.type).partition(":")[0])
    assert kinds == {"call_quality", "call_event", "anomaly"}
    assert severities == {"low", "medium", "high", "critical"}
