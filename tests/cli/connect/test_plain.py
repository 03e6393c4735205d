"""Alerts, live and the relay at the terminal: what is said first, what is typed, what comes."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from portward.app.gateway import Gateway
from portward.cli.connect import plain as module
from portward.cli.connect.addresses import dialect_of
from portward.cli.connect.plain import Plain, opening, own_origin
from portward.cli.connect.screen import Screen
from portward.cli.errors import Refusal, Usage
from portward.client import dialer
from portward.client.link import LinkClosed
from tests.cli.connect.peers import Typist
from tests.cli.connect.test_echo import Mirror
from tests.e2e.houses import Place, own_door


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits long for a last answer."""
    monkeypatch.setattr(module, "_QUIET", 0.2)


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    """A gateway that listens."""
    async with own_door("") as place:
        yield place


@pytest.mark.parametrize(
    ("dialect", "wanted", "token", "said"),
    [
        ("alerts", [], "t", []),
        ("alerts", ["a", "*"], "t", [{"type": "subscribe", "callIds": ["a", "*"]}]),
        (
            "live",
            ["event:1", "x"],
            None,
            [{"type": "subscribe", "topic": "event:1"}, {"type": "subscribe", "topic": "x"}],
        ),
        (
            "relay",
            [],
            "t",
            [{"type": "authenticate", "token": "t"}, {"type": "connect_realtime"}],
        ),
        ("relay", [], None, [{"type": "connect_realtime"}]),
    ],
)
def test_what_is_said_first(
    dialect: str, wanted: list[str], token: str | None, said: list[object]
) -> None:
    """What was asked for on the command line, in the dialect's own words."""
    assert [json.loads(each) for each in opening(dialect, wanted, token)] == said


def test_the_relay_has_nothing_to_hear() -> None:
    """Asking it for something is a mistake of the command line."""
    with pytest.raises(Usage, match="nothing to subscribe to"):
        opening("relay", ["x"], "t")


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
    with pytest.raises(Usage, match=r"rooms.alerts.live.relay.socketio.echo"):
        dialect_of("ws://h/chat", None)


def test_the_gatewaysown_origin() -> None:
    """A page beside the gateway would come from there."""
    assert own_origin("ws://h:1/live") == "http://h:1"
    assert own_origin("wss://h/live") == "https://h"


async def talk(link: object, lines: tuple[str, ...], first: list[str]) -> None:
    """Say what is said first, then what is typed, hear the answers and leave."""
    plain = Plain(link, Screen(), first)  # type: ignore[arg-type]  # a mirror is one, too
    listening = asyncio.create_task(plain.listen())
    await plain.type(Typist(*lines).keyboard)
    await plain.leave()
    with pytest.raises(Refusal, match="the connection is over"):
        await listening


async def test_typed_lines_go_out_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    """Empty ones apart; and nothing that comes back is taken for a command of the terminal."""
    await talk(Mirror(), ("one", "", "\x1b[2J"), ["first"])
    assert capsys.readouterr() == ("first\none\n\\x1b[2J\n", "")


async def test_a_gateway_of_alerts(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    """Subscribed from the command line, and asked by hand."""
    gateway: Gateway = place.gateway
    headers = {"Authorization": f"Bearer {gateway.token('ann')}"}
    link = await dialer(place.alerts, headers=headers)()
    await talk(link, ('{"type":"ping"}', "nonsense"), opening("alerts", ["c1"], None))
    kinds = [json.loads(line)["type"] for line in capsys.readouterr().out.splitlines()]
    assert kinds == ["handshake", "subscribed", "pong", "error"]


async def test_the_other_side_closes() -> None:
    """A connection that breaks ends both directions."""
    mirror = Mirror()
    plain = Plain(mirror, Screen(), ["first"])
    mirror.end(None, "connection lost")
    await plain.type(Typist("one").keyboard)
    with pytest.raises(Refusal, match="connection lost"):
        await plain.listen()
    assert isinstance(mirror.closed, LinkClosed)
