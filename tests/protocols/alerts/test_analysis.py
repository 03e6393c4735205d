"""Reports of call-analysis engines, read into alerts."""

from fractions import Fraction
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portward.model.channel import Channel
from portward.model.commands import Publish
from portward.protocols.alerts.analysis import EVENTS, AnalysisReport, read

CALL = Channel.parse("alerts:c1")


class Float(float):
    """A number of a numeric library."""


class Opaque:
    """A value that is no JSON."""

    def __repr__(self) -> str:
        return "Opaque()"


def alert(kind: str, severity: str, data: dict[str, Any]) -> Publish:
    """The command for one alert."""
    said = {"callId": "c1", "severity": severity, "data": data}
    return Publish(channel=CALL, data=said, type=kind)


def one(event: str, **payload: Any) -> Publish:
    """The one alert of a report."""
    (found,) = read("alerts", event, {"callId": "c1"} | payload).alerts
    return found


@pytest.mark.parametrize(
    ("score", "severity"),
    [
        (-1, "critical"),
        (0, "critical"),
        (1.0, "critical"),
        (2.4999, "critical"),
        (2.5, "high"),
        (3, "high"),
        (3.4999, "high"),
        (3.5, "medium"),
        (3.9999, "medium"),
        (4.0, "low"),
        (4, "low"),
        (5, "low"),
        (Float(2.0), "critical"),
        (Fraction(3), "high"),
    ],
)
def test_call_quality(score: Any, severity: str) -> None:
    """A result with call quality is an alert whose severity follows the mean opinion score."""
    quality = {"mosScore": score, "jitter": 12, "codec": "opus"}
    expected = {"mosScore": float(score), "jitter": 12, "codec": "opus"}
    assert one("result", callQuality=quality, sentiment="angry") == alert(
        "call_quality", severity, expected
    )


@pytest.mark.parametrize("quality", [{}, {"mosScore": None}, {"jitter": 1}])
def test_quality_without_a_score(quality: dict[str, Any]) -> None:
    """Without a score the severity is low."""
    assert one("result", callQuality=quality) == alert("call_quality", "low", quality)


@pytest.mark.parametrize("more", [{}, {"callQuality": None}, {"sentiment": {"score": 1}}])
def test_a_result_without_quality(more: dict[str, Any]) -> None:
    """A result without call quality makes no alert, and is not malformed."""
    assert read("alerts", "result", {"callId": "c1"} | more) == AnalysisReport()


def test_events() -> None:
    """Each event is an alert of its own, of medium severity, in order."""
    events = [
        {"type": "hold", "timestamp": 1_700_000_000_000},
        {"type": "talk-over", "timestamp": 1.5, "speaker": "agent"},
        {"type": "silence", "timestamp": "2024-01-01T00:00:00Z"},
    ]
    assert read("alerts", "events", {"callId": "c1", "events": events}).alerts == (
        alert("call_event:hold", "medium", {"eventType": "hold", "timestamp": 1_700_000_000_000}),
        alert("call_event:talk-over", "medium", {"eventType": "talk-over", "timestamp": 1.5}),
        alert(
            "call_event:silence",
            "medium",
            {"eventType": "silence", "timestamp": "2024-01-01T00:00:00Z"},
        ),
    )


@pytest.mark.parametrize(
    ("confidence", "severity"),
    [(0, "medium"), (0.5, "medium"), (0.8, "medium"), (0.8001, "high"), (1, "high"), (7, "high")],
)
def test_anomalies(confidence: float, severity: str) -> None:
    """Each anomaly is an alert, of high severity when its confidence is above 0.8."""
    found = one("anomalies", anomalies=[{"type": "echo", "confidence": confidence}])
    data = {"anomalyType": "echo", "confidence": confidence}
    assert found == alert("anomaly:echo", severity, data)


def test_nothing_in_a_list() -> None:
    """An empty list makes no alert; a tuple is a list."""
    assert read("alerts", "events", {"callId": "c1", "events": []}) == AnalysisReport()
    assert read("alerts", "anomalies", {"callId": "c1", "anomalies": ()}) == AnalysisReport()


def test_keys() -> None:
    """With a key each alert has an idempotency key of its own; without, none."""
    events = [{"type": "a", "timestamp": 1}, 7, {"type": "a", "timestamp": 1}]
    payload = {"callId": "c1", "events": events}
    keys = [each.idempotency_key for each in read("alerts", "events", payload, key="k").alerts]
    assert keys == ["k:0", "k:2"]
    assert read("alerts", "events", payload).alerts[0].idempotency_key is None


def test_good_entries_count() -> None:
    """Malformed entries are counted and left out; the others are alerts."""
    anomalies = [
        {"type": "a", "confidence": 1},
        {"type": "b"},
        {"type": "c", "confidence": "1"},
        {"type": "d", "confidence": 0},
    ]
    found = read("alerts", "anomalies", {"callId": "c1", "anomalies": anomalies})
    assert [each.type for each in found.alerts] == ["anomaly:a", "anomaly:d"]
    assert (found.malformed, found.reason) == (2, "confidence is a finite number")


@pytest.mark.parametrize(
    "value", [True, "4.2", float("nan"), float("inf"), [], {}, 10**400, 1j, Opaque()], ids=repr
)
@pytest.mark.parametrize("where", ["mosScore", "confidence", "timestamp"])
def test_numbers(where: str, value: Any) -> None:
    """A truth value, a text, a number without end and other things are no numbers."""
    if where == "timestamp" and value == "4.2":
        return
    payloads: dict[str, tuple[str, dict[str, Any]]] = {
        "mosScore": ("result", {"callQuality": {"mosScore": value}}),
        "confidence": ("anomalies", {"anomalies": [{"type": "a", "confidence": value}]}),
        "timestamp": ("events", {"events": [{"type": "a", "timestamp": value}]}),
    }
    event, payload = payloads[where]
    with pytest.raises(ValueError, match=f"{where} is a finite number"):
        read("alerts", event, {"callId": "c1"} | payload)


def endless() -> dict[str, Any]:
    """A dictionary that holds itself."""
    data: dict[str, Any] = {}
    data["self"] = data
    return data


OTHERS: list[Any] = [None, 1, "x", [], [1], {}, Opaque()]


@pytest.mark.parametrize(
    ("event", "payload"),
    [
        *[(event, other) for event in EVENTS for other in OTHERS],
        *[(event, {"callId": "c1", "events": 1, "anomalies": 1}) for event in EVENTS[1:]],
        *[(event, {"callId": "c1", event: {}}) for event in EVENTS[1:]],
        *[(event, {"callId": "c1", event: [None]}) for event in EVENTS[1:]],
        *[(event, {"callId": "c1", event: [[], "x"]}) for event in EVENTS[1:]],
        *[(event, {"callId": "c1", event: [{"type": 1, "timestamp": 1}]}) for event in EVENTS[1:]],
        *[(event, {"callId": call, event: []}) for event in EVENTS[1:] for call in (1, "", "*")],
        ("result", {"callId": "a" * 65}),
        ("result", {"callId": "\ud800"}),
        ("result", {"callId": "c1", "callQuality": []}),
        ("result", {"callId": "c1", "callQuality": "good"}),
        ("result", {"callId": "c1", "callQuality": {1: 2}}),
        ("result", {"callId": "c1", "callQuality": {"a": "\ud800"}}),
        ("result", {"callId": "c1", "callQuality": {"a": Opaque()}}),
        ("result", {"callId": "c1", "callQuality": {"a": "x" * 70_000}}),
        ("result", {"callId": "c1", "callQuality": endless()}),
        ("events", {"callId": "c1", "events": [{"type": "a", "timestamp": "\ud800"}]}),
        ("events", {"callId": "c1", "events": [{"type": "", "timestamp": 1}]}),
        ("events", {"callId": "c1", "events": [{"type": "a" * 118, "timestamp": 1}]}),
        ("events", {"callId": "c1", "events": [{"type": "a\n", "timestamp": 1}]}),
        ("anomalies", {"callId": "c1", "anomalies": [{"type": "\ud800", "confidence": 1}]}),
    ],
    ids=lambda each: repr(each)[:60],
)
def test_malformed(event: str, payload: Any) -> None:
    """What cannot be read is a ValueError that repeats nothing of it."""
    with pytest.raises(ValueError, match=r"\w") as caught:
        read("alerts", event, payload)
    assert "aaa" not in str(caught.value)


@pytest.mark.parametrize("event", [None, 1, "", "Result", "toString", [], {}])
def test_unknown_events(event: Any) -> None:
    """An event nobody knows is malformed, with the three that are known."""
    with pytest.raises(ValueError, match="one of result, events, anomalies"):
        read("alerts", event, {"callId": "c1"})


def test_what_is_read_is_kept() -> None:
    """What the engine does to its payload afterwards changes no alert."""
    quality: dict[str, Any] = {"mosScore": 1, "streams": [1]}
    found = one("result", callQuality=quality)
    quality["streams"].append(2)
    quality.clear()
    assert found == alert("call_quality", "critical", {"mosScore": 1, "streams": [1]})


@given(
    st.sampled_from([*EVENTS, "other"]),
    st.dictionaries(
        st.sampled_from(["callId", "callQuality", "events", "anomalies", "mosScore"]),
        st.recursive(
            st.none() | st.booleans() | st.floats() | st.text() | st.integers(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        ),
    ),
)
def test_nothing_else_is_raised(event: str, payload: dict[str, Any]) -> None:
    """Whatever comes is read, or is a ValueError."""
    try:
        found = read("alerts", event, payload)
    except ValueError:
        return
    assert all(each.channel.startswith("alerts:") for each in found.alerts)


class Int(int):
    """A whole number of a numeric library."""


@pytest.mark.parametrize("value", [Fraction(9, 10), Float(0.9), Int(1)], ids=repr)
def test_numbers_of_libraries(value: Any) -> None:
    """They become plain ones, which every part of the gateway can write."""
    found = one("anomalies", anomalies=[{"type": "a", "confidence": value}])
    said: Any = found.data
    assert said["data"]["confidence"] == float(value)
    assert type(said["data"]["confidence"]) is float
    assert msgspec.json.encode(found.data)
    held = one("events", events=[{"type": "a", "timestamp": value}])
    assert msgspec.json.encode(held.data)


def test_a_report_without_end() -> None:
    """Of very many entries the first thousand are read, and the others are malformed."""
    events = [{"type": "a", "timestamp": number} for number in range(1003)]
    found = read("alerts", "events", {"callId": "c1", "events": events})
    assert (len(found.alerts), found.malformed) == (1000, 3)
    assert found.reason == "a report has at most 1000 entries"
    whole = read("alerts", "events", {"callId": "c1", "events": events[:1000]})
    assert (len(whole.alerts), whole.malformed) == (1000, 0)
    with pytest.raises(ValueError, match="at most 1000"):
        read("alerts", "events", {"callId": "c1", "events": [None] * 1001})
