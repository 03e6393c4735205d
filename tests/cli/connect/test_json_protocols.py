"""Alerts, live and the relay at the terminal: what is subscribed to, what is typed, what comes."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from portward.cli.connect.json_protocols import TerminalJson, open_json
from portward.cli.connect.options import ConnectOptions
from portward.cli.connect.screen import Screen
from portward.cli.terminal import CommandRefused, UsageError
from portward.client import ClientError
from tests.cli.connect.peers import talk
from tests.e2e.gateways import Place, own_listener
from tests.e2e.live_client import asking
from tests.e2e.provider_server import COOKIE, directory
from tests.e2e.relay import relayed


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last answer is not waited for long."""
    monkeypatch.setattr(TerminalJson, "quiet", 0.2)


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    """A gateway that listens."""
    async with own_listener("") as place:
        yield place


async def opened(protocol: str, url: str, *names: str, **options: Any) -> TerminalJson:
    """A client that is connected and subscribed."""
    given = ConnectOptions(url=url, protocol=protocol, subscribe=names, **options)
    return await open_json(given, Screen())


async def test_the_relay_has_no_subscriptions() -> None:
    """Asking for one is a mistake of the command line."""
    with pytest.raises(UsageError, match="nothing to subscribe to"):
        await opened("relay", "ws://127.0.0.1:1/realtime", "x")


def kinds(shown: str) -> list[str]:
    """The types of the messages that were shown, and the notes."""
    return [
        json.loads(line)["type"] if line.startswith("{") else line for line in shown.splitlines()
    ]


async def test_alerts(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """Subscribed from the command line, and asked by hand; empty lines are not sent."""
    alerts = await opened("alerts", place.alerts, "c1", token=place.gateway.token("ann"))
    await talk(alerts, '{"type":"ping"}', "", "nonsense")
    found = kinds(capsys.readouterr().out)
    found[:2] = sorted(found[:2])
    assert found == ["* connected", "handshake", "subscribed", "pong", "error"]


async def test_alerts_come_back(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """After a break the client connects again, subscribes again, and shows what was missed."""
    alerts = await opened("alerts", place.alerts, "c1", token=place.gateway.token("ann"))
    connection = alerts._client._reconnecting.connection
    assert connection is not None
    connection._transport.abort()
    await place.gateway.alerts.publish("c1", "hold_time", "high", {})
    talking = asyncio.create_task(talk(alerts, stays=True))
    shown = ""
    async with asyncio.timeout(20):
        while '"alert"' not in shown:
            await asyncio.sleep(0.01)
            shown += capsys.readouterr().out
    assert "* not connected: the connection broke; trying again" in shown
    await alerts.close()
    await talking


async def test_live(capsys: pytest.CaptureFixture[str]) -> None:
    """A topic is subscribed to with the cookie."""
    async with directory() as provider, own_listener(asking(provider)) as place:
        provider.login("good", "ann", "1")
        live = await opened("live", place.live, "event:1", cookie=f"{COOKIE}=good")
        await talk(live, '{"type":"ping"}')
        assert sorted(kinds(capsys.readouterr().out)) == ["* connected", "pong", "subscribed"]


async def test_the_relay(capsys: pytest.CaptureFixture[str]) -> None:
    """The upstream is asked for, and its messages are shown."""
    async with relayed() as running:
        relay = await opened("relay", running.url, token=running.token())
        await talk(relay, '{"type":"ping"}')
        found = kinds(capsys.readouterr().out)
        assert found[:2] == ["auth_success", "realtime_connected"]
        assert {"session.created", "pong", "* connected"} <= set(found)


async def test_the_other_side_closes(place: Place) -> None:
    """A connection that is closed for good ends both directions, with the code."""
    alerts = await opened("alerts", place.alerts, token=place.gateway.token("ann"))
    talking = asyncio.create_task(talk(alerts, stays=True))
    await place.gateway.revoke(user="ann")
    with pytest.raises(CommandRefused, match=r"force disconnect \(3503\)"):
        await talking


async def test_a_refused_handshake(place: Place) -> None:
    """The first connection is tried once."""
    with pytest.raises(ClientError, match="401"):
        await opened("alerts", place.alerts)
