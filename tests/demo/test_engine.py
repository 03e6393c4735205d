from random import Random
from typing import Any

import pytest

from portward.demo.engine import CALLS, SimulatedEngine
from portward.protocols.alerts import analysis
from portward.testing.clock import FakeClock

NAMES = ("result", "events", "anomalies")


class Heard:
    """An engine on a clock that leaps, and everything it emitted."""

    def __init__(self, seed: int = 1) -> None:
        self.clock = FakeClock()
        self.engine = SimulatedEngine(self.clock, Random(seed))
        self.told: list[tuple[str, dict[str, Any]]] = []
        for name in NAMES:
            self.engine.on(name, self._hear(name))
        self.engine.start()

    def _hear(self, name: str) -> Any:
        return lambda payload: self.told.append((name, payload))


def test_calls_come_and_go() -> None:
    """Several calls run at once; in ten minutes some end and others begin, each under its own id."""
    heard = Heard()
    heard.clock.advance(2.0)
    first = heard.engine.calls
    assert len(set(first)) == CALLS
    assert {name[:6] for name in first} == {"call-1", "call-2"}
    heard.clock.advance(600.0)
    assert 3 <= len(heard.engine.calls) <= CALLS
    assert len({payload["callId"] for _, payload in heard.told}) > 15


def test_a_call_that_ended_is_over() -> None:
    """The last report about a call is that it ended, and its id does not come back."""
    heard = Heard()
    heard.clock.advance(900.0)
    ended: set[str] = set()
    for name, payload in heard.told:
        if name == "result":
            assert payload["callId"] not in ended
        if name == "events" and payload["events"][-1]["type"] == "ended":
            ended.add(payload["callId"])
    assert ended


def test_stop() -> None:
    """A stopped engine emits nothing more and leaves no timer."""
    heard = Heard()
    heard.clock.advance(10.0)
    said = len(heard.told)
    heard.engine.stop()
    assert heard.clock.pending == 0
    heard.clock.advance(60.0)
    assert len(heard.told) == said


def test_handlers() -> None:
    """A handler is called until it is removed; one that raises does not end the simulation."""
    heard = Heard()

    def fail(_: object) -> None:
        raise ZeroDivisionError

    heard.engine.on("result", fail)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            heard.clock.advance(5.0)
    heard.engine.remove_listener("result", fail)
    heard.clock.advance(5.0)
    assert heard.engine.calls


def test_payloads_are_understood() -> None:
    """The gateway reads every report, and makes an alert of every quality, event and anomaly."""
    heard = Heard()
    heard.clock.advance(600.0)
    severities, kinds = set(), set()
    for name, payload in heard.told:
        reading = analysis.read("alerts", name, payload)
        assert not reading.malformed
        assert len(reading.alerts) == (len(payload[name]) if name in payload else 1)
        for alert in reading.alerts:
            severities.add(alert.data["severity"])
            kinds.add(str(alert.type).partition(":")[0])
    assert kinds == {"call_quality", "call_event", "anomaly"}
    assert severities == {"low", "medium", "high", "critical"}
