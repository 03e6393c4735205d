"""Who comes in with a cookie: every answer of the provider has its outcome, and disturbs nobody else."""

import asyncio
import json
import time
from contextlib import AsyncExitStack

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.e2e.gateways import LISTENERS, ORIGIN, until
from tests.e2e.live_client import Site, site, status, view
from tests.e2e.provider_server import COOKIE, QUESTION, cut, dribble, endless, said
from tests.identity.standin_server import Answer, hang, response

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

JSON = "Content-Type: application/json"
OUTCOMES: dict[str, tuple[Answer, int, str]] = {
    "minimal": (said({"id": "u"}), 101, "ok"),
    "401": (response(b"{}", "401 Unauthorized"), 401, "unauthorized"),
    "403": (response(b"{}", "403 Forbidden"), 401, "unauthorized"),
    "null": (said(None), 401, "unauthorized"),
    "no data": (response(b"{}"), 503, "malformed"),
    "list": (response(b"[]"), 503, "malformed"),
    "empty": (response(b""), 503, "malformed"),
    "no json": (response(b"{"), 503, "malformed"),
    "html": (
        response(b"<html>login</html>", "200 OK", "Content-Type: text/html"),
        503,
        "malformed",
    ),
    "text": (said("ann"), 503, "malformed"),
    "empty user": (said({}), 503, "malformed"),
    "number": (said({"id": 7}), 503, "malformed"),
    "null id": (said({"id": None}), 503, "malformed"),
    "odd email": (said({"id": "u", "email": 7}), 503, "malformed"),
    "500": (response(b"", "500 Internal Server Error"), 503, "error"),
    "404": (response(b"{}", "404 Not Found"), 503, "error"),
    "429": (response(b"{}", "429 Too Many Requests"), 503, "error"),
    "204": (response(b"", "204 No Content"), 503, "error"),
    "201": (response(json.dumps({"data": {"id": "u"}}).encode(), "201 Created"), 503, "error"),
    "redirect": (response(b"", "302 Found", f"Location: {QUESTION}"), 503, "error"),
    "cut": (cut, 503, "error"),
}


SILENCE: dict[str, Answer] = {"hangs": hang, "dribbles": dribble}


@pytest.fixture(params=list(LISTENERS))
def place(request: pytest.FixtureRequest) -> Site:
    """Each listener in turn."""
    return site(LISTENERS[request.param])


def counted(result: str) -> str:
    """How often the provider's answers had this result."""
    return f'portward_identity_provider_seconds_count{{result="{result}"}}'


async def test_outcomes(place: Site) -> None:
    """Every row of the provider's answers has its status and its metric, and bystanders hear all."""
    async with place() as (here, provider):
        provider.login("bystander", "bob", "1")
        async with view(here.live, "bystander") as bob:
            await bob.subscribe("event:1")
            for name, (answer, outcome, result) in OUTCOMES.items():
                cookie = name.replace(" ", "-")
                provider.troubles[cookie] = answer
                before = here.metric(counted(result))
                assert await status(here.live, cookie) == outcome, name
                assert here.metric(counted(result)) == before + 1, name
                await here.gateway.live.publish("event:1", name)
                assert (await bob.data())["data"] == name
                # A good answer between two bad ones keeps the circuit closed.
                provider.login(f"again-{cookie}", "bob")
                assert await status(here.live, f"again-{cookie}") == 101


async def test_nobody_is_asked_about_no_cookie(place: Site) -> None:
    """Without a `Cookie` header the answer is 401, and the provider hears nothing of it."""
    async with place() as (here, provider):
        assert await status(here.live, None) == 401
        assert here.metric(counted("no_cookie")) == 1
        provider.login("c", "ann")
        token = {"Authorization": f"Bearer {here.gateway.token('ann')}"}
        with pytest.raises(InvalidStatus) as refused:
            await connect(here.live, origin=ORIGIN, additional_headers=token).__aenter__()  # type: ignore[arg-type]
        assert refused.value.response.status_code == 401
        assert provider.asked == []
        assert await status(f"{here.live}?token={here.gateway.token('ann')}", None) == 401


async def test_question_and_identity(place: Site) -> None:
    """The provider is asked its one question with the session's cookies alone; the rest is kept."""
    async with place() as (here, provider):
        provider.login("c1", "ann")
        jar = f"theme=dark; {COOKIE}=c1; directus_refresh_token=r1; {COOKIE}x=no; sid=7"
        headers = {"Cookie": jar}
        async with connect(here.live, origin=ORIGIN, additional_headers=headers):  # type: ignore[arg-type]
            ((path, cookies),) = provider.asked
            assert path == QUESTION
            assert set(cookies.split("; ")) == {f"{COOKIE}=c1", "directus_refresh_token=r1"}
            assert here.metric('portward_auth_total{endpoint="live",result="ok"}') == 1
            (connection,) = here.gateway.live.connections()
            assert connection.user == {
                "id": "ann",
                "email": "ann@example.com",
                "role": "editor",
                "first_name": "Ann",
                "last_name": None,
            }
            assert str(connection.remote_address) == "127.0.0.1"
            assert connection.id.count("-") == 4
            assert abs(connection.opened_at - connection.last_seen_at) < 1


async def test_every_cookie_when_all_are_wanted(place: Site) -> None:
    """With `cookies = ["*"]` the header is forwarded whole."""
    async with place(cookies='["*"]') as (here, provider):
        provider.login("c1", "ann")
        async with view(here.live, "c1"):
            assert provider.asked == [(QUESTION, f"theme=dark; {COOKIE}=c1; other=1")]


async def test_origin_tricks(place: Site) -> None:
    """No page of another origin gets as far as the provider, however it spells itself."""
    tricks = [
        *(None, "null", "", "https://evil.example", "http://localhost.evil.example"),
        *("http://evil.example#localhost", "http://localhost:3000@evil.example", "http://[::1"),
        *("http://localhost:3000/", "http://localhost:3000 http://evil.example", "localhost:3000"),
        *("http://localhost:3000.evil.example", "http://xlocalhost:3000", "file://", "*"),
        *("http://localhost\t:3000", "http://127.0.0.1.evil.example", "ftp://localhost:3000"),
    ]
    async with place() as (here, provider):
        provider.login("c", "ann")
        for trick in tricks:
            assert await status(here.live, "c", origin=trick) == 403, trick
        two = [("Origin", ORIGIN), ("Origin", "http://evil.example"), ("Cookie", f"{COOKIE}=c")]
        with pytest.raises(InvalidStatus) as refused:
            await connect(here.live, additional_headers=two).__aenter__()
        assert refused.value.response.status_code in {400, 403}
        assert provider.asked == []
        assert await status(here.live, "c", origin="http://LOCALHOST:3000") == 101


async def test_thousand_handshakes_with_fifty_cookies() -> None:
    """Pages that all come at once cost the provider one question for each of their users."""
    async with site(LISTENERS["own listener"])('[gate]\naccept_rate = "none"\n') as (
        here,
        provider,
    ):
        for number in range(50):
            provider.login(f"c{number}", f"u{number}")
        slots = asyncio.Semaphore(100)

        async def handshake(number: int) -> int:
            async with slots:
                return await status(here.live, f"c{number % 50}")

        began = time.monotonic()
        outcomes = await asyncio.gather(*(handshake(number) for number in range(1000)))
        assert set(outcomes) == {101}
        # A positive answer is kept for 10 s, and a busy machine takes longer for so many.
        assert len(provider.asked) <= 50 * (1 + (time.monotonic() - began) // 10)


async def test_negative_answers_are_shared(place: Site) -> None:
    """Strangers who come all at once with one cookie cost one question."""
    async with place() as (here, provider):
        outcomes = await asyncio.gather(*(status(here.live, "stranger") for _ in range(20)))
        assert set(outcomes) == {401}
        assert len(provider.asked) == 1


@pytest.mark.parametrize("way", list(SILENCE))
async def test_provider_that_is_slow(place: Site, way: str) -> None:
    """While one cookie's question hangs others come in and hear; the one is answered 503 in the end."""
    async with place(timeout='"400ms"') as (here, provider), AsyncExitStack() as stack:
        provider.login("good", "bob", "1")
        provider.login("late", "eve", "1")
        provider.troubles["slow"] = SILENCE[way]
        provider.topic_troubles["2"] = SILENCE[way]
        bob = await stack.enter_async_context(view(here.live, "good"))
        await bob.subscribe("event:1")
        waiting = asyncio.create_task(status(here.live, "slow"))
        await until(lambda: len(provider.asked) == 3)
        eve = await stack.enter_async_context(view(here.live, "late"))
        await eve.subscribe("event:1")
        await eve.say("subscribe", "event:2")
        await here.gateway.live.publish("event:1", "meanwhile")
        assert (await bob.data())["data"] == "meanwhile"
        assert not waiting.done()
        assert await waiting == 503
        assert here.metric(counted("timeout")) >= 1
        assert (await eve.data())["data"] == "meanwhile"
        assert (await eve.hear())["code"] == "unavailable"


async def test_provider_that_never_ends(place: Site) -> None:
    """Ten megabytes are not read to their end: 503, and nobody else notices."""
    async with place() as (here, provider):
        provider.login("good", "bob", "1")
        provider.troubles["huge"] = endless
        provider.topic_troubles["2"] = endless
        async with view(here.live, "good") as bob:
            await bob.subscribe("event:1")
            assert await status(here.live, "huge") == 503
            assert (await bob.ask("subscribe", "event:2"))["code"] == "unavailable"
            await here.gateway.live.publish("event:1", "still")
            assert (await bob.data())["data"] == "still"


async def test_provider_that_is_gone(place: Site) -> None:
    """Without a provider newcomers are told 503, ten failures later unasked; who is in hears on."""
    async with place() as (here, provider):
        provider.login("good", "bob", "1")
        async with view(here.live, "good") as bob:
            await bob.subscribe("event:1")
            for number in range(10):
                provider.troubles[f"c{number}"] = cut
                assert await status(here.live, f"c{number}") == 503
            asked = len(provider.asked)
            provider.login("new", "eve")
            assert await status(here.live, "new") == 503
            assert len(provider.asked) == asked
            await here.gateway.live.publish("event:1", "still")
            assert (await bob.data())["data"] == "still"
            answer = await bob.ask("subscribe", "event:2")
            assert answer == {
                "type": "error",
                "code": "unavailable",
                "message": answer["message"],
                "topic": "event:2",
                "retryMs": answer["retryMs"],
            }


async def test_no_provider_is_set() -> None:
    """Without a provider in the settings every page is told 503."""
    async with LISTENERS["own listener"]("") as here:
        assert await status(here.live, "c") == 503
        assert await status(here.live, None) == 401
