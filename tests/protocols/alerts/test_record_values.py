"""What a call's supervisors are told."""

import json

import msgspec

from portward.protocols.alerts.record import Alert, Severity


def test_on_the_wire() -> None:
    """An alert in JSON has the words of the protocol, in their order."""
    alert = Alert(
        id="alert_1",
        timestamp=2,
        call_id="c",
        type="t",
        severity=Severity.CRITICAL,
        data={"a": None},
        offset=3,
        epoch="e",
    )
    assert list(json.loads(msgspec.json.encode(alert)).items()) == [
        ("id", "alert_1"),
        ("timestamp", 2),
        ("callId", "c"),
        ("type", "t"),
        ("severity", "critical"),
        ("data", {"a": None}),
        ("offset", 3),
        ("epoch", "e"),
    ]
    assert [*Severity] == ["low", "medium", "high", "critical"]
