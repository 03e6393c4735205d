"""Alerts as they are kept in channels."""

from typing import Any

import pytest

from portward.model.channel import Channel
from portward.model.commands import Publish
from portward.model.publication import Publication
from portward.protocols.alerts import record as alert_record
from portward.protocols.alerts.record import Alert, Severity

CALL = Channel.parse("alerts:c1")


def publication(data: Any, **more: Any) -> Publication:
    """The third publication of a stream."""
    given: dict[str, Any] = {"id": "0123456789abcdef" * 2, "offset": 3, "time": 99, "type": "t"}
    return Publication(**(given | more), data=data)


def alert(**changed: Any) -> Alert:
    """What is read from it."""
    given: dict[str, Any] = {
        "id": "alert_0123456789abcdef",
        "timestamp": 99,
        "call_id": "c1",
        "type": "t",
        "severity": Severity.LOW,
        "data": {},
        "offset": 3,
        "epoch": "e",
    }
    return Alert(**(given | changed))


def test_written() -> None:
    """An alert is a publication in its call's channel, of its type."""
    assert alert_record.write(
        "alerts", "č 1", "quality", "high", {"a": 1}, idempotency_key="k"
    ) == Publish(
        channel=Channel.parse("alerts:%C4%8D%201"),
        data={"callId": "č 1", "severity": "high", "data": {"a": 1}},
        type="quality",
        idempotency_key="k",
    )


@pytest.mark.parametrize("severity", list(Severity))
def test_written_and_read(severity: Severity) -> None:
    """What was written is read, in the call's own channel and in the combined one."""
    command = alert_record.write("alerts", "c1", "t", severity, {"x": []})
    assert isinstance(command.data, dict)
    assert type(command.data["severity"]) is str
    found = alert(severity=severity, data={"x": []})
    assert alert_record.read(CALL, publication(command.data), "e") == found
    combined = publication(command.data, origin=CALL)
    assert alert_record.read(Channel.combined("alerts"), combined, "e") == found


GOOD: dict[str, Any] = {"call_id": "c1", "type": "t", "severity": "low", "data": {}}


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("call_id", [None, 1, "", "*", "a" * 65, "\ud800", []]),
        ("type", [None, 1, "", "a" * 129, "a\nb", "a\x00", "a\x85", "a\x7f", "\ud800", []]),
        ("severity", [None, 1, "", "HIGH", "severe", [], {}, True]),
        ("data", [None, 1, "x", [], [("a", 1)], True]),
    ],
)
def test_what_is_no_alert(name: str, values: list[Any]) -> None:
    """A part of the wrong kind is refused in a sentence that names it and repeats nothing."""
    for value in values:
        with pytest.raises(ValueError, match=name.replace("_", " ")) as caught:
            alert_record.write("alerts", **(GOOD | {name: value}))
        assert "aaaa" not in str(caught.value)


@pytest.mark.parametrize("type_", ["t", "a" * 128, "zvučna proba", "📞"])
def test_types(type_: str) -> None:
    """A type is any text of 1 to 128 characters without control characters."""
    assert alert_record.write("alerts", "c1", type_, "low", {}).type == type_


@pytest.mark.parametrize(
    ("said", "data"),
    [
        ("hello", {"value": "hello"}),
        (None, {"value": None}),
        (7, {"value": 7}),
        ([1], {"value": [1]}),
        ({}, {}),
        ({"a": 1}, {"a": 1}),
    ],
)
def test_foreign_publications(said: Any, data: dict[str, Any]) -> None:
    """Whatever else was published is an alert of low severity that holds it."""
    assert alert_record.read(CALL, publication(said), "e") == alert(data=data)


@pytest.mark.parametrize(
    "changed",
    [
        {"callId": "c2"},
        {"callId": 1},
        {"severity": "severe"},
        {"severity": []},
        {"data": []},
        {"more": 1},
    ],
)
def test_nearly_alerts(changed: dict[str, Any]) -> None:
    """What only looks like an alert, or names another call, is shown whole under its own call."""
    said = {"callId": "c1", "severity": "critical", "data": {}} | changed
    assert alert_record.read(CALL, publication(said), "e") == alert(data=said)


def test_without_a_type() -> None:
    """A publication without a type is a message; the call is that of its origin."""
    said = publication(1, type=None, origin=Channel.parse("alerts:c%202"))
    found = alert_record.read(Channel.combined("alerts"), said, "e")
    assert found == alert(type="message", call_id="c 2", data={"value": 1})


def test_a_call_whose_channel_does_not_tell_it() -> None:
    """The id is in the alert, and counts when it is the one behind the channel."""
    long = "📞" * 64
    command = alert_record.write("alerts", long, "t", "high", {"x": 1})
    found = alert_record.read(command.channel, publication(command.data), "e")
    assert found == alert(call_id=long, severity=Severity.HIGH, data={"x": 1})
    everything = Channel.combined("alerts")
    combined = publication(command.data, origin=command.channel)
    assert alert_record.read(everything, combined, "e") == found
    said = {**command.data, "callId": "📞" * 63}
    foreign = alert_record.read(command.channel, publication(said), "e")
    assert (foreign.call_id, foreign.severity) == (command.channel.name, Severity.LOW)
