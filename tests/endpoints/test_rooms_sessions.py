"""Session tokens: coming back without the first token, once for each token."""

from collections.abc import AsyncIterator

import pytest

from portward.model.limits import Rate
from portward.settings.limits import Limits, RateLimit
from portward.telemetry.events import Event
from portward.testing import MemoryClient
from tests.running_gateway import (
    RunningGateway,
    ask,
    errors,
    kinds,
    run_gateway,
    session_of,
    settings,
    settle,
)

UNLIMITED = RateLimit(rate=Rate(0, 1.0, 1))


@pytest.fixture
async def running() -> AsyncIterator[RunningGateway]:
    """A gateway that counts no attempts."""
    limits = Limits(auth=UNLIMITED, messages=UNLIMITED)
    async with run_gateway(settings(rooms={"limits": limits})) as running:
        yield running


async def resume(running: RunningGateway, token: str) -> MemoryClient:
    """A new connection that presents a session token."""
    client = await running.client()
    await ask(client, "auth", wsToken=token)
    return client


def token_of(client: MemoryClient) -> str:
    """The session token a client was last given."""
    token = client.last("auth_success")["wsToken"]
    assert isinstance(token, str)
    return token


async def test_resume(running: RunningGateway) -> None:
    """A session token brings back who one is, with the roles and expiry of the first token."""
    ann = await running.client("ann", email="ann@example.com", roles=["user", "author"], ttl=600)
    first = ann.last("auth_success")
    ann.leave()
    await settle()
    again = await resume(running, token_of(ann))
    answer = again.last("auth_success")
    assert answer["resumed"] is True
    assert (answer["user"], answer["expiresAt"]) == (first["user"], first["expiresAt"])
    assert answer["wsToken"] != first["wsToken"]


async def test_resumed_session_is_a_whole_one(running: RunningGateway) -> None:
    """Who came back may do what it could before, and is told of its expiry."""
    ann = await running.client("ann", ttl=600)
    again = await resume(running, token_of(ann))
    await ask(again, "join", roomId="lobby")
    assert kinds(again)[-1] == "room_joined"
    await running.advance(541)
    assert again.all("token_expiring")


async def test_resumed_roles_are_those_of_now(running: RunningGateway) -> None:
    """What the directory adds is shown to who comes back, too."""
    ann = await running.client("ann")
    await running.gateway.set_roles("ann", ["author"])
    again = await resume(running, token_of(ann))
    assert again.last("auth_success")["user"]["roles"] == ["author", "user"]


async def test_each_token_works_once(running: RunningGateway) -> None:
    """A session token is dead once it was used; the one it was exchanged for works."""
    ann = await running.client("ann")
    first = token_of(ann)
    second = token_of(await resume(running, first))
    assert errors(await resume(running, first)) == ["Authentication failed"]
    third = await resume(running, second)
    assert third.last("auth_success")["resumed"] is True


async def test_refresh_replaces_the_session_token(running: RunningGateway) -> None:
    """With a refresh the old session token dies and the new one carries the new identity."""
    ann = await running.client("ann", ttl=600)
    old = token_of(ann)
    await ask(ann, "refresh", token=running.token("ann", ttl=7200, roles=["user", "author"]))
    new = ann.last("refresh_success")["wsToken"]
    assert errors(await resume(running, old)) == ["Authentication failed"]
    again = await resume(running, new)
    assert again.last("auth_success")["user"]["roles"] == ["author", "user"]
    assert again.last("auth_success")["expiresAt"] == int((running.clock.time() + 7200) * 1000)


async def test_session_token_does_not_outlive_the_token(running: RunningGateway) -> None:
    """When the original token has run out its session token is worth nothing."""
    ann = await running.client("ann", ttl=100)
    ann.leave()
    await running.advance(110)
    early = await resume(running, token_of(ann))
    token = token_of(early)
    await running.advance(21)
    assert errors(await resume(running, token)) == ["Authentication failed"]


async def test_two_minutes_after_a_disconnect(running: RunningGateway) -> None:
    """A session is kept for two minutes after its connection closed."""
    ann, bob = await running.client("ann"), await running.client("bob")
    ann.leave()
    bob.leave()
    await running.advance(119)
    assert (await resume(running, token_of(ann))).last("auth_success")
    await running.advance(2)
    assert errors(await resume(running, token_of(bob))) == ["Authentication failed"]


async def test_an_hour_on_an_open_connection(running: RunningGateway) -> None:
    """An open session can be come back to for an hour after its token was given out."""
    ann = await running.client("ann", ttl=86400)
    bob = await running.client("bob", ttl=86400)
    await running.advance(3590)
    assert (await resume(running, token_of(ann))).last("auth_success")
    await running.advance(20)
    assert errors(await resume(running, token_of(bob))) == ["Authentication failed"]


async def test_closing_the_old_connection_leaves_the_new_one(running: RunningGateway) -> None:
    """The old connection, closing late, does not shorten the session that moved on."""
    ann = await running.client("ann", ttl=86400)
    again = await resume(running, token_of(ann))
    ann.leave()
    await running.advance(600)
    assert (await resume(running, token_of(again))).last("auth_success")


async def test_session_token_of_another_user_is_not_used_up(running: RunningGateway) -> None:
    """Who presents another's session token is sent away, and its owner can still come back with it."""
    ann, bob = await running.client("ann"), await running.client("bob")
    await ask(bob, "auth", wsToken=token_of(ann))
    assert bob.closed == (3500, "invalid token")
    ann.leave()
    assert (await resume(running, token_of(ann))).last("auth_success")["resumed"] is True


@pytest.mark.parametrize("by", ["user", "jti", "session"])
async def test_revoked_session_is_not_resumed(running: RunningGateway, by: str) -> None:
    """What was revoked cannot be come back to."""
    ann = await running.client("ann", jti="j1", sid="s1")
    ann.leave()
    await settle()
    await running.gateway.revoke(**{by: {"user": "ann", "jti": "j1", "session": "s1"}[by]})
    again = await resume(running, token_of(ann))
    assert errors(again) == ["Token has been revoked"]


async def test_revoking_the_session_itself(running: RunningGateway) -> None:
    """A session revoked by its own id ends, and its token is worth nothing."""
    ann = await running.client("ann")
    identifier = session_of(ann).resume_id
    assert identifier is not None
    assert await running.gateway.revoke(session=identifier) == 1
    await settle()
    assert ann.closed == (3503, "force disconnect")
    assert errors(await resume(running, token_of(ann))) == ["Authentication failed"]


async def test_resume_on_an_authenticated_connection(running: RunningGateway) -> None:
    """A connection that is authenticated already may present a session token of the same user."""
    first, second = await running.client("ann"), await running.client("ann")
    await ask(second, "auth", wsToken=token_of(first))
    assert second.last("auth_success")["resumed"] is True


async def test_resume_as_somebody_else(running: RunningGateway) -> None:
    """A session token of another user ends an authenticated connection."""
    ann, bob = await running.client("ann"), await running.client("bob")
    await ask(bob, "auth", wsToken=token_of(ann))
    assert bob.closed == (3500, "invalid token")


async def test_authenticating_again_is_a_refresh(running: RunningGateway) -> None:
    """`auth` with a newer token on an authenticated connection judges its rooms again."""
    await running.room(permissions={"read": ["author"], "write": ["author"], "admin": []})
    ann = await running.client("ann", "lobby", roles=["author"])
    await ask(ann, "auth", token=running.token("ann", roles=["user"]))
    assert ann.last("auth_success")["user"]["roles"] == ["user"]
    assert ann.last("room_left") == {"roomId": "lobby", "reason": "permission_denied"}


async def test_resuming_again_judges_rooms_again(running: RunningGateway) -> None:
    """A session token with lesser rights takes rooms away from the connection that presents it."""
    await running.room(permissions={"read": ["author"], "write": ["author"], "admin": []})
    lesser = await running.client("ann", roles=["user"])
    ann = await running.client("ann", "lobby", roles=["author"], iat=int(running.clock.time()))
    await ask(ann, "auth", wsToken=token_of(lesser))
    assert ann.last("room_left") == {"roomId": "lobby", "reason": "permission_denied"}


async def test_session_tokens_of_another_run(running: RunningGateway) -> None:
    """Without a configured secret session tokens of another gateway are refused."""
    async with run_gateway() as other:
        ann = await other.client("ann")
    assert errors(await resume(running, token_of(ann))) == ["Authentication failed"]
    assert running.events(Event.AUTH_FAIL) == 1


async def test_secret_tokens_are_in_no_log() -> None:
    """Neither kind of token is written to the log, whatever happens to it."""
    async with run_gateway() as running:
        ann = await running.client("ann")
        token = await running.authenticate(await running.client(), "bob")
        await ask(ann, "refresh", token=token)
        revoked = token_of(await running.client("cat"))
        await running.gateway.revoke(user="cat")
        await resume(running, revoked)
        tokens = [token, token_of(ann), revoked]
    written = running.log.getvalue()
    assert "auth.fail" in written
    assert [each for each in tokens if each in written or each.split(".")[2] in written] == []
