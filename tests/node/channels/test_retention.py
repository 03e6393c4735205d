"""How long a revocation is kept: by what it takes back, never by a setting."""

from collections.abc import Mapping
from typing import Any

import pytest

from portward.model.limits import INTEGER
from portward.node.channels.retention import LEAST, MOST, SLACK, kept_until, stated_end
from portward.security.tokens import sign
from portward.settings import Secret, Settings
from portward.settings.tokens import Tokens
from tests.running_gateway import RunningGateway, ask, errors, kinds, run_gateway, settings, settle

SECRET = "Kq3vT9xw2LmZ7sRb5nYc8dHf1gJp4uXa"
NOW = 1_000_000.0
HOUR, DAY = 3600.0, 86_400.0


def test_what_is_known_to_end_is_kept_until_then() -> None:
    """A whole token is kept to its end and a little over; an end in the past counts from now."""
    assert kept_until(NOW, [NOW + 60], whole=True) == NOW + 60 + SLACK
    assert kept_until(NOW, [NOW + 60, NOW + 90], whole=True) == NOW + 90 + SLACK
    assert kept_until(NOW, [NOW - 60], whole=True) == NOW + SLACK
    assert kept_until(NOW, [1e300], whole=True) == NOW + MOST + SLACK


def test_what_may_end_at_any_time_is_kept_long() -> None:
    """Where other credentials may be meant a known end only makes it longer."""
    assert kept_until(NOW, [], whole=True) == NOW + LEAST + SLACK
    assert kept_until(NOW, [], whole=False) == NOW + LEAST + SLACK
    assert kept_until(NOW, [NOW + 60], whole=False) == NOW + LEAST + SLACK
    assert kept_until(NOW, [NOW + 2 * LEAST], whole=False) == NOW + 2 * LEAST + SLACK


@pytest.mark.parametrize(
    ("claims", "end"),
    [
        ({"exp": 5}, 5.0),
        ({"exp": 5.5}, 5.5),
        ({"exp": INTEGER}, float(INTEGER)),
        ({"exp": INTEGER + 1}, None),
        ({"exp": "5"}, None),
        ({"exp": True}, None),
        ({"exp": None}, None),
        ({}, None),
    ],
)
def test_the_end_a_token_states(claims: dict[str, Any], end: float | None) -> None:
    """The end stands in the token; what is no number says nothing."""
    assert stated_end(sign(claims, SECRET)) == end


@pytest.mark.parametrize("text", ["", "a.b.c", "not a token", "e30.e30.e30", "x" * 40_000])
def test_what_is_no_token_states_no_end(text: str) -> None:
    """A text that cannot be taken apart is kept for the usual time."""
    assert stated_end(text) is None


def given(**tokens: Any) -> Settings:
    """Settings of one secret."""
    return settings(tokens=Tokens(secrets=(Secret(SECRET),), **tokens))


async def outcome(running: RunningGateway, token: str) -> str:
    """What a client is answered to this token."""
    client = await running.client()
    await ask(client, "auth", token=token)
    return kinds(client)[-1] if not errors(client) else str(errors(client)[0])


async def leap(running: RunningGateway, seconds: float) -> None:
    """Leap over all at once, and let the engine drop what it no longer keeps."""
    running.clock.stall(seconds)
    await running.gateway.node.engine.sweep()
    await settle()


REVOKED = "Token has been revoked"
BY = {"jti": "j1", "session": "s1", "user": "ann"}
CHANGES: list[tuple[Mapping[str, Any], Mapping[str, Any]]] = [
    ({"max_lifetime": 60.0}, {"max_lifetime": DAY}),
    ({"max_lifetime": 60.0}, {"max_lifetime": 0.0}),
    ({"max_lifetime": 60.0, "leeway": 0.0}, {"max_lifetime": DAY, "leeway": 60.0}),
    ({"max_lifetime": 60.0, "issuer": "https://other"}, {"max_lifetime": DAY}),
    ({"max_lifetime": 60.0, "audience": "other"}, {"max_lifetime": DAY}),
    ({"max_lifetime": 60.0, "require": {"x": ("y",)}}, {"max_lifetime": DAY}),
    ({}, {}),
]


@pytest.mark.parametrize("by", ["jti", "session", "user", "token"])
@pytest.mark.parametrize(("before", "after"), CHANGES)
async def test_a_reload_brings_no_revoked_token_back(
    by: str, before: Mapping[str, Any], after: Mapping[str, Any]
) -> None:
    """What was revoked under other settings is refused until it would have expired."""
    async with run_gateway(given(**before)) as running:
        now = int(running.clock.time())
        claims = {"sub": "ann", "jti": "j1", "sid": "s1", "iat": now, "exp": now + DAY}
        token = sign(claims, SECRET)
        await running.gateway.revoke(**{by: BY.get(by, token)})
        running.gateway.reload(given(**after))
        for seconds in (1.0, 180.0, HOUR, 22 * HOUR):
            await leap(running, seconds)
            assert await outcome(running, token) == REVOKED
        assert await outcome(
            running, sign(claims | {"sub": "b", "jti": "j2", "sid": "s2"}, SECRET)
        ) == ("auth_success")


async def test_a_change_before_the_end_does_not_matter_either() -> None:
    """A life that is allowed again and again, with other issuers between, forgets nothing."""
    async with run_gateway(given(max_lifetime=60.0)) as running:
        now = int(running.clock.time())
        token = sign({"sub": "ann", "jti": "j1", "iat": now, "exp": now + 300 * DAY}, SECRET)
        await running.gateway.revoke(jti="j1")
        for change in ({"issuer": "https://other"}, {"max_lifetime": DAY}, {"leeway": 60.0}):
            running.gateway.reload(given(**change))
            await leap(running, 90 * DAY)
        running.gateway.reload(given())
        assert await outcome(running, token) == REVOKED


async def test_a_session_stays_revoked_under_another_session_secret() -> None:
    """The session of a revoked user is not resumed, whichever secret signs session tokens meanwhile."""
    first, second = Secret("a" * 40), Secret("b" * 40)
    async with run_gateway(given(session_secret=first)) as running:
        ann = await running.client("ann", ttl=DAY)
        session_token = ann.last("auth_success")["wsToken"]
        await running.gateway.revoke(user="ann")
        for secret in (second, first):
            running.gateway.reload(given(session_secret=secret))
            await leap(running, 200.0)
        client = await running.client()
        await ask(client, "auth", wsToken=session_token)
        assert "auth_success" not in kinds(client)


@pytest.mark.parametrize("by", ["jti", "session", "user", "token"])
async def test_a_token_that_lives_for_years(by: str) -> None:
    """A token of an open connection is known by its end, however far that is."""
    async with run_gateway(given()) as running:
        now = int(running.clock.time())
        claims = {"sub": "ann", "jti": "j1", "sid": "s1", "iat": now, "exp": now + 1000 * DAY}
        token = sign(claims, SECRET)
        client = await running.client()
        await ask(client, "auth", token=token)
        assert await running.gateway.revoke(**{by: BY.get(by, token)}) == 1
        await leap(running, 999 * DAY)
        assert await outcome(running, token) == REVOKED


async def test_revocations_are_forgotten_in_the_end() -> None:
    """A token's revocation ends with the token, any other after 400 days."""
    async with run_gateway(given()) as running:
        now = int(running.clock.time())
        revocations = running.gateway.node.context.stores.revocations
        await running.gateway.revoke(token=sign({"sub": "a", "exp": now + 600}, SECRET))
        await leap(running, 600 + SLACK - 10)
        assert len(await revocations.since(0)) == 1
        await leap(running, 100)
        assert await revocations.since(0) == ()
        await running.gateway.revoke(jti="j1")
        await leap(running, 399 * DAY)
        assert len(await revocations.since(0)) == 1
        await leap(running, 2 * DAY)
        assert await revocations.since(0) == ()
