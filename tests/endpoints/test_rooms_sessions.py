"""Session tokens: coming back without the first token, once for each token."""

from collections.abc import AsyncIterator

import pytest

from portward.model.limits import Rate
from portward.settings.limits import Limits, RateLimit
from portward.telemetry.events import Event
from portward.testing import MemoryClient
from tests.house import House, ask, errors, kinds, running, session_of, settings, settle

UNLIMITED = RateLimit(rate=Rate(0, 1.0, 1))


@pytest.fixture
async def house() -> AsyncIterator[House]:
    """A gateway that counts no attempts."""
    limits = Limits(auth=UNLIMITED, messages=UNLIMITED)
    async with running(settings(rooms={"limits": limits})) as house:
        yield house


async def resume(house: House, token: str) -> MemoryClient:
    """A new connection that presents a session token."""
    client = await house.client()
    await ask(client, "auth", wsToken=token)
    return client


def token_of(client: MemoryClient) -> str:
    """The session token a client was last given."""
    token = client.last("auth_success")["wsToken"]
    assert isinstance(token, str)
    return token


async def test_resume(house: House) -> None:
    """A session token brings back who one is, with the roles and expiry of the first token."""
    ann = await house.client("ann", email="ann@example.com", roles=["user", "author"], ttl=600)
    first = ann.last("auth_success")
    ann.leave()
    await settle()
    again = await resume(house, token_of(ann))
    answer = again.last("auth_success")
    assert answer["resumed"] is True
    assert (answer["user"], answer["expiresAt"]) == (first["user"], first["expiresAt"])
    assert answer["wsToken"] != first["wsToken"]


async def test_resumed_session_is_a_whole_one(house: House) -> None:
    """Who came back may do what it could before, and is told of its expiry."""
    ann = await house.client("ann", ttl=600)
    again = await resume(house, token_of(ann))
    await ask(again, "join", roomId="lobby")
    assert kinds(again)[-1] == "room_joined"
    await house.advance(541)
    assert again.all("token_expiring")


async def test_resumed_roles_are_those_of_now(house: House) -> None:
    """What the directory adds is shown to who comes back, too."""
    ann = await house.client("ann")
    await house.gateway.set_roles("ann", ["author"])
    again = await resume(house, token_of(ann))
    assert again.last("auth_success")["user"]["roles"] == ["author", "user"]


async def test_each_token_works_once(house: House) -> None:
    """A session token is dead once it was used; the one it was exchanged for works."""
    ann = await house.client("ann")
    first = token_of(ann)
    second = token_of(await resume(house, first))
    assert errors(await resume(house, first)) == ["Authentication failed"]
    third = await resume(house, second)
    assert third.last("auth_success")["resumed"] is True


async def test_refresh_replaces_the_session_token(house: House) -> None:
    """With a refresh the old session token dies and the new one carries the new identity."""
    ann = await house.client("ann", ttl=600)
    old = token_of(ann)
    await ask(ann, "refresh", token=house.token("ann", ttl=7200, roles=["user", "author"]))
    new = ann.last("refresh_success")["wsToken"]
    assert errors(await resume(house, old)) == ["Authentication failed"]
    again = await resume(house, new)
    assert again.last("auth_success")["user"]["roles"] == ["author", "user"]
    assert again.last("auth_success")["expiresAt"] == int((house.clock.time() + 7200) * 1000)


async def test_session_token_does_not_outlive_the_token(house: House) -> None:
    """When the original token has run out its session token is worth nothing."""
    ann = await house.client("ann", ttl=100)
    ann.leave()
    await house.advance(110)
    early = await resume(house, token_of(ann))
    token = token_of(early)
    await house.advance(21)
    assert errors(await resume(house, token)) == ["Authentication failed"]


async def test_two_minutes_after_a_disconnect(house: House) -> None:
    """A session is kept for two minutes after its connection closed."""
    ann, bob = await house.client("ann"), await house.client("bob")
    ann.leave()
    bob.leave()
    await house.advance(119)
    assert (await resume(house, token_of(ann))).last("auth_success")
    await house.advance(2)
    assert errors(await resume(house, token_of(bob))) == ["Authentication failed"]


async def test_an_hour_on_an_open_connection(house: House) -> None:
    """An open session can be come back to for an hour after its token was given out."""
    ann = await house.client("ann", ttl=86400)
    bob = await house.client("bob", ttl=86400)
    await house.advance(3590)
    assert (await resume(house, token_of(ann))).last("auth_success")
    await house.advance(20)
    assert errors(await resume(house, token_of(bob))) == ["Authentication failed"]


async def test_closing_the_old_connection_leaves_the_new_one(house: House) -> None:
    """The old connection, closing late, does not shorten the session that moved on."""
    ann = await house.client("ann", ttl=86400)
    again = await resume(house, token_of(ann))
    ann.leave()
    await house.advance(600)
    assert (await resume(house, token_of(again))).last("auth_success")


async def test_session_token_of_another_user_is_not_used_up(house: House) -> None:
    """Who presents another's session token is sent away, and its owner can still come back with it."""
    ann, bob = await house.client("ann"), await house.client("bob")
    await ask(bob, "auth", wsToken=token_of(ann))
    assert bob.closed == (3500, "invalid token")
    ann.leave()
    assert (await resume(house, token_of(ann))).last("auth_success")["resumed"] is True


@pytest.mark.parametrize("by", ["user", "jti", "session"])
async def test_revoked_session_is_not_resumed(house: House, by: str) -> None:
    """What was revoked cannot be come back to."""
    ann = await house.client("ann", jti="j1", sid="s1")
    ann.leave()
    await settle()
    await house.gateway.revoke(**{by: {"user": "ann", "jti": "j1", "session": "s1"}[by]})
    again = await resume(house, token_of(ann))
    assert errors(again) == ["Token has been revoked"]


async def test_revoking_the_session_itself(house: House) -> None:
    """A session revoked by its own id ends, and its token is worth nothing."""
    ann = await house.client("ann")
    identifier = session_of(ann).resume_id
    assert identifier is not None
    assert await house.gateway.revoke(session=identifier) == 1
    await settle()
    assert ann.closed == (3503, "force disconnect")
    assert errors(await resume(house, token_of(ann))) == ["Authentication failed"]


async def test_resume_on_an_authenticated_connection(house: House) -> None:
    """A connection that is authenticated already may present a session token of the same user."""
    first, second = await house.client("ann"), await house.client("ann")
    await ask(second, "auth", wsToken=token_of(first))
    assert second.last("auth_success")["resumed"] is True


async def test_resume_as_somebody_else(house: House) -> None:
    """A session token of another user ends an authenticated connection."""
    ann, bob = await house.client("ann"), await house.client("bob")
    await ask(bob, "auth", wsToken=token_of(ann))
    assert bob.closed == (3500, "invalid token")


async def test_authenticating_again_is_a_refresh(house: House) -> None:
    """`auth` with a newer token on an authenticated connection judges its rooms again."""
    await house.room(permissions={"read": ["author"], "write": ["author"], "admin": []})
    ann = await house.client("ann", "lobby", roles=["author"])
    await ask(ann, "auth", token=house.token("ann", roles=["user"]))
    assert ann.last("auth_success")["user"]["roles"] == ["user"]
    assert ann.last("room_left") == {"roomId": "lobby", "reason": "permission_denied"}


async def test_resuming_again_judges_rooms_again(house: House) -> None:
    """A session token with lesser rights takes rooms away from the connection that presents it."""
    await house.room(permissions={"read": ["author"], "write": ["author"], "admin": []})
    lesser = await house.client("ann", roles=["user"])
    ann = await house.client("ann", "lobby", roles=["author"], iat=int(house.clock.time()))
    await ask(ann, "auth", wsToken=token_of(lesser))
    assert ann.last("room_left") == {"roomId": "lobby", "reason": "permission_denied"}


async def test_session_tokens_of_another_run(house: House) -> None:
    """Without a configured secret session tokens of another gateway are refused."""
    async with running() as other:
        ann = await other.client("ann")
    assert errors(await resume(house, token_of(ann))) == ["Authentication failed"]
    assert house.events(Event.AUTH_FAIL) == 1


async def test_secret_tokens_are_in_no_log() -> None:
    """Neither kind of token is written to the log, whatever happens to it."""
    async with running() as house:
        ann = await house.client("ann")
        token = await house.authenticate(await house.client(), "bob")
        await ask(ann, "refresh", token=token)
        revoked = token_of(await house.client("cat"))
        await house.gateway.revoke(user="cat")
        await resume(house, revoked)
        tokens = [token, token_of(ann), revoked]
    written = house.log.getvalue()
    assert "auth.fail" in written
    assert [each for each in tokens if each in written or each.split(".")[2] in written] == []
