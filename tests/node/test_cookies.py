"""Coming in by cookie: the origin first, then the provider, and every way it can answer."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from portward.model.handshake_errors import HandshakeRejection
from portward.settings.endpoint import AuthMode, CredentialSource
from portward.settings.sections import GateSettings
from portward.telemetry.events import Event
from tests.node.fake_provider import ORIGIN, FakeProvider, visit, with_cookies, with_provider
from tests.running_gateway import RunningGateway, session_of, settle

pytestmark = pytest.mark.p1

Peopled = tuple[RunningGateway, FakeProvider]
PAGE = {"origin": ORIGIN}


@pytest.fixture
async def peopled_house(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Peopled]:
    """A gateway with a provider."""
    async with with_provider(monkeypatch) as both:
        yield both


async def refused(running: RunningGateway, **headers: str) -> HandshakeRejection:
    """Why a handshake at `/live` is turned away."""
    return await running.refusal("/live", **headers)


async def test_a_star_is_not_enough_for_cookies(monkeypatch: pytest.MonkeyPatch) -> None:
    """An origin list of `*` lets no cookie in."""
    given = with_cookies({"allowed_origins": ("*",)})
    async with with_provider(monkeypatch, given) as (running, people):
        assert await refused(running, cookie="session=ann", **PAGE) is HandshakeRejection.ORIGIN
        assert people.asked == []


@pytest.mark.parametrize("headers", [{}, {"cookie": "theme=dark"}, {"cookie": "session"}])
async def test_without_a_cookie_nobody_is_asked(
    peopled_house: Peopled, headers: dict[str, str]
) -> None:
    """A handshake without the cookie is 401, and counted as such."""
    running, people = peopled_house
    assert await refused(running, **PAGE, **headers) is HandshakeRejection.UNAUTHENTICATED
    assert (people.asked, people.without) == ([], 1)


async def test_an_unknown_cookie(peopled_house: Peopled) -> None:
    """It is 401, and counts against its address once; the provider is asked again after a pause."""
    running, people = peopled_house
    for _ in range(20):
        assert (
            await refused(running, cookie="session=eve", **PAGE)
            is HandshakeRejection.UNAUTHENTICATED
        )
    assert len(people.asked) == 1
    asked: list[int] = []
    for second in range(1, 61):
        await running.advance(1)
        assert (
            await refused(running, cookie="session=eve", **PAGE)
            is HandshakeRejection.UNAUTHENTICATED
        )
        asked += [second] * (len(people.asked) - 1 - len(asked))
    assert asked == [2, 6, 14, 24, 34, 44, 54]
    people.names.add("eve")
    await running.advance(10)
    await visit(running, "eve")


async def test_guessed_cookies(peopled_house: Peopled) -> None:
    """After ten different ones nobody is asked about more, but for those that were good in the last day."""
    running, people = peopled_house
    await visit(running, "ann")
    for number in range(10):
        guess = f"session=guess{number}"
        assert await refused(running, cookie=guess, **PAGE) is HandshakeRejection.UNAUTHENTICATED
    assert await refused(running, cookie="session=guess10", **PAGE) is HandshakeRejection.RATE
    assert await refused(running, cookie="session=bob", **PAGE) is HandshakeRejection.RATE
    assert len(people.asked) == 11
    await visit(running, "ann")
    await visit(running, "bob", peer="10.0.0.9")
    await visit(running, "bob")
    people.names.remove("ann")
    assert await refused(running, cookie="session=ann", **PAGE) is HandshakeRejection.RATE
    assert await refused(running, cookie="session=ann", **PAGE) is HandshakeRejection.RATE
    assert len(people.asked) == 15
    await running.advance(0.7)
    assert (
        await refused(running, cookie="session=guess11", **PAGE)
        is HandshakeRejection.UNAUTHENTICATED
    )
    assert await refused(running, cookie="session=guess12", **PAGE) is HandshakeRejection.RATE


async def test_guessed_tokens_keep_no_cookie_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """What an address guesses in tokens costs the provider nothing: a new cookie is asked about."""
    both = with_cookies({"credentials": (CredentialSource.COOKIE, CredentialSource.HEADER)})
    async with with_provider(monkeypatch, both) as (running, people):
        for number in range(50):
            await refused(running, authorization=f"Bearer guess{number}", **PAGE)
        await visit(running, "ann")
        assert await refused(running, cookie="session=eve", **PAGE) is HandshakeRejection.RATE
        assert len(people.asked) == 2


async def test_a_provider_that_is_away(peopled_house: Peopled) -> None:
    """Nobody gets in, and nobody is told to be wrong."""
    running, people = peopled_house
    people.down = True
    assert await refused(running, cookie="session=ann", **PAGE) is HandshakeRejection.UNAVAILABLE
    assert running.inside() == (0, 0, 0)


@pytest.mark.parametrize("other", ["Basic c3RhZ2luZzpw", "Negotiate", 'Digest username="u"'])
async def test_a_login_of_a_proxy_beside_the_cookie(peopled_house: Peopled, other: str) -> None:
    """What a proxy in front asked for is passed over, and the log says so."""
    running, people = peopled_house
    client = await visit(running, "ann", authorization=other)
    assert client.open
    assert [cookie for cookie, _ in people.asked] == ["session=ann"]
    assert running.events(Event.AUTH_SCHEME_IGNORED) == 1
    assert await refused(running, authorization=other, **PAGE) is HandshakeRejection.UNAUTHENTICATED


async def test_a_second_credential(peopled_house: Peopled) -> None:
    """A cookie and a token together are one too many."""
    running, people = peopled_house
    bearer = f"Bearer {running.token('ann')}"
    refusal = await refused(running, cookie="session=ann", authorization=bearer, **PAGE)
    assert refusal is HandshakeRejection.MULTIPLE_CREDENTIALS
    assert people.asked == []


async def test_without_authentication_cookies_are_not_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With `auth = "none"` everyone is anonymous, from listed pages still."""
    async with with_provider(monkeypatch, with_cookies({"auth": AuthMode.NONE})) as (
        running,
        people,
    ):
        client = await visit(running, "ann")
        assert session_of(client).user == "anonymous"
        assert people.asked == []
        assert await refused(running, cookie="session=ann") is HandshakeRejection.ORIGIN


async def test_a_revoked_subject_is_turned_away(peopled_house: Peopled) -> None:
    """What was confirmed before the revocation is worth nothing after it."""
    running, _ = peopled_house
    client = await visit(running, "ann")
    assert await running.gateway.revoke(user="ann") == 1
    assert client.closed == (3503, "force disconnect")
    assert (
        await refused(running, cookie="session=ann", **PAGE) is HandshakeRejection.UNAUTHENTICATED
    )


async def test_topics_are_asked_with_the_callers_cookie(peopled_house: Peopled) -> None:
    """Allowed, forbidden and unknown topics; the last two in the same words."""
    running, people = peopled_house
    client = await visit(running, "ann")
    for topic in ("event:1", "event:2", "nonsense", "no topic at all", "%2A"):
        client.send({"type": "subscribe", "topic": topic})
        await settle()
    kinds = [each.get("code", each["type"]) for each in client.received]
    assert kinds == ["subscribed", *["forbidden"] * 4]
    assert people.questions == [
        ("session=ann", name) for name in ("event:1", "event:2", "nonsense")
    ]
    people.down = True
    client.send({"type": "subscribe", "topic": "event:2", "id": 7})
    await settle()
    last = client.received[-1]
    assert (last["code"], last["topic"], last["id"]) == ("unavailable", "event:2", 7)
    assert last["retryMs"] > 0


async def test_a_token_opens_no_topic(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where tokens are taken too, who came by token has no cookie the provider could be asked with."""
    both = with_cookies({"credentials": (CredentialSource.COOKIE, CredentialSource.HEADER)})
    async with with_provider(monkeypatch, both) as (running, people):
        bearer = f"Bearer {running.token('ann')}"
        client = await visit(running, "ann", cookie="", authorization=bearer)
        client.send({"type": "subscribe", "topic": "event:1"})
        await settle()
        assert client.received[-1]["code"] == "forbidden"
        assert people.questions == []


async def test_cookies_show_nowhere(peopled_house: Peopled) -> None:
    """Neither the log, nor the metrics, nor the audit, nor any representation has them."""
    running, people = peopled_house
    people.names.add("canary-5d1f")
    client = await visit(running, "canary-5d1f")
    await refused(running, cookie="session=canary-5d1f; session=x", **PAGE)
    await refused(running, cookie="session=canary-5d1f-wrong", **PAGE)
    people.down = True
    await refused(running, cookie="session=canary-5d1f", **PAGE)
    client.send({"type": "subscribe", "topic": "event:1"})
    client.send("nonsense")
    await settle()
    session = session_of(client)
    assert session.handshake.cookies == "session=canary-5d1f"
    running.gateway.telemetry.log.close(5)
    assert "auth.fail" in running.log.getvalue()
    told: list[Any] = [
        running.log.getvalue().replace("user=canary-5d1f", ""),
        running.gateway.telemetry.metrics.render(),
        client.received,
        session,
        session.handshake,
        running.gateway.node,
    ]
    assert "session=canary" not in "".join(map(str, told)) + "".join(map(repr, told))
    audited = str(running.gateway.telemetry.audit.recent(100))
    assert "session=canary" not in audited


async def test_the_provider_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    """The end of the gateway closes what it had open to the provider."""
    async with with_provider(monkeypatch) as (_, people):
        assert not people.closed
    assert people.closed


async def test_handshakes_on_the_way_have_a_cap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those the provider is being asked about count with the unauthenticated, until it answers."""
    given = with_cookies(gate=GateSettings(max_unauthenticated=2))
    async with with_provider(monkeypatch, given) as (running, people):
        people.gate = asyncio.Event()
        waiting = [asyncio.ensure_future(visit(running, name)) for name in ("ann", "bob")]
        await settle()
        assert (
            await refused(running, cookie="session=ann", **PAGE)
            is HandshakeRejection.UNAUTHENTICATED_CAP
        )
        assert len(people.asked) == 2
        people.gate.set()
        await asyncio.gather(*waiting)
        await visit(running, "ann")
        assert (
            await refused(running, cookie="session=eve", **PAGE)
            is HandshakeRejection.UNAUTHENTICATED
        )
        people.down = True
        await running.advance(2)
        for _ in range(3):
            assert (
                await refused(running, cookie="session=eve", **PAGE)
                is HandshakeRejection.UNAVAILABLE
            )
