"""What is said at the relay before the upstream is connected, word for word."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from msgspec.structs import replace

from portward.settings import Settings
from portward.settings.endpoint import AuthMode
from portward.settings.presets import ENDPOINTS
from portward.testing import MemoryClient, connect
from tests.protocols.relay.fake_upstream import FakeUpstream, proven, relaying, tell
from tests.running_gateway import RunningGateway, settle

pytestmark = pytest.mark.p1

REQUIRED = {"type": "error", "code": "not_authenticated", "message": "Authentication required"}
NOT_CONNECTED = {"type": "error", "code": "not_connected", "message": "Not connected"}
INVALID = {"type": "error", "code": "invalid_token", "message": "Invalid token"}


@pytest.fixture
async def both(
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[tuple[RunningGateway, FakeUpstream]]:
    """A gateway and its upstream."""
    async with relaying(monkeypatch) as pair:
        yield pair


@pytest.fixture
def running(both: tuple[RunningGateway, FakeUpstream]) -> RunningGateway:
    """The gateway."""
    return both[0]


async def answers(client: MemoryClient, *messages: Any) -> list[Any]:
    """What a client is answered."""
    client.received.clear()
    for message in messages:
        await tell(client, message)
    return client.received


async def test_from_the_token_to_the_upstream(running: RunningGateway) -> None:
    """Silence at first; then each message has its answer."""
    client = await connect(running.gateway, "/realtime")
    assert client.received == []
    token = running.token("ann")
    said = await answers(
        client,
        {"type": "connect_realtime"},
        {"type": "authenticate", "token": token},
        {"type": "session.update", "session": {}},
        {"type": "connect_realtime"},
    )
    assert said == [
        REQUIRED,
        {"type": "auth_success", "userId": "ann"},
        NOT_CONNECTED,
        {"type": "realtime_connected", "model": "gpt-realtime"},
    ]


async def test_anything_else_is_not_connected(running: RunningGateway) -> None:
    """Whatever it is, and whoever says it; the connection lives."""
    for client in (await connect(running.gateway, "/realtime"), await proven(running)):
        client.received.clear()
        for payload in (b"", b"{", b"[]", b"null", b'{"type":1}', b'{"type":"nonsense"}'):
            client.send_bytes(payload, binary=False)
            await settle()
        client.send_bytes(b"\x00", binary=True)
        await settle()
        assert client.received == [NOT_CONNECTED] * 7
        assert client.closed is None


async def test_three_bad_tokens_are_enough(running: RunningGateway) -> None:
    """The third is answered, too, and closes the connection for good."""
    client = await connect(running.gateway, "/realtime")
    said = await answers(
        client,
        {"type": "authenticate", "token": "x"},
        {"type": "authenticate"},
        {"type": "authenticate", "token": 7},
    )
    assert said == [INVALID] * 3
    assert client.closed == (3500, "invalid token")


async def test_who_says_nothing(running: RunningGateway) -> None:
    """After ten seconds it is told why, then closed."""
    client = await connect(running.gateway, "/realtime")
    await running.advance(9.8)
    assert client.received == []
    await running.advance(0.4)
    assert client.received == [
        {"type": "error", "code": "auth_timeout", "message": "Authentication timeout"}
    ]
    assert client.closed == (1008, "Authentication timeout")


async def test_an_address_has_three_connections(running: RunningGateway) -> None:
    """The fourth is turned away, and so is the eleventh attempt of a minute."""
    kept = [await connect(running.gateway, "/realtime") for _ in range(3)]
    assert (await running.refusal("/realtime")).reason == "address_cap"
    for client in kept:
        client.leave()
    await settle()
    for _ in range(6):
        (await connect(running.gateway, "/realtime")).leave()
        await settle()
    assert (await running.refusal("/realtime")).reason == "rate"


async def test_a_token_in_the_address_is_refused(running: RunningGateway) -> None:
    """The endpoint takes none there, and passes none on."""
    refusal = await running.refusal(f"/realtime?token={running.token('ann')}")
    assert (refusal.status, refusal.reason) == (400, "bad_request")


async def test_without_authentication(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everyone may connect at once; a key in a header, whatever it is, makes it transparent."""
    relay = replace(ENDPOINTS["realtime"], auth=AuthMode.NONE)
    given = Settings(endpoints={**ENDPOINTS, "realtime": relay})
    async with relaying(monkeypatch, given) as (running, upstream):
        client = await connect(running.gateway, "/realtime")
        said = await answers(client, {"type": "connect_realtime"})
        assert said == [{"type": "realtime_connected", "model": "gpt-realtime"}]
        silent = await connect(running.gateway, "/realtime", authorization="Bearer anything")
        await settle()
        assert silent.received == []
        assert len(upstream.links) == 2
        silent.send_bytes(b'{"type":"response.create"}', binary=False)
        await settle()
        assert upstream.link.sent == [(b'{"type":"response.create"}', False)]


async def test_a_newer_token_before_connecting(running: RunningGateway) -> None:
    """It takes the place of the old one."""
    client = await proven(running, ttl=100.0)
    said = await answers(client, {"type": "refresh", "token": running.token("ann", ttl=200.0)})
    assert said[0]["type"] == "refresh_success"
    await running.advance(150)
    assert client.closed is None
