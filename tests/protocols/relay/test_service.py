"""Messages of a connected client that are for the gateway: a newer token, a ping. None goes upstream."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from msgspec.structs import replace

from portward.model.limits import LimitName
from portward.settings import Settings
from portward.settings.endpoint import AuthMode
from portward.settings.formats import parse_rate
from portward.settings.limits import RateLimit
from portward.settings.presets import ENDPOINTS
from portward.testing import MemoryClient
from tests.protocols.relay.fake_upstream import FakeUpstream, connected, relaying, tell, transparent
from tests.running_gateway import RunningGateway, settle

pytestmark = pytest.mark.p1

Both = tuple[RunningGateway, FakeUpstream]
CONNECTING = pytest.mark.parametrize("connecting", [connected, transparent])


@pytest.fixture
async def both(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Both]:
    """A gateway without bounds, and its upstream."""
    async with relaying(monkeypatch) as pair:
        yield pair


async def answer(client: MemoryClient, message: dict[str, Any]) -> dict[str, Any]:
    """What one message is answered."""
    client.received.clear()
    await tell(client, message)
    (said,) = client.received
    assert isinstance(said, dict)
    return said


@CONNECTING
async def test_a_token_of_a_minute_lasts_a_conversation(both: Both, connecting: Any) -> None:
    """Refreshed in time, it goes on for as long as it is; the upstream sees none of it."""
    running, upstream = both
    client = await connecting(running, ttl=60.0)
    for _ in range(10):
        for _ in range(45):
            await running.advance(1)
        said = await answer(
            client, {"type": "authenticate", "token": running.token("ann", ttl=60.0), "id": "r"}
        )
        assert said == {"type": "auth_success", "userId": "ann", "id": "r"}
    assert client.closed is None
    assert upstream.link.sent == []
    for _ in range(100):
        await running.advance(1)
    assert client.closed == (3005, "expired")


async def test_a_refresh_says_until_when(both: Both) -> None:
    """The other word for it answers with the end of the new token."""
    running, upstream = both
    client = await connected(running, ttl=60.0)
    said = await answer(client, {"type": "refresh", "token": running.token("ann", ttl=120.0)})
    assert said["type"] == "refresh_success"
    assert said["expiresAt"] == int((running.clock.time() + 120) * 1000)
    assert upstream.link.sent == []


OWN = {
    "blanks": b' { "type" : "authenticate" , "token" : "TOKEN" } ',
    "another order": b'{"token":"TOKEN","type":"authenticate"}',
    "an id": b'{"type":"authenticate","token":"TOKEN","id":7}',
    "an escaped type": rb'{"type":"\u0061uthenticate","token":"TOKEN"}',
    "an escaped key": rb'{"type":"authenticate","\u0074oken":"TOKEN"}',
    "refresh": b'{"type":"refresh","token":"TOKEN"}',
}


@CONNECTING
@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
@pytest.mark.parametrize("payload", OWN.values(), ids=OWN)
async def test_however_it_is_written(
    both: Both, connecting: Any, payload: bytes, binary: bool
) -> None:
    """The message is known by its content, in a text or a binary message."""
    running, upstream = both
    client = await connecting(running)
    client.received.clear()
    client.send_bytes(payload.replace(b"TOKEN", running.token("ann").encode()), binary=binary)
    await settle()
    assert client.received[-1]["type"] in {"auth_success", "refresh_success"}
    assert upstream.link.sent == []


REFUSED = {
    "another key": b'{"type":"authenticate","token":"TOKEN","x":1}',
    "two tokens": b'{"type":"authenticate","token":"TOKEN","token":"TOKEN"}',
    "two types": b'{"type":"x","type":"authenticate","token":"TOKEN"}',
    "no end": b'{"type":"authenticate","token":"TOKEN"',
    "an odd id": b'{"type":"authenticate","token":"TOKEN","id":[]}',
}


@CONNECTING
@pytest.mark.parametrize("payload", REFUSED.values(), ids=REFUSED)
async def test_a_token_in_another_message_is_refused(
    both: Both, connecting: Any, payload: bytes
) -> None:
    """What looks like a token for the gateway, and is not quite that, does not go upstream either."""
    running, upstream = both
    client = await connecting(running)
    client.send_bytes(payload.replace(b"TOKEN", running.token("ann").encode()), binary=False)
    await settle()
    assert client.received[-1]["code"] == "event_refused"
    assert upstream.link.sent == []


async def test_events_of_the_upstream_may_have_a_token(both: Both) -> None:
    """Other types with a token in them are the upstream's, and so are pings with keys of their own."""
    running, upstream = both
    client = await connected(running)
    events = [
        b'{"type":"x","token":"an event\'s own"}',
        b'{"type":"authenticate"}',
        b'{"type":"ping","event_id":"e"}',
        b'{"type":"session.update","session":{"ping":1}}',
        b"authenticate",
    ]
    for event in events:
        client.send_bytes(event, binary=False)
        await settle()
    assert [payload for payload, _ in upstream.link.sent] == events


@CONNECTING
async def test_bad_tokens(both: Both, connecting: Any) -> None:
    """Each is answered, the conversation goes on, and the third ends it."""
    running, upstream = both
    client = await connecting(running)
    for token in ("", "nonsense"):
        said = await answer(client, {"type": "authenticate", "token": token, "id": 1})
        assert said == {
            "type": "error",
            "code": "invalid_token",
            "message": "Invalid token",
            "id": 1,
        }
        client.send_bytes(b'{"type":"response.create"}', binary=False)
        await settle()
    assert len(upstream.link.sent) == 2
    await answer(client, {"type": "refresh", "token": 7})
    assert client.closed == (3500, "invalid token")


async def test_the_token_of_another_user_ends_the_conversation(both: Both) -> None:
    """A session does not change hands."""
    running, _ = both
    client = await connected(running)
    await tell(client, {"type": "authenticate", "token": running.token("bob")})
    assert client.closed == (3500, "invalid token")


@CONNECTING
async def test_a_ping_is_answered_and_not_sent(both: Both, connecting: Any) -> None:
    """Before the upstream is connected, and after."""
    running, upstream = both
    client = await connecting(running)
    assert await answer(client, {"type": "ping"}) == {"type": "pong"}
    assert await answer(client, {"type": "ping", "id": "p"}) == {"type": "pong", "id": "p"}
    assert upstream.link.sent == []


async def test_pings_are_not_charged(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither against the limit on messages nor against the budget of messages; frames bound them."""
    rates = replace(
        ENDPOINTS["realtime"].limits, messages=RateLimit(rate=parse_rate("2/min"), burst=2)
    )
    relay = replace(ENDPOINTS["realtime"], limits=rates)
    upstream = replace(Settings().upstream, max_messages=1)
    given = Settings(endpoints={**ENDPOINTS, "realtime": relay}, upstream=upstream)
    async with relaying(monkeypatch, given) as (running, fake):
        client = await connected(running)
        assert client.session is not None
        for _ in range(100):
            assert await answer(client, {"type": "ping"}) == {"type": "pong"}
        client.send_bytes(b'{"type":"response.create"}', binary=False)
        await settle()
        assert len(fake.link.sent) == 1
        assert client.closed is None
        assert running.count("limit_refusals_total", limit=LimitName.MESSAGES, mode="enforce") == 0


async def test_without_authentication_there_is_no_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """A token that is no good is answered as such, and nothing breaks."""
    relay = replace(ENDPOINTS["realtime"], auth=AuthMode.NONE)
    given = Settings(endpoints={**ENDPOINTS, "realtime": relay})
    async with relaying(monkeypatch, given) as (running, upstream):
        client = await transparent(running)
        said = await answer(client, {"type": "authenticate", "token": "nonsense"})
        assert said["code"] == "invalid_token"
        client.send_bytes(json.dumps({"type": "response.create"}).encode(), binary=False)
        await settle()
        assert len(upstream.link.sent) == 1
