"""Alerts, live and the relay at the terminal: what is subscribed to, what is typed, what comes."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from portward.cli.connect import plain as module
from portward.cli.connect.addresses import dialect_of
from portward.cli.connect.plain import Plain, own_origin
from portward.cli.connect.screen import Screen
from portward.cli.errors import CommandRefused, UsageError
from portward.client import Backoff, ClientError, ConnectionOptions
from portward.client.endpoint import EndpointOptions
from portward.client.tokens import TokenProvider
from tests.cli.connect.peers import Typist
from tests.e2e.directory import COOKIE, directory
from tests.e2e.houses import Place, own_door
from tests.e2e.relay import relayed
from tests.e2e.viewer import asking


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits long for a last answer."""
    monkeypatch.setattr(module, "_QUIET", 0.2)


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    """A gateway that listens."""
    async with own_door("") as place:
        yield place


def options(url: str, credential: str | None) -> EndpointOptions:
    """How to reach an endpoint."""
    connection = ConnectionOptions(retry_first=False, backoff=Backoff(draw=lambda: 0.0))
    return EndpointOptions(url, TokenProvider(credential, connection.clock), connection)


async def test_the_relay_has_nothing_to_hear() -> None:
    """Asking it for something is a mistake of the command line."""
    with pytest.raises(UsageError, match="nothing to subscribe to"):
        Plain("relay", options("ws://h/realtime", None), Screen(), ["x"], "http://h")


@pytest.mark.parametrize(
    ("url", "dialect"),
    [
        ("ws://h/rooms", "rooms"),
        ("ws://h/alerts", "alerts"),
        ("ws://h/x/live/", "live"),
        ("ws://h/realtime", "relay"),
        ("ws://h/relay", "relay"),
        ("ws://h/echo", "echo"),
    ],
)
def test_the_dialect_follows_from_the_path(url: str, dialect: str) -> None:
    """By the names that the endpoints have by default."""
    assert dialect_of(url, None) == dialect
    assert dialect_of(url, "alerts") == "alerts"


def test_a_path_that_says_nothing() -> None:
    """The error names every dialect there is."""
    with pytest.raises(UsageError, match=r"rooms.alerts.live.relay.socketio.echo"):
        dialect_of("ws://h/chat", None)


def test_the_gatewaysown_origin() -> None:
    """A page beside the gateway would come from there."""
    assert own_origin("ws://h:1/live") == "http://h:1"
    assert own_origin("wss://h/live") == "https://h"


async def talk(plain: Plain, *lines: str) -> None:
    """Connect, type some lines, see the answers and leave."""
    await plain.start()
    listening = asyncio.create_task(plain.listen())
    await plain.type(Typist(*lines).keyboard)
    await plain.leave()
    await listening


def kinds(shown: str) -> list[str]:
    """The types of the messages that were shown, and the notes."""
    return [
        json.loads(line)["type"] if line.startswith("{") else line for line in shown.splitlines()
    ]


async def test_alerts(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """Subscribed from the command line, and asked by hand; empty lines are not sent."""
    token = place.gateway.token("ann")
    plain = Plain("alerts", options(place.alerts, token), Screen(), ["c1"], "http://h")
    await talk(plain, '{"type":"ping"}', "", "nonsense")
    found = kinds(capsys.readouterr().out)
    found[:2] = sorted(found[:2])
    assert found == ["* connected", "handshake", "subscribed", "pong", "error"]


async def test_alerts_come_back(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """After a break the client comes back, subscribes again, and shows what was missed."""
    token = place.gateway.token("ann")
    plain = Plain("alerts", options(place.alerts, token), Screen(), ["c1"], "http://h")
    await plain.start()
    connection = plain._client._reconnecting.connection
    assert connection is not None
    connection._transport.abort()
    await place.gateway.alerts.publish("c1", "hold_time", "high", {})
    shown = ""
    async with asyncio.timeout(20):
        while '"alert"' not in shown:
            plain._client.came.clear()
            shown += capsys.readouterr().out
            await asyncio.wait({asyncio.create_task(plain._client.came.wait())}, timeout=0.1)
    assert "* not connected: the connection broke; trying again" in shown
    await plain.close()


async def test_live(capsys: pytest.CaptureFixture[str]) -> None:
    """A topic is subscribed to with the cookie."""
    async with directory() as provider, own_door(asking(provider)) as place:
        provider.login("good", "ann", "1")
        given = options(place.live, f"{COOKIE}=good")
        plain = Plain("live", given, Screen(), ["event:1"], own_origin(place.live))
        await talk(plain, '{"type":"ping"}')
        assert sorted(kinds(capsys.readouterr().out)) == ["* connected", "pong", "subscribed"]


async def test_the_relay(capsys: pytest.CaptureFixture[str]) -> None:
    """The upstream is asked for, and what it says is shown."""
    async with relayed() as running:
        given = options(running.url, running.token())
        await talk(Plain("relay", given, Screen(), [], "http://h"), '{"type":"ping"}')
        found = kinds(capsys.readouterr().out)
        assert found[:2] == ["auth_success", "realtime_connected"]
        assert {"session.created", "pong", "* connected"} <= set(found)


async def test_the_other_side_closes(place: Place) -> None:
    """A connection that is closed for good ends both directions, with the code."""
    token = place.gateway.token("ann")
    plain = Plain("alerts", options(place.alerts, token), Screen(), [], "http://h")
    await plain.start()
    listening = asyncio.create_task(plain.listen())
    await place.gateway.revoke(user="ann")
    with pytest.raises(CommandRefused, match=r"force disconnect \(3503\)"):
        await listening
    await plain.type(Typist("one").keyboard)
    await plain.close()


async def test_a_refused_handshake(place: Place) -> None:
    """The first connection is tried once."""
    plain = Plain("alerts", options(place.alerts, None), Screen(), [], "http://h")
    with pytest.raises(ClientError, match="401"):
        await plain.start()
    await plain.close()
