"""Every way a credential comes in: repeats from memory, failures counted once, good ones always let in."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from itertools import count
from typing import Any

import pytest
from msgspec.structs import replace

from portward.model.handshake_errors import HandshakeRejected, HandshakeRejection
from portward.model.limits import Rate
from portward.settings import Secret, Settings
from portward.settings.endpoint import CredentialSource
from portward.settings.limits import Limits, RateLimit
from portward.settings.sections import GateSettings, ServerSettings
from portward.settings.tokens import Tokens
from portward.telemetry.events import Event
from portward.testing import connect
from portward.testing.gateway import request
from tests.house import CREDENTIALS, House, RoutedGate, ask, running, session_of, settle
from tests.security.forge import SECRET
from tests.slow_engine import slow_house
from tests.sockets import offices, reach

pytestmark = pytest.mark.p0

FREE = RateLimit(rate=Rate(0, 1.0, 1))
LIMITS = Limits(attempts=FREE, messages=FREE)
OTHER = "another secret of thirty-two byte"


def given(**sections: Any) -> Settings:
    """Settings that take a credential by every way, and count nothing but refused ones."""
    tree = offices(
        endpoint={"limits": LIMITS},
        rooms={"limits": LIMITS, "credentials": CREDENTIALS},
        **{"tokens": Tokens(secrets=(Secret(SECRET),)), **sections},
    )
    realtime = replace(tree.endpoints["realtime"], limits=LIMITS, auth_attempts=0)
    return replace(tree, endpoints={**tree.endpoints, "realtime": realtime})


@pytest.fixture
async def house() -> AsyncIterator[House]:
    """A gateway of these."""
    async with running(given()) as house:
        yield house


# -- the ways in: each presents a credential and says `ok`, `refused` or `limited`


async def _handshake(house: House, path: str, **headers: str) -> str:
    try:
        client = await connect(house.gateway, path, **headers)
    except HandshakeRejected as refused:
        return {HandshakeRejection.UNAUTHENTICATED: "refused", HandshakeRejection.RATE: "limited"}[
            refused.refusal
        ]
    client.leave()
    await settle()
    return "ok"


async def _message(house: House, path: str, kind: str, text: str) -> str:
    client = await house.client(path=path)
    if path == "/rooms":
        await ask(client, kind, **{"wsToken" if kind == "resume" else "token": text})
    else:
        client.send({"type": "authenticate", "token": text})
        await settle()
    answer = client.received[-1]
    client.leave()
    await settle()
    if answer["type"] == "auth_success":
        return "ok"
    code = answer.get("code") or answer["data"]["code"]
    return "limited" if "rate_limited" in code else "refused"


async def by_header(house: House, token: str) -> str:
    """In `Authorization`."""
    return await _handshake(house, "/rooms", authorization=f"Bearer {token}")


async def by_query(house: House, token: str) -> str:
    """In the address."""
    return await _handshake(house, f"/rooms?token={token}")


async def by_message(house: House, token: str) -> str:
    """In the first message of rooms."""
    return await _message(house, "/rooms", "auth", token)


async def by_relay(house: House, token: str) -> str:
    """In the first message of the relay."""
    return await _message(house, "/realtime", "authenticate", token)


async def by_refresh(house: House, token: str) -> str:
    """In a refresh on an open connection."""
    client = await house.client("ann", iat=1)
    await ask(client, "refresh", token=token)
    answer = client.received[-1]
    client.leave()
    await settle()
    if answer["type"] == "refresh_success":
        return "ok"
    return "limited" if answer["data"]["code"] == "auth_rate_limited" else "refused"


async def by_connect(house: House, token: str) -> str:
    """In a CONNECT of Socket.IO."""
    peer = await reach(house.gateway)
    await peer.enter({"token": token})
    closed = peer.closed
    if closed is None:
        peer.leave()
        await settle()
        return "ok"
    return {3500: "refused", 3013: "limited"}[closed[0]]


TOKENS: dict[str, Callable[[House, str], Awaitable[str]]] = {
    way.__name__: way for way in (by_header, by_query, by_message, by_relay, by_refresh, by_connect)
}


async def ticket(house: House, text: str) -> str:
    """A ticket, which is good once."""
    return await _handshake(house, f"/rooms?ticket={text}")


async def resume(house: House, text: str) -> str:
    """The token of a session, in place of the user's own."""
    client = await house.client()
    client.send({"type": "auth", "data": {"wsToken": text}})
    await settle()
    answer = client.received[-1]
    client.leave()
    await settle()
    if answer["type"] == "auth_success":
        return "ok"
    return "limited" if answer["data"]["code"] == "auth_rate_limited" else "refused"


async def _good_ticket(house: House) -> str:
    return await house.gateway.ticket(house.token("ann"))


async def _good_session(house: House) -> str:
    client = await house.client("ann")
    text: str = client.last("auth_success")["wsToken"]
    client.leave()
    await settle()
    return text


async def _good_token(house: House) -> str:
    return house.token("ann")


WAYS = {name: (way, _good_token) for name, way in TOKENS.items()} | {
    "ticket": (ticket, _good_ticket),
    "resume": (resume, _good_session),
}


@pytest.mark.parametrize("name", WAYS)
async def test_guesses(house: House, name: str) -> None:
    """Ten different guesses at once are answered as such, the rest as too many; good ones come in."""
    way, make = WAYS[name]
    answers = [await way(house, f"guess{number}") for number in range(40)]
    assert answers == ["refused"] * 10 + ["limited"] * 30
    assert await way(house, await make(house)) == "ok"
    await house.advance(60)
    answers = [await way(house, f"more{number}") for number in range(40)]
    assert answers == ["refused"] * 10 + ["limited"] * 30
    assert await way(house, await make(house)) == "ok"


@pytest.mark.parametrize("name", WAYS)
async def test_one_bad_credential_again_and_again(house: House, name: str) -> None:
    """It is refused each time, counts once, and is not judged again."""
    way, make = WAYS[name]
    assert [await way(house, "bad") for _ in range(30)] == ["refused"] * 30
    endpoint = {"by_relay": "realtime", "by_connect": "workspaces"}.get(name, "rooms")
    assert house.count("auth_total", endpoint=endpoint, result="failed") == 1
    assert house.count("auth_total", endpoint=endpoint, result="repeated") == 29
    assert house.events(Event.AUTH_FAIL) == 30
    answers = [await way(house, f"guess{number}") for number in range(12)]
    assert answers == ["refused"] * 9 + ["limited"] * 3
    assert await way(house, "bad") == "refused"
    assert await way(house, await make(house)) == "ok"


async def test_all_ways_are_one_count(house: House) -> None:
    """Guesses by different ways are counted together, and what one way refused the other knows."""
    number = count()
    answers = [
        await way(house, f"guess{next(number)}") for _ in range(3) for way in TOKENS.values()
    ]
    assert answers == ["refused"] * 10 + ["limited"] * 8
    assert {await way(house, "guess0") for way in TOKENS.values()} == {"refused"}
    for way in TOKENS.values():
        assert await way(house, house.token("ann")) == "ok"


async def test_the_same_text_as_something_else(house: House) -> None:
    """A token that was shown as a ticket is good as a token, and the other way round."""
    token = house.token("ann")
    assert await ticket(house, token) == "refused"
    assert await resume(house, token) == "refused"
    assert await by_header(house, token) == "ok"
    made = await _good_ticket(house)
    assert await by_query(house, made) == "refused"
    assert await ticket(house, made) == "ok"


@pytest.mark.parametrize("name", TOKENS)
async def test_a_guess_that_was_too_many(house: House, name: str) -> None:
    """What was not counted is counted when it comes again, so that repeating tells nothing more."""
    way = TOKENS[name]
    for number in range(15):
        await way(house, f"guess{number}")
    assert [await way(house, "guess14") for _ in range(5)] == ["limited"] * 5
    await house.advance(0.61)
    assert [await way(house, "guess14") for _ in range(3)] == ["refused"] * 3
    assert await way(house, "guess13") == "limited"


# -- a bad credential that becomes good


@pytest.mark.parametrize("name", TOKENS)
@pytest.mark.parametrize("claim", ["nbf", "iat"])
async def test_a_token_whose_time_comes(house: House, name: str, claim: str) -> None:
    """Refused before its time, as often as it is shown, it is good as soon as its time has come."""
    way, start = TOKENS[name], house.clock.time() + 50
    claims: dict[str, Any] = {claim: int(start)}
    token = house.token("ann", ttl=600, **claims)
    for _ in range(15):
        assert await way(house, token) == "refused"
    assert await way(house, "other") == "refused"
    await house.advance(20)
    assert await way(house, token) == "ok"


@pytest.mark.parametrize("name", TOKENS)
async def test_a_key_that_is_added(house: House, name: str) -> None:
    """A reload makes tokens of a new secret good at once, and those of an old one bad."""
    way = TOKENS[name]
    old = house.token("ann")
    async with running(given(tokens=Tokens(secrets=(Secret(OTHER),)))) as other:
        new = other.token("ann")
    assert (await way(house, old), await way(house, new)) == ("ok", "refused")
    both = given(tokens=Tokens(secrets=(Secret(OTHER), Secret(SECRET))))
    house.gateway.reload(both)
    assert (await way(house, old), await way(house, new)) == ("ok", "ok")
    house.gateway.reload(given(tokens=Tokens(secrets=(Secret(OTHER),))))
    assert (await way(house, old), await way(house, new)) == ("refused", "ok")


async def test_rules_that_change(house: House) -> None:
    """A reload of what tokens must say makes the same token good."""
    token = house.token("ann", aud="elsewhere")
    assert await by_header(house, token) == "refused"
    house.gateway.reload(given(tokens=Tokens(secrets=(Secret(SECRET),), audience="elsewhere")))
    assert await by_header(house, token) == "ok"


async def test_a_clock_that_is_set_right(house: House) -> None:
    """Tokens that were over by a clock that went wrong are judged anew when it is set."""
    token, now = house.token("ann"), house.clock.time()
    house.clock.set_wall(now + 7200)
    assert [await by_header(house, token) for _ in range(2)] == ["refused"] * 2
    house.clock.set_wall(now)
    assert await by_header(house, token) == "ok"
    await house.advance(3500)
    assert await by_header(house, token) == "ok"


async def test_revoked_and_new(house: House) -> None:
    """A token revoked with its subject stays refused; one made after that is another token."""
    old = house.token("ann")
    await house.gateway.revoke(user="ann")
    assert [await by_header(house, old) for _ in range(3)] == ["refused"] * 3
    await house.advance(2)
    assert await by_header(house, house.token("ann")) == "ok"
    assert await by_message(house, old) == "refused"


async def test_a_store_that_is_away() -> None:
    """What could not be judged is not remembered: the same token is good when the store is back."""
    async with slow_house(given()) as (house, engine):
        token = house.token("ann")
        engine.fails = {"kv.records revoked"}
        for _ in range(12):
            arrival = asyncio.ensure_future(house.refusal(authorization=f"Bearer {token}"))
            await engine.run()
            assert await arrival is HandshakeRejection.UNAVAILABLE
        engine.fails.clear()
        entering = asyncio.ensure_future(connect(house.gateway, authorization=f"Bearer {token}"))
        await engine.run()
        assert (await entering).open
        assert house.count("auth_total", endpoint="rooms", result="unavailable") == 12


async def test_a_role_that_is_given_later() -> None:
    """A user without the role gets 403, counts against nobody, and comes in once the role is there."""
    tree = given()
    rooms = replace(tree.endpoints["rooms"], roles=("staff",))
    async with running(replace(tree, endpoints={**tree.endpoints, "rooms": rooms})) as house:
        bearer = {"authorization": f"Bearer {house.token('eve')}"}
        for _ in range(20):
            assert await house.refusal(**bearer) is HandshakeRejection.FORBIDDEN
        assert await house.refusal(authorization="Bearer x") is HandshakeRejection.UNAUTHENTICATED
        await house.gateway.set_roles("eve", ["staff"])
        await connect(house.gateway, **bearer)


async def test_the_same_at_the_same_time() -> None:
    """Many who show one bad token at once count once."""
    async with slow_house(given()) as (house, engine):
        # The token is sound, and revoked: whether it is, the store says.
        token = house.token("ann")
        revoking = asyncio.ensure_future(house.gateway.revoke(user="ann"))
        await engine.run()
        await revoking
        bearer = {"authorization": f"Bearer {token}"}
        arrivals = [asyncio.ensure_future(house.refusal(**bearer)) for _ in range(50)]
        await engine.run()
        assert set(await asyncio.gather(*arrivals)) == {HandshakeRejection.UNAUTHENTICATED}
        more = [
            asyncio.ensure_future(house.refusal(authorization=f"Bearer x{number}"))
            for number in range(10)
        ]
        await engine.run()
        outcomes = [await each for each in more]
        assert outcomes == [HandshakeRejection.UNAUTHENTICATED] * 9 + [HandshakeRejection.RATE]


async def test_a_limit_that_observes_refuses_nothing() -> None:
    """With `observe` every bad token is answered as bad, and counted."""
    tree = given()
    observe = replace(tree.limits, auth=replace(tree.limits.auth, mode="observe"))
    async with running(replace(tree, limits=observe)) as house:
        answers = [await by_header(house, f"guess{number}") for number in range(20)]
        assert answers == ["refused"] * 20
        assert house.count("limit_refusals_total", limit="auth", mode="observe") == 10


# -- tickets and tokens of sessions work once, and are not lost to a limit


async def test_a_ticket_survives_a_storm() -> None:
    """When too many come at once a ticket is not looked at, and works afterwards."""
    async with running(given(gate=GateSettings(accept_rate=Rate(2, 1.0, 2)))) as house:
        made = await _good_ticket(house)
        for number in range(2):
            await connect(house.gateway, peer=f"10.0.0.{number}")
        assert await house.refusal(f"/rooms?ticket={made}") is HandshakeRejection.OVERLOAD
        await house.advance(1)
        assert await ticket(house, made) == "ok"
        assert await ticket(house, made) == "refused"


async def test_a_session_survives_a_storm() -> None:
    """When too many authenticate at once the token of a session is not used up."""
    async with running(given(gate=GateSettings(accept_rate=Rate(3, 1.0, 3)))) as house:
        kept = await _good_session(house)
        await house.advance(2)
        clients = [await house.client(peer=f"10.0.0.{number}") for number in range(3)]
        await house.advance(2)
        late = await house.client()
        for number, client in enumerate(clients):
            await house.authenticate(client, f"user{number}")
        await ask(late, "auth", wsToken=kept)
        assert late.last("error")["code"] == "auth_rate_limited"
        await house.advance(1)
        await ask(late, "auth", wsToken=kept)
        assert session_of(late).user == "ann"


# -- many addresses


BEHIND = {
    "server": ServerSettings(trusted_proxies=("127.0.0.1",)),
    "gate": GateSettings(accept_rate=Rate(500, 1.0, 500), max_connections=100_000),
}


async def _admitted(house: House, address: str, token: str = "") -> bool:
    """Whether a handshake is let in; then it is left again."""
    headers = {"authorization": f"Bearer {token}"} if token else {}
    head = request(x_forwarded_for=address, **headers)
    try:
        (await RoutedGate(house.gateway.node).admit(head)).cancel()
    except HandshakeRejected:
        return False
    return True


@pytest.mark.parametrize("attack", ["tokens", "connections"])
@pytest.mark.parametrize("prefix", ["10.1.{}.{}", "2001:db8:{:x}:{:x}::1"])
async def test_a_thousand_addresses(attack: str, prefix: str) -> None:
    """1,980 bad handshakes a second from a thousand addresses leave the users in: all but one in twenty."""
    async with running(given(**BEHIND)) as house:
        tokens = [house.token(f"user{number}") for number in range(300)]
        came = tried = 0
        for tick in range(300):
            house.clock.advance(0.01)
            for number in range(20 - tick % 5 // 4):
                spot = (tick * 20 + number) % 1000
                bad = f"bad{tick}.{number}" if attack == "tokens" else ""
                await _admitted(house, prefix.format(spot // 250, spot % 250), bad)
            if tick % 2:
                # A user of an address of its own, and one of an address that attacks.
                for number, place in enumerate((f"192.0.2.{tick % 250}", prefix.format(0, 7))):
                    tried += 1
                    came += await _admitted(house, place, tokens[tick - number])
        assert came / tried >= 0.95


async def test_newcomers_and_an_attack() -> None:
    """Users who were never here before come in, too, from addresses that do not attack."""
    async with running(given(**BEHIND)) as house:
        came = 0
        for tick in range(200):
            house.clock.advance(0.01)
            for number in range(30):
                place = (tick * 30 + number) % 1000
                await _admitted(house, f"10.1.{place // 250}.{place % 250}", f"b{tick}.{number}")
            token = house.token(f"user{tick}")
            came += await _admitted(house, f"192.0.{tick // 100}.{tick % 100}", token)
        assert came >= 190


def test_there_is_a_way_for_each_place() -> None:
    """No place a credential may come from is left out here, but for cookies, which have their own tests."""
    covered = {"header": by_header, "query": by_query, "message": by_message, "ticket": ticket}
    assert {kind.value for kind in CredentialSource} - covered.keys() == {"cookie", "subprotocol"}
