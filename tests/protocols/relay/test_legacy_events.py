"""The events of the older relay: the same names and fields, beside the gateway's own."""

import json
from typing import Any

import pytest

from portward.model.handshake_errors import HandshakeRejected
from portward.settings import Settings
from portward.settings.operation import LogFormat, LogSettings
from portward.testing import connect
from portward.testing.gateway import request
from tests.protocols.relay.fake_upstream import relaying, tell
from tests.running_gateway import RoutedGate, RunningGateway, run_gateway

pytestmark = pytest.mark.p1

EXACT = frozenset(
    {
        "WS_CONNECTION_ESTABLISHED",
        "WS_CONNECTION_BLOCKED_RATE_LIMIT",
        "WS_AUTH_SUCCESS",
        "WS_AUTH_FAILED_INVALID_TOKEN",
        "HTTP_RATE_LIMIT_EXCEEDED",
    }
)
NAMES = EXACT | frozenset(
    {
        "connection_established",
        "connection_blocked",
        "auth_success",
        "auth_failed",
        "http_rate_limit_exceeded",
    }
)
OWN = ("event", "ip", "totalConnections", "userId", "error", "reason")
JSON = Settings(log=LogSettings(format=LogFormat.JSON))
OLDER = Settings(log=LogSettings(format=LogFormat.JSON, older_names=True))


def lines(running: RunningGateway) -> list[dict[str, Any]]:
    """The events of the older relay that were logged, each with its own fields."""
    running.gateway.telemetry.log.close(5)
    told = [json.loads(line) for line in running.log.getvalue().splitlines()]
    return [
        {key: each[key] for key in OWN if key in each} for each in told if each["event"] in NAMES
    ]


async def test_a_connection_tells_its_story(monkeypatch: pytest.MonkeyPatch) -> None:
    """Established, refused a token, proven: with the address masked, and without the token."""
    async with relaying(monkeypatch, JSON) as (running, _):
        client = await connect(running.gateway, "/realtime", peer="192.0.2.7")
        await tell(client, {"type": "authenticate", "token": "nonsense"})
        await tell(client, {"type": "authenticate", "token": running.token("ann")})
        ip = "192.0.2.xxx"
        assert lines(running) == [
            {"event": "connection_established", "ip": ip, "totalConnections": 1},
            {"event": "auth_failed", "ip": ip, "error": "authentication_failed"},
            {"event": "auth_success", "ip": ip, "userId": "ann"},
        ]


async def test_those_turned_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """For the origin, for too many connections, for too many attempts; other reasons are not told."""
    async with relaying(monkeypatch, JSON) as (running, _):
        peer = "192.0.2.7"
        await refused(running, peer, origin="https://evil.example")
        kept = [await connect(running.gateway, "/realtime", peer=peer) for _ in range(3)]
        await refused(running, peer)
        await refused(running, peer, sec_websocket_key="bad")
        for client in kept:
            client.leave()
        while await refused(running, peer) != "rate":
            pass
        told = [each["reason"] for each in lines(running) if each["event"] == "connection_blocked"]
        assert set(told) == {"origin", "ip_limit", "rate_limit"}


async def refused(running: RunningGateway, peer: str, **headers: str) -> str:
    """Come and be turned away, as at a real listener; returns why, or nothing when let in."""
    gate = RoutedGate(running.gateway.node)
    head = request("/realtime", peer=peer, **headers)
    try:
        (await gate.admit(head)).cancel()
    except HandshakeRejected as refusal:
        gate.refused(head, refusal)
        return refusal.refusal.reason
    return ""


async def test_other_endpoints_say_nothing_of_the_kind() -> None:
    """A rooms client leaves only the gateway's own events."""
    async with run_gateway(JSON) as running:
        await running.client("ann")
        assert lines(running) == []


async def test_the_exact_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where they are on, each event that the older relay had stands there under its name there, too."""
    async with relaying(monkeypatch, OLDER) as (running, _):
        peer = "192.0.2.7"
        client = await connect(running.gateway, "/realtime", peer=peer)
        await tell(client, {"type": "authenticate", "token": "nonsense"})
        await tell(client, {"type": "authenticate", "token": running.token("ann")})
        await refused(running, peer, origin="https://evil.example")
        client.leave()
        while await refused(running, peer) != "rate":
            pass
        head = request("/test", peer="192.0.2.8")
        while (answer := RoutedGate(running.gateway.node).answer(head)) and answer.status != 429:
            pass
        ip = "192.0.2.xxx"
        told = [each for each in lines(running) if each["event"] in EXACT]
        assert told == [
            {"event": "WS_CONNECTION_ESTABLISHED", "ip": ip, "totalConnections": 1},
            {"event": "WS_AUTH_FAILED_INVALID_TOKEN", "ip": ip, "error": "authentication_failed"},
            {"event": "WS_AUTH_SUCCESS", "ip": ip, "userId": "ann"},
            {"event": "WS_CONNECTION_BLOCKED_RATE_LIMIT", "ip": ip},
            {"event": "HTTP_RATE_LIMIT_EXCEEDED", "ip": ip},
        ]
