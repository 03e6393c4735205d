import asyncio
import json
from base64 import urlsafe_b64encode
from typing import Any

import pytest

from portward.client.errors import TokenFailed, UnauthorizedError
from portward.client.tokens import TokenProvider
from portward.testing import FakeClock
from tests.client.scripted import rooms_world, settle


def jwt(**claims: Any) -> str:
    """A token with these claims, unsigned."""
    payload = urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    return f"header.{payload}.secret"


async def test_a_fixed_token_and_none() -> None:
    """A fixed token is given again and again; without one there is none."""
    fixed = TokenProvider("secret", FakeClock())
    assert [await fixed.get("connect"), await fixed.get("rejected")] == ["secret", "secret"]
    assert (fixed.renews, fixed.present) == (False, True)
    nothing = TokenProvider(None, FakeClock())
    assert await nothing.get("connect") is None
    assert not nothing.present
    assert "secret" not in repr(fixed)


async def test_the_reason_is_given_to_a_function_that_takes_one() -> None:
    """A function without parameters is called without the reason."""
    assert await TokenProvider(lambda: "t", FakeClock()).get("refresh") == "t"
    assert await TokenProvider(lambda reason: reason, FakeClock()).get("refresh") == "refresh"

    async def asynchronous(reason: str = "default") -> str:
        return reason

    assert await TokenProvider(asynchronous, FakeClock()).get("rejected") == "rejected"
    assert (
        await TokenProvider(max, FakeClock()).get("connect") == "t"
    )  # no signature: the reason is given


async def test_one_request_at_a_time() -> None:
    """Callers at the same time share one request; one that gives up does not stop it."""
    calls = 0
    release = asyncio.Event()

    async def get_token() -> str:
        nonlocal calls
        calls += 1
        await release.wait()
        return f"t{calls}"

    tokens = TokenProvider(get_token, FakeClock())
    asking = [asyncio.create_task(tokens.get("connect")) for _ in range(5)]
    await settle()
    asking[0].cancel()
    release.set()
    assert await asyncio.gather(*asking[1:]) == ["t1"] * 4
    assert await tokens.get("connect") == "t2"


async def test_a_source_that_hangs() -> None:
    """After ten seconds the request is given up, and the next one is a new one."""
    clock = FakeClock()
    tokens = TokenProvider(asyncio.Event().wait, clock)  # type: ignore[arg-type]
    asking = asyncio.create_task(tokens.get("connect"))
    await settle()
    clock.advance(9.9)
    await settle()
    assert not asking.done()
    clock.advance(0.2)
    with pytest.raises(TokenFailed, match="within 10 s") as failed:
        await asking
    assert failed.value.temporary
    asking = asyncio.create_task(tokens.get("connect"))
    await settle()
    await tokens.close()
    with pytest.raises(asyncio.CancelledError):
        await asking


async def test_a_source_that_fails() -> None:
    """What the source raises is named by its type alone; its text may hold a secret."""

    def get_token() -> str:
        raise LookupError("secret")

    with pytest.raises(TokenFailed, match="LookupError") as failed:
        await TokenProvider(get_token, FakeClock()).get("connect")
    assert "secret" not in str(failed.value)


async def test_no_login() -> None:
    """UnauthorizedError passes as it is, and does not pass with time."""

    async def get_token() -> str:
        raise UnauthorizedError

    with pytest.raises(UnauthorizedError) as caught:
        await TokenProvider(get_token, FakeClock()).get("connect")
    assert not caught.value.temporary


@pytest.mark.parametrize("given", [None, "", 5, b"t", "two\nlines", "t\r", "ü"])
async def test_what_is_no_token(given: Any) -> None:
    """What cannot stand in a header is no token."""
    with pytest.raises(TokenFailed, match="no usable text"):
        await TokenProvider(lambda: given, FakeClock()).get("connect")


async def test_older_tokens_are_not_used() -> None:
    """A token that was issued before the newest one is dropped; an equal or unreadable one is not."""
    given = [jwt(iat=100), jwt(iat=99), jwt(iat=100), "opaque", "a.b.c", jwt(iat="x"), jwt(iat=101)]
    tokens = TokenProvider(lambda: given.pop(0), FakeClock())
    assert await tokens.get("connect") == jwt(iat=100)
    with pytest.raises(TokenFailed, match="older") as failed:
        await tokens.get("refresh")
    assert failed.value.temporary
    for _ in range(5):
        await tokens.get("refresh")
    with pytest.raises(IndexError):
        given.pop(0)


@pytest.mark.parametrize(
    "claims", [{"iat": True}, {"iat": float("inf")}, {"iat": None}, {"exp": 5}]
)
async def test_odd_claims(claims: dict[str, Any]) -> None:
    """Claims that are no numbers say nothing."""
    tokens = TokenProvider(lambda: jwt(**claims), FakeClock())
    assert await tokens.get("connect")
    assert tokens.refresh_due() == 0.0


@pytest.mark.parametrize(
    ("lives", "due"), [(5, 2.5), (60, 30.0), (119, 59.5), (120, 0.0), (3600, 0.0)]
)
async def test_short_tokens_are_renewed_after_half_their_life(lives: int, due: float) -> None:
    """A token that is announced to run out as soon as it is given is not renewed at once."""
    clock = FakeClock()
    tokens = TokenProvider(lambda: jwt(iat=100, exp=100 + lives), clock)
    assert tokens.refresh_due() == 0.0
    await tokens.get("connect")
    assert tokens.refresh_due() == due
    clock.advance(1000)
    assert tokens.refresh_due() == 0.0


# -- refreshing


async def test_a_token_of_five_seconds_is_refreshed_twenty_times() -> None:
    """While the source sometimes fails, hangs and returns an older token, the connection stays."""
    world, rooms = rooms_world()
    world.draw = 0.1
    calls: list[str] = []

    async def get_token(reason: str) -> str:
        calls.append(reason)
        now = int(world.clock.time())
        match len(calls) % 5:
            case 1:
                raise LookupError
            case 2 if len(calls) > 2:
                return jwt(iat=now - 3600, exp=now)
            case 3 if len(calls) % 25 == 3:
                await asyncio.Event().wait()
        return jwt(iat=now, exp=now + 5)

    def refreshed(_: object) -> list[tuple[str, dict[str, Any]]]:
        return [
            ("refresh_success", {"wsToken": "s", "expiresAt": 1}),
            ("token_expiring", {"expiresAt": 1}),
        ]

    world.answers["refresh"] = refreshed
    async with world.client(get_token=get_token) as client:
        room = client.room("lobby")
        joining = asyncio.create_task(room.join())
        await world.advance(2)
        await joining
        world.last.say("token_expiring", {"expiresAt": 1})
        heard: list[Any] = []
        room.on("message", heard.append)
        for number in range(160):
            rooms.publish(str(number), world.last)
            await world.advance(1)
        assert world.last.kinds().count("refresh") >= 20
        assert len(world.transports) == 1
        assert [each.content for each in heard] == [str(number) for number in range(160)]
        gaps = [each["token"] for each in world.last.of("refresh")]
        assert len(set(gaps)) == len(gaps)


async def test_logged_out_while_refreshing() -> None:
    """UnauthorizedError of the source stops the client, with one callback."""
    world, _ = rooms_world()

    def get_token(reason: str) -> str:
        if reason == "refresh":
            raise UnauthorizedError
        return "t"

    async with world.client(get_token=get_token) as client:
        connecting = asyncio.create_task(client.rooms.connect())
        await settle()
        await connecting
        world.last.say("token_expiring", {"expiresAt": 1})
        await world.advance(60, 5)
        assert client.rooms.state == "stopped"
        assert [type(each) for each in world.stops] == [UnauthorizedError]
        assert len(world.transports) == 1


async def test_a_refresh_that_is_refused() -> None:
    """A refused newer token is replaced once; refused again, the connection goes on to its expiry."""
    world, _ = rooms_world()
    reasons: list[str] = []

    def get_token(reason: str) -> str:
        reasons.append(reason)
        return "t"

    world.answers["refresh"] = lambda _: [
        ("error", {"code": "authentication_failed", "message": "Authentication failed"})
    ]
    async with world.client(get_token=get_token) as client:
        connecting = asyncio.create_task(client.rooms.connect())
        await settle()
        await connecting
        world.last.say("token_expiring", {"expiresAt": 1})
        await world.advance(20, 1)
        assert reasons == ["connect", "refresh", "rejected"]
        assert client.rooms.state == "ready"


async def test_a_fixed_token_is_not_refreshed() -> None:
    """With one token only there is nothing to put in its place."""
    world, _ = rooms_world()
    async with world.client(get_token="t") as client:
        connecting = asyncio.create_task(client.rooms.connect())
        await settle()
        await connecting
        world.last.say("token_expiring", {"expiresAt": 1})
        await world.advance(5, 1)
        assert "refresh" not in world.last.kinds()
