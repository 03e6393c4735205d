"""Who may watch calls: tokens, origins, capacity, and the shutdown of an embedded gateway."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from portward.security.tokens import sign
from tests.e2e.alerts_client import visitor, watch
from tests.e2e.gateways import LISTENERS, ORIGIN, UNLIMITED, GatewayRunner, own_listener, until

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

SECRET = "another secret of the tests, long enough to be one"
LISTED = UNLIMITED + '[endpoints.alerts]\nallowed_origins = ["https://desk.example"]\n'


@pytest.fixture(params=list(LISTENERS))
def runner(request: pytest.FixtureRequest) -> GatewayRunner:
    """Each listener in turn."""
    return LISTENERS[request.param]


async def refused(url: str, **options: Any) -> InvalidStatus:
    """A handshake that is turned away, with an empty body."""
    with pytest.raises(InvalidStatus) as caught:
        await connect(url, **options).__aenter__()
    assert not caught.value.response.body
    return caught.value


async def status(url: str, **options: Any) -> int:
    """The status of such a handshake."""
    return (await refused(url, **options)).response.status_code


def bearer(token: str) -> dict[str, Any]:
    """The options that send a token in the header."""
    return {"additional_headers": {"Authorization": f"Bearer {token}"}}


async def test_token_in_header_or_query(runner: GatewayRunner) -> None:
    """A token comes in either way, in both at once it is refused."""
    async with runner(UNLIMITED) as place:
        token = place.gateway.token("ann")
        async with watch(place.alerts, token) as one, watch(f"{place.alerts}?token={token}", None):
            await one.silence()
        assert await status(f"{place.alerts}?token={token}", **bearer(token)) == 400
        assert await status(f"{place.alerts}?token={token}&token={token}") == 400
        assert (await place.gateway.alerts.stats())["activeSubscribers"] <= 2


async def test_bad_tokens(runner: GatewayRunner) -> None:
    """No token, a wrong one, an old one and one in the wrong place are all a 401 that says nothing."""
    async with runner(UNLIMITED) as place:
        token, old = place.gateway.token("ann"), place.gateway.token("ann", ttl=-100)
        foreign = sign({"sub": "ann", "iat": 1, "exp": 4102444800}, SECRET)
        urls = [place.alerts, *(f"{place.alerts}?token={bad}" for bad in ("", "x", old, foreign))]
        for url in urls:
            answer = (await refused(url)).response
            assert answer.status_code == 401, url
            assert answer.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'
            assert answer.headers["Cache-Control"] == "no-store"
        assert await status(place.alerts, **bearer(token + "x")) == 401
        assert await status(place.alerts, **bearer(old)) == 401
        cookie = {"additional_headers": {"Cookie": f"token={token}"}}
        assert await status(place.alerts, **cookie) == 401
        assert token not in place.log.getvalue()
        assert old not in place.log.getvalue()


async def test_origins(runner: GatewayRunner) -> None:
    """With a list of origins only its members come in: no other page, and none that names none."""
    async with runner(LISTED) as place:
        right = place.gateway.token("ann")
        token = bearer(right)
        async with watch(place.alerts, right, origin="https://desk.example") as ann:
            await ann.silence()
        for origin in (None, ORIGIN, "null", "https://desk.example.evil.example", "https://desk"):
            assert await status(place.alerts, origin=origin, **token) == 403, origin


async def test_origins_without_a_list(runner: GatewayRunner) -> None:
    """Without a list, who names no origin comes in; a page of another machine does not."""
    async with runner(UNLIMITED) as place:
        right = place.gateway.token("ann")
        token = bearer(right)
        for origin in (None, ORIGIN):
            async with watch(place.alerts, right, origin=origin) as ann:
                await ann.silence()
        assert await status(place.alerts, origin="https://evil.example", **token) == 403


async def test_capacity(runner: GatewayRunner) -> None:
    """A hundred watch at once; the next is told to come later, and comes in when somebody has left."""
    async with runner("[gate]\nmax_per_user = 0\n" + UNLIMITED) as place, AsyncExitStack() as stack:
        token = place.gateway.token("ann")
        first = await stack.enter_async_context(connect(place.alerts, **bearer(token)))
        for _ in range(99):
            await stack.enter_async_context(connect(place.alerts, **bearer(token)))
        answer = (await refused(place.alerts, **bearer(token))).response
        assert answer.status_code == 503
        assert int(answer.headers["Retry-After"]) > 0
        assert await status(place.alerts, **bearer(token + "x")) in {401, 503}
        assert (await place.gateway.alerts.stats())["activeSubscribers"] == 100
        await first.close()

        async def room() -> bool:
            return (await place.gateway.alerts.stats())["activeSubscribers"] < 100

        await until(room)
        async with watch(place.alerts, token) as late:
            await late.silence()


async def test_nobody_has_to_be_somebody(runner: GatewayRunner) -> None:
    """With `auth = "none"` everybody is the same anonymous subject, in development alone."""
    settings = UNLIMITED + '[endpoints.alerts]\nauth = "none"\n'
    async with runner(settings) as place, watch(place.alerts, None) as watcher:
        assert await watcher.subscribe("a", "*") == {"callIds": ["a"], "denied": ["*"]}
        await place.gateway.alerts.publish("a", "x", "low", {})
        assert (await watcher.alert())["callId"] == "a"
        (session,) = place.gateway.node.registry
        assert session.identity is not None
        assert session.identity.subject == "anonymous"


async def test_drain(runner: GatewayRunner) -> None:
    """All are told where to come back and when; who leaves in time leaves alone, the others with 1001."""
    short = UNLIMITED + '[endpoints.alerts]\nfarewell = "300ms"\n'
    async with runner(short) as place, visitor(place) as stays, visitor(place, "bob") as leaves:
        draining = asyncio.create_task(place.gateway.drain(5.0))
        for watcher in (stays, leaves):
            told = await watcher.hear()
            payload = told["payload"]
            assert told == {
                "type": "shutdown",
                "payload": {
                    "message": "Server shutting down",
                    "reconnectUrl": place.alerts,
                    "retryMs": payload["retryMs"],
                },
            }
            assert type(payload["retryMs"]) is int
            assert payload["retryMs"] >= 0
        assert await status(place.alerts, **bearer(place.gateway.token("eve"))) == 503
        await leaves.socket.close(1000, "bye")
        assert leaves.closed[0] == 1000
        assert await stays.goodbye() == []
        assert stays.closed == (1001, "Server shutting down")
        await draining


async def test_revocation(runner: GatewayRunner) -> None:
    """A revoked token ends what is open with 3503, and is refused from then on."""
    async with runner(UNLIMITED) as place:
        token = place.gateway.token("eve")
        async with watch(place.alerts, token) as eve:
            assert await place.gateway.revoke(token=token) == 1
            assert await eve.goodbye() == []
            assert eve.closed == (3503, "force disconnect")
        assert await status(place.alerts, **bearer(token)) == 401


async def test_expiry() -> None:
    """A token that runs out ends the connection with 3005, and the client was told before."""
    settings = UNLIMITED + '[tokens]\nleeway = "0s"\n'
    async with own_listener(settings) as place, visitor(place, ttl=2) as ann:
        assert [each["type"] for each in await ann.goodbye()] == ["expiring", "closing"]
        assert ann.closed == (3005, "expired")


async def test_two_endpoints_share_nothing(runner: GatewayRunner) -> None:
    """A second endpoint with a namespace of its own hears none of the first one's alerts."""
    more = '[endpoints.night]\ndialect = "alerts"\nnamespace = "night"\n'
    more += '[namespaces.night]\nauthorize = "authenticated"\nhistory_size = 10\n'
    async with AsyncExitStack() as stack:
        place = await stack.enter_async_context(runner(UNLIMITED + more))
        day = await stack.enter_async_context(visitor(place))
        token = place.gateway.token("bob")
        night = await stack.enter_async_context(watch(f"{place.base}/night", token))
        await day.subscribe("a")
        await night.subscribe("a")
        await place.gateway.alerts.publish("a", "x", "low", {})
        assert (await day.alert())["callId"] == "a"
        await night.silence()
        assert await night.history() == []
