"""Alerts over HTTP: one of the backend's own, or what an analysis engine reports."""

import json
from typing import Any

import pytest

from portward.engines.port import EngineUnavailable, PublishResult
from portward.model.commands import Publish
from portward.node.commands.server_api import ServerApi
from portward.testing.gateway import MemoryClient, connect
from tests.admin.service import PUBLISHER, READER, Service


async def listening(service: Service, *calls: str) -> MemoryClient:
    """A subscriber of these calls."""
    token = service.gateway.token("ann")
    client = await connect(service.gateway, "/alerts", authorization=f"Bearer {token}")
    message = {"type": "subscribe", "callIds": list(calls)}
    client.send_bytes(json.dumps(message).encode(), binary=False)
    await client.settle()
    return client


def heard(client: MemoryClient) -> list[Any]:
    """The alerts a client was sent."""
    return [each["payload"] for each in client.all("alert")]


ALERT = {"callId": "c 1", "type": "quality", "severity": "high", "data": {"mos": 3}}


async def test_an_alert(service: Service) -> None:
    """An alert is heard by the subscribers of its call, under the id that is answered."""
    ann = await listening(service, "c 1")
    result = await service.call("alert", PUBLISHER, **ALERT)
    await ann.settle()
    (found,) = heard(ann)
    assert result == {"id": found["id"]}
    assert {name: found[name] for name in ALERT} == ALERT


async def test_a_repeated_alert(service: Service) -> None:
    """A repeated idempotency key answers the first id and publishes nothing."""
    first = await service.call("alert", **ALERT, idempotency_key="k")
    assert await service.call("alert", **ALERT, idempotency_key="k") == first
    assert len(await service.gateway.alerts.history()) == 1


@pytest.mark.parametrize(
    ("changed", "status", "words"),
    [
        ({"callId": "*"}, 400, "call id"),
        ({"callId": ""}, 400, "callId"),
        ({"callId": "a" * 65}, 400, "callId"),
        ({"callId": 1}, 400, "callId"),
        ({"callId": None}, 400, "callId"),
        ({"type": ""}, 400, "type"),
        ({"type": "a" * 129}, 400, "type"),
        ({"type": "a\n"}, 400, "type"),
        ({"type": 1}, 400, "type"),
        ({"severity": "severe"}, 400, "severity"),
        ({"severity": 1}, 400, "severity"),
        ({"data": []}, 400, "data"),
        ({"data": None}, 400, "data"),
        ({"more": 1}, 400, "more"),
        ({"namespace": "nowhere"}, 404, "unknown channel"),
        ({"data": {"x": "x" * 70_000}}, 413, "message too long"),
    ],
)
async def test_alerts_are_refused(
    service: Service, changed: dict[str, Any], status: int, words: str
) -> None:
    """A part of the wrong kind is refused with what is wrong."""
    found = await service.fail("alert", **(ALERT | changed))
    assert found[0] == status
    assert words in found[2]
    assert await service.gateway.alerts.history() == []


@pytest.mark.parametrize("missing", list(ALERT))
async def test_nothing_may_be_missing(service: Service, missing: str) -> None:
    """Every part of an alert is needed."""
    body = {name: value for name, value in ALERT.items() if name != missing}
    status, _, words = await service.fail("alert", **body)
    assert (status, missing in words) == (400, True)


async def test_a_report(service: Service) -> None:
    """A report is published as the alerts it makes, in order; their ids are answered."""
    ann = await listening(service, "c")
    anomalies = [
        {"type": "echo", "confidence": 0.9},
        {"type": "noise"},
        {"type": "clipping", "confidence": 0.8},
    ]
    payload = {"callId": "c", "anomalies": anomalies}
    result = await service.call("analysis", PUBLISHER, event="anomalies", payload=payload)
    await ann.settle()
    assert [(each["type"], each["severity"]) for each in heard(ann)] == [
        ("anomaly:echo", "high"),
        ("anomaly:clipping", "medium"),
    ]
    assert result == {"ids": [each["id"] for each in heard(ann)]}
    assert service.log.count("analysis.malformed") == 1


async def test_a_report_of_nothing(service: Service) -> None:
    """A report that makes no alert is answered with no ids."""
    payload = {"callId": "c", "sentiment": 1}
    assert await service.call("analysis", event="result", payload=payload) == {"ids": []}
    assert "analysis.malformed" not in service.log


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"event": "other", "payload": {}}, "an event is one of result, events, anomalies"),
        ({"event": "result", "payload": {}}, "callId"),
        ({"event": "result", "payload": []}, "payload"),
        ({"event": 1, "payload": {}}, "event"),
        ({"payload": {}}, "event"),
        ({"event": "result"}, "payload"),
        ({"event": "result", "payload": {"callId": "*"}}, "call id"),
        (
            {"event": "result", "payload": {"callId": "c", "callQuality": {"mosScore": "4"}}},
            "mosScore is a finite number",
        ),
        (
            {"event": "events", "payload": {"callId": "c", "events": [{"type": "x"}]}},
            "timestamp",
        ),
    ],
)
async def test_reports_are_refused(service: Service, body: dict[str, Any], words: str) -> None:
    """A report that cannot be read is refused with the reason."""
    status, code, message = await service.fail("analysis", **body)
    assert (status, code) == (400, 107)
    assert message.startswith("bad request: ")
    assert words in message


async def test_payloads_are_not_logged(service: Service) -> None:
    """Of a malformed report the log has the reason, and nothing it held."""
    payload = {"callId": "private-call", "callQuality": {"mosScore": "private-score"}}
    await service.fail("analysis", event="result", payload=payload)
    assert "analysis.malformed" in service.log
    assert "private" not in service.log


async def test_keys(service: Service) -> None:
    """A key without the scope `publish` can do neither."""
    for method, body in [("alert", ALERT), ("analysis", {"event": "result", "payload": {}})]:
        assert (await service.fail(method, READER, **body))[0] == 403


async def test_all_calls_are_read_back(service: Service) -> None:
    """The combined channel is read like any other, and names where each alert was published."""
    await service.call("alert", **ALERT)
    (found,) = (await service.call("history", READER, channel="alerts:%2A"))["publications"]
    assert (found["origin"], found["type"]) == ("alerts:c%201", "quality")
    (found,) = (await service.call("history", READER, channel="alerts:c%201"))["publications"]
    assert "origin" not in found


async def test_a_report_that_is_repeated(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """A report cut short by the store is published once when it is repeated with its key."""
    publish, left = ServerApi.publish, [True, False]

    async def once(self: ServerApi, command: Publish) -> PublishResult:
        if left and not left.pop(0):
            raise EngineUnavailable
        return await publish(self, command)

    monkeypatch.setattr(ServerApi, "publish", once)
    events = [{"type": name, "timestamp": 1} for name in ("a", "b", "c")]
    body = {"event": "events", "payload": {"callId": "c", "events": events}}
    assert (await service.fail("analysis", **body, idempotency_key="k"))[:2] == (503, 108)
    result = await service.call("analysis", **body, idempotency_key="k")
    found = await service.gateway.alerts.history()
    assert [each.type for each in found] == ["call_event:a", "call_event:b", "call_event:c"]
    assert result == {"ids": [each.id for each in found]}
