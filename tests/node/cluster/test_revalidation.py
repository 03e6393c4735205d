"""Sessions that came in by cookie: asked about again, within the bound, without a stampede."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from msgspec.structs import replace

from portward.telemetry.events import Event
from tests.node.fake_provider import FakeProvider, visit, with_cookies, with_provider
from tests.running_gateway import RunningGateway, session_of, settle

pytestmark = pytest.mark.p1

Peopled = tuple[RunningGateway, FakeProvider]
REVOKED = (3503, "force disconnect")


@pytest.fixture
async def peopled_house(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Peopled]:
    """A gateway with a provider that is asked again every 60 seconds."""
    async with with_provider(monkeypatch) as both:
        yield both


async def pass_time(running: RunningGateway, seconds: int) -> None:
    """Let time pass second by second, clients answering pings."""
    for _ in range(seconds):
        await running.advance(1)


async def test_a_logout_ends_the_session_within_the_bound(peopled_house: Peopled) -> None:
    """Whenever the user logs out, the connection is gone 60 seconds later."""
    running, people = peopled_house
    for wait in (0, 7, 31, 59, 61, 100):
        people.names = {"ann", "bob"}
        client = await visit(running, "ann")
        await pass_time(running, wait)
        assert client.closed is None
        people.names = {"bob"}
        await pass_time(running, 61)
        assert client.closed == REVOKED


async def test_who_stays_logged_in_stays(peopled_house: Peopled) -> None:
    """An hour later the connection lives, and the provider was asked once in a period, no more."""
    running, people = peopled_house
    client = await visit(running, "ann")
    people.asked.clear()
    await pass_time(running, 3600)
    assert client.closed is None
    assert 68 <= len(people.asked) <= 75
    assert {age for _, age in people.asked} == {10.0}


async def test_a_short_bound_takes_fresh_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that was kept may be a sixth of the bound old."""
    given = with_cookies()
    given = replace(given, identity_provider=replace(given.identity_provider, revalidate=6.0))
    async with with_provider(monkeypatch, given) as (running, people):
        client = await visit(running, "ann")
        people.names = set()
        await pass_time(running, 7)
        assert client.closed == REVOKED
        assert people.asked[-1][1] == 1.0


async def test_asking_is_spread_out(peopled_house: Peopled) -> None:
    """Connections of the same second are not asked about in the same second."""
    running, people = peopled_house
    people.names = {str(number) for number in range(40)}
    for number in range(40):
        await visit(running, str(number))
    people.asked.clear()
    asked = []
    for _ in range(50):
        before = len(people.asked)
        await running.advance(1)
        asked.append(len(people.asked) - before)
    assert sum(asked) >= 40
    assert max(asked) < 15


async def test_nobody_is_ended_while_the_provider_is_away(peopled_house: Peopled) -> None:
    """It is asked again sooner, and its first answer counts."""
    running, people = peopled_house
    client = await visit(running, "ann")
    people.down = True
    await pass_time(running, 120)
    assert client.closed is None
    assert running.events(Event.AUTH_UNAVAILABLE) >= 5
    people.down, people.names = False, set()
    await pass_time(running, 11)
    assert client.closed == REVOKED


async def test_another_subject_behind_the_cookie_ends_it(peopled_house: Peopled) -> None:
    """A cookie that has become somebody else's does not carry the session over."""
    running, people = peopled_house
    client = await visit(running, "ann")
    people.aliases["ann"] = "eve"
    await pass_time(running, 61)
    assert client.closed == REVOKED


async def test_a_changed_role_has_every_topic_judged_again(peopled_house: Peopled) -> None:
    """A topic that is no longer open to the user is taken away; the connection lives."""
    running, people = peopled_house
    client = await visit(running, "ann")
    client.send({"type": "subscribe", "topic": "event:1"})
    await settle()
    assert client.received[-1]["type"] == "subscribed"
    people.open.clear()
    await pass_time(running, 61)
    assert len(session_of(client).subscriptions) == 1
    people.roles["ann"] = "guest"
    await pass_time(running, 61)
    assert client.received[-1] == {
        "type": "error", "code": "forbidden", "message": "Subscription refused", "topic": "event:1",
    }  # fmt: skip
    assert client.closed is None
    assert session_of(client).identity is not None
    assert session_of(client).identity.roles == {"guest"}  # type: ignore[union-attr]  # asserted above


async def test_a_judgement_that_could_not_be_made_is_made_later(peopled_house: Peopled) -> None:
    """When the provider answers who but not what, the change of role is not forgotten."""
    running, people = peopled_house
    client = await visit(running, "ann")
    client.send({"type": "subscribe", "topic": "event:1"})
    await settle()
    people.roles["ann"] = "guest"
    people.open.clear()
    allows = people.allows

    async def away(cookies: str, name: str, *, max_age: float | None = None) -> bool:
        people.down = True
        try:
            return await allows(cookies, name, max_age=max_age)
        finally:
            people.down = False

    people.allows = away  # type: ignore[method-assign]  # the part of the provider that is away
    await pass_time(running, 61)
    assert len(session_of(client).subscriptions) == 1
    people.allows = allows  # type: ignore[method-assign]
    await pass_time(running, 11)
    assert not session_of(client).subscriptions


async def test_a_session_that_ends_while_it_is_asked_about(peopled_house: Peopled) -> None:
    """The answer finds nobody, and that is all."""
    running, people = peopled_house
    client = await visit(running, "ann")
    people.gate = asyncio.Event()
    asked = len(people.asked)
    while len(people.asked) == asked:
        await running.advance(1)
    client.leave()
    await settle()
    people.gate.set()
    await pass_time(running, 120)
    assert len(people.asked) == asked + 1
    assert running.events(Event.INTERNAL_ERROR) == 0
