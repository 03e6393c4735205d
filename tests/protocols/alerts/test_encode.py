"""What the alerts protocol says, word for word."""

import json
from typing import Any

import pytest

from portward.model import replies as say
from portward.model.channel import Channel
from portward.model.commands import Ping, SubscribeMany
from portward.model.disconnects import Disconnect
from portward.model.errors import CommandError, ErrorKind
from portward.model.identity import Identity
from portward.model.position import Position
from portward.model.publication import Publication
from portward.model.replies import Push, Reply
from portward.protocols.alerts.protocol import AlertsProtocol

PROTOCOL = AlertsProtocol("alerts")
C1, C2 = Channel.parse("alerts:c1"), Channel.parse("alerts:c%202")
ALL = Channel.combined("alerts")
NOW = 1_700_000_000_123


def delivery(offset: int = 7, suppressed: int = 0) -> say.Delivery:
    """An alert of the call `c1`."""
    publication = Publication(
        id="00112233445566778899aabbccddeeff",
        offset=offset,
        time=99,
        type="call_quality",
        data={"callId": "c1", "severity": "critical", "data": {"mosScore": 2}},
    )
    return say.Delivery(channel=C1, publication=publication, epoch="e", suppressed=suppressed)


def alert(offset: int = 7) -> dict[str, Any]:
    """What its payload is."""
    return {
        "id": "alert_0011223344556677",
        "timestamp": 99,
        "callId": "c1",
        "type": "call_quality",
        "severity": "critical",
        "data": {"mosScore": 2},
        "offset": offset,
        "epoch": "e",
    }


REPLIES: list[tuple[Reply, dict[str, Any]]] = [
    (
        say.SubscribedMany(channels=(C1, C2, ALL)),
        {"type": "subscribed", "payload": {"callIds": ["c1", "c 2", "*"]}},
    ),
    (say.SubscribedMany(channels=()), {"type": "subscribed", "payload": {"callIds": []}}),
    (
        say.SubscribedMany(
            channels=(C1,), denied=(ALL, C2), recovered={C1: True, C2: False}, later=(delivery(),)
        ),
        {
            "type": "subscribed",
            "payload": {
                "callIds": ["c1"],
                "denied": ["*", "c 2"],
                "recovered": {"c1": True, "c 2": False},
            },
        },
    ),
    (
        say.SubscribedMany(channels=(), recovered={}),
        {"type": "subscribed", "payload": {"callIds": [], "recovered": {}}},
    ),
    (
        say.UnsubscribedMany(channels=(C2, C1)),
        {"type": "unsubscribed", "payload": {"callIds": ["c 2", "c1"]}},
    ),
    (say.HistoriesRead(deliveries=()), {"type": "history", "payload": {"alerts": []}}),
    (
        say.HistoriesRead(deliveries=(delivery(7), delivery(8))),
        {"type": "history", "payload": {"alerts": [alert(7), alert(8)]}},
    ),
    (say.Pong(), {"type": "pong", "payload": {"timestamp": NOW}}),
    (
        say.Refreshed(session_token="s", expires_at=12.5),
        {"type": "refreshed", "payload": {"expiresAt": 12500}},
    ),
    (
        say.Refreshed(session_token="s", expires_at=None),
        {"type": "refreshed", "payload": {"expiresAt": None}},
    ),
]


@pytest.mark.parametrize(("reply", "words"), REPLIES)
def test_replies(reply: Reply, words: dict[str, Any]) -> None:
    """Each answer in its words, with the id of the message when it had one."""
    found = PROTOCOL.reply(SubscribeMany(channels=()), reply, NOW)
    assert found is not None
    assert json.loads(found) == words
    for identifier in ("", "i", 0, -1):
        answer = PROTOCOL.reply(Ping(id=identifier), reply, NOW)
        assert answer is not None
        assert json.loads(answer) == words | {"id": identifier}


PUSHES: list[tuple[Push, dict[str, Any]]] = [
    (
        say.Welcome(connection_id="0123456789abcdef" * 2),
        {
            "type": "handshake",
            "payload": {
                "sessionId": "sess_0123456789abcdef01234567",
                "message": "Connected to alert server",
            },
        },
    ),
    (delivery(), {"type": "alert", "payload": alert()}),
    (delivery(suppressed=3), {"type": "alert", "payload": alert() | {"suppressed": 3}}),
    (say.Expiring(expires_at=12.5), {"type": "expiring", "payload": {"expiresAt": 12500}}),
    (
        say.Removed(channel=C2, reason="permission_denied"),
        {
            "type": "error",
            "payload": {
                "message": "Subscription withdrawn",
                "code": "permission_denied",
                "callId": "c 2",
            },
        },
    ),
    (
        say.Removed(channel=C2, reason=say.INSUFFICIENT_STATE),
        {
            "type": "error",
            "payload": {
                "message": "Temporarily unavailable",
                "code": "unavailable",
                "callId": "c 2",
                "retryMs": 1000,
            },
        },
    ),
    (
        say.Removed(channel=C2, reason="unavailable"),
        {
            "type": "error",
            "payload": {
                "message": "Temporarily unavailable",
                "code": "unavailable",
                "callId": "c 2",
                "retryMs": 1000,
            },
        },
    ),
    (
        say.ShuttingDown(retry=1500, address="ws://b:1/alerts"),
        {
            "type": "shutdown",
            "payload": {
                "message": "Server shutting down",
                "reconnectUrl": "ws://b:1/alerts",
                "retryMs": 1500,
            },
        },
    ),
    (
        say.ShuttingDown(retry=0),
        {"type": "shutdown", "payload": {"message": "Server shutting down", "retryMs": 0}},
    ),
    (
        say.Parting(ending=Disconnect.TOO_MANY_REQUESTS, retry=7),
        {"type": "closing", "payload": {"reason": "too_many_requests", "retryMs": 7}},
    ),
]


@pytest.mark.parametrize(("push", "words"), PUSHES)
def test_pushes(push: Push, words: dict[str, Any]) -> None:
    """Each push in its words."""
    found = PROTOCOL.push(push, NOW)
    assert found is not None
    assert json.loads(found) == words


@pytest.mark.parametrize("suppressed", [0, 3])
def test_the_order_of_keys(suppressed: int) -> None:
    """The keys of an alert stand in the order readers of logs know, `suppressed` last."""
    found = PROTOCOL.push(delivery(suppressed=suppressed), NOW)
    assert found is not None
    assert [*json.loads(found)] == ["type", "payload"]
    order = ["id", "timestamp", "callId", "type", "severity", "data", "offset", "epoch"]
    assert [*json.loads(found)["payload"]] == order + ["suppressed"] * bool(suppressed)


def test_foreign_publications() -> None:
    """A publication that is no alert is told as one of low severity, and breaks nothing."""
    publication = Publication(id="x", offset=1, time=2, data=[1], origin=C2)
    found = PROTOCOL.push(say.Delivery(channel=ALL, publication=publication, epoch="e"), NOW)
    assert found is not None
    assert json.loads(found) == {
        "type": "alert",
        "payload": {
            "id": "alert_x",
            "timestamp": 2,
            "callId": "c 2",
            "type": "message",
            "severity": "low",
            "data": {"value": [1]},
            "offset": 1,
            "epoch": "e",
        },
    }


def test_silence() -> None:
    """What is no word of this protocol is not said."""
    position = Position(1, "e")
    for reply in (
        say.Done(),
        say.Unsubscribed(channel=C1),
        say.Subscribed(channel=C1, position=position),
        say.Authenticated(identity=Identity(subject="a"), session_token="s", expires_at=None),
    ):
        assert PROTOCOL.reply(Ping(id="i"), reply, NOW) is None
    assert PROTOCOL.push(say.Joined(channel=C1, user="ann"), NOW) is None
    assert PROTOCOL.push(say.Left(channel=C1, user="ann"), NOW) is None
    assert PROTOCOL.push(say.Told(data={"any": 1}), NOW) is None


SPECIAL = {
    ErrorKind.INVALID_FORMAT: ("Invalid JSON", "invalid_json"),
    ErrorKind.INVALID_STRUCTURE: ("Invalid message", "invalid_message"),
    ErrorKind.UNKNOWN_TYPE: ("Unknown message type: pong", "unknown_type"),
    ErrorKind.UNKNOWN_CHANNEL: ("Permission denied", "permission_denied"),
    ErrorKind.UNKNOWN_ROOM: ("Permission denied", "permission_denied"),
}


@pytest.mark.parametrize("kind", list(ErrorKind))
def test_faults(kind: ErrorKind) -> None:
    """Each fault in its words; the detail is for the operator alone."""
    message, code = SPECIAL.get(kind, (kind.text, kind.code))
    found = PROTOCOL.reply_error(CommandError(kind, about="pong", detail="secret"), NOW)
    assert found is not None
    assert json.loads(found) == {"type": "error", "payload": {"message": message, "code": code}}


@pytest.mark.parametrize("identifier", ["", "i", 0, 12])
def test_a_fault_repeats_the_id(identifier: str | int) -> None:
    """The id of a refused message comes back, and how long to wait."""
    fault = CommandError(ErrorKind.RATE_LIMITED, retry_after=1500, command_id=identifier)
    found = PROTOCOL.reply_error(fault, NOW)
    assert found is not None
    assert json.loads(found) == {
        "type": "error",
        "payload": {"message": "Too many requests", "code": "rate_limited", "retryMs": 1500},
        "id": identifier,
    }


def test_a_wait_of_nothing_is_told() -> None:
    """A client that may come back at once is told so; a fault about nothing names nothing."""
    found = PROTOCOL.reply_error(CommandError(ErrorKind.UNKNOWN_TYPE, retry_after=0), NOW)
    assert found is not None
    assert json.loads(found)["payload"] == {
        "message": "Unknown message type: ",
        "code": "unknown_type",
        "retryMs": 0,
    }
