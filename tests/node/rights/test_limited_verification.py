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
from tests.running_gateway import (
    CREDENTIALS,
    RoutedGate,
    RunningGateway,
    ask,
    run_gateway,
    session_of,
    settle,
)
from tests.security.make_tokens import SECRET
from tests.slow_engine import slow_gateway
from tests.socketio_peer import reach, workspaces_settings

pytestmark = pytest.mark.p0

FREE = RateLimit(rate=Rate(0, 1.0, 1))
LIMITS = Limits(attempts=FREE, messages=FREE)
OTHER = "another secret of thirty-two byte"


def given(**sections: Any) -> Settings:
    """Settings that take a credential by every way, and count nothing but refused ones."""
    tree = workspaces_settings(
        endpoint={"limits": LIMITS},
        rooms={"limits": LIMITS, "credentials": CREDENTIALS},
        **{"tokens": Tokens(secrets=(Secret(SECRET),)), **sections},
    )
    realtime = replace(tree.endpoints["realtime"], limits=LIMITS, auth_attempts=0)
    return replace(tree, endpoints={**tree.endpoints, "realtime": realtime})


@pytest.fixture
async def running() -> AsyncIterator[RunningGateway]:
    """A gateway of these."""
    async with run_gateway(given()) as running:
        yield running


# -- the ways in: each presents a credential and says `ok`, `refused` or `limited`


async def _handshake(running: RunningGateway, path: str, **headers: str) -> str:
    try:
        client = await connect(running.gateway, path, **headers)
    except HandshakeRejected as refused:
        return {HandshakeRejection.UNAUTHENTICATED: "refused", HandshakeRejection.RATE: "limited"}[
            refused.refusal
        ]
    client.leave()
    await settle()
    return "ok"


async def _message(running: RunningGateway, path: str, kind: str, text: str) -> str:
    client = await running.client(path=path)
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


async def by_header(running: RunningGateway, token: str) -> str:
    """In `Authorization`."""
    return await _handshake(running, "/rooms", authorization=f"Bearer {token}")


async def by_query(running: RunningGateway, token: str) -> str:
    """In the address."""
    return await _handshake(running, f"/rooms?token={token}")


async def by_message(running: RunningGateway, token: str) -> str:
    """In the first message of rooms."""
    return await _message(running, "/rooms", "auth", token)


async def by_relay(running: RunningGateway, token: str) -> str:
    """In the first message of the relay."""
    return await _message(running, "/realtime", "authenticate", token)


async def by_refresh(running: RunningGateway, token: str) -> str:
    """In a refresh on an open connection."""
    client = await running.client("ann", iat=1)
    await ask(client, "refresh", token=token)
    answer = client.received[-1]
    client.leave()
    await settle()
    if answer["type"] == "refresh_success":
        return "ok"
    return "limited" if answer["data"]["code"] == "auth_rate_limited" else "refused"


async def by_connect(running: RunningGateway, token: str) -> str:
    """In a CONNECT of Socket.IO."""
    peer = await reach(running.gateway)
    await peer.enter({"token": token})
    closed = peer.closed
    if closed is None:
        peer.leave()
        await settle()
        return "ok"
    return {3500: "refused", 3013: "limited"}[closed[0]]


TOKENS: dict[str, Callable[[RunningGateway, str], Awaitable[str]]] = {
    way.__name__: way for way in (by_header, by_query, by_message, by_relay, by_refresh, by_connect)
}


async def ticket(running: RunningGateway, text: str) -> str:
    """A ticket, which is good once."""
    return await _handshake(running, f"/rooms?ticket={text}")


async def resume(running: RunningGateway, text: str) -> str:
    """The token of a session, in place of the user's own."""
    client = await running.client()
    client.send({"type": "auth", "data": {"wsToken": text}})
    await settle()
    answer = client.received[-1]
    client.leave()
    await settle()
    if answer["type"] == "auth_success":
        return "ok"
    return "limited" if answer["data"]["code"] == "auth_rate_limited" else "refused"


async def _good_ticket(running: RunningGateway) -> str:
    return await running.gateway.ticket(running.token("ann"))


async def _good_session(running: RunningGateway) -> str:
    client = await running.client("ann")
    text: str = client.last("auth_success")["wsToken"]
    client.leave()
    await settle()
    return text


async def _good_token(running: RunningGateway) -> str:
    return running.token("ann")


WAYS = {name: (way, _good_token) for name, way in TOKENS.items()} | {
    "ticket": (ticket, _good_ticket),
    "resume": (resume, _good_session),
}


@pytest.mark.parametrize("name", WAYS)
async def test_guesses(running: RunningGateway, name: str) -> None:
    """Ten different guesses at once are answered as such, the rest as too many; good ones come in."""
    way, make = WAYS[name]
    answers = [await way(running, f"guess{number}") for number in range(40)]
    assert answers == ["refused"] * 10 + ["limited"] * 30
    assert await way(running, await make(running)) == "ok"
    await running.advance(60)
    answers = [await way(running, f"more{number}") for number in range(40)]
    assert answers == ["refused"] * 10 + ["limited"] * 30
    assert await way(running, await make(running)) == "ok"


@pytest.mark.parametrize("name", WAYS)
async def test_one_bad_credential_again_and_again(running: RunningGateway, name: str) -> None:
    """It is refused each time, counts once, and is not judged again."""
    way, make = WAYS[name]
    assert [await way(running, "bad") for _ in range(30)] == ["refused"] * 30
    endpoint = {"by_relay": "realtime", "by_connect": "workspaces"}.get(name, "rooms")
    assert running.count("auth_total", endpoint=endpoint, result="failed") == 1
    assert running.count("auth_total", endpoint=endpoint, result="repeated") == 29
    assert running.events(Event.AUTH_FAIL) == 30
    answers = [await way(running, f"guess{number}") for number in range(12)]
    assert answers == ["refused"] * 9 + ["limited"] * 3
    assert await way(running, "bad") == "refused"
    assert await way(running, await make(running)) == "ok"


async def test_all_ways_are_one_count(running: RunningGateway) -> None:
    """Guesses by different ways are counted together, and what one way refused the other knows."""
    number = count()
    answers = [
        await way(running, f"guess{next(number)}") for _ in range(3) for way in TOKENS.values()
    ]
    assert answers == ["refused"] * 10 + ["limited"] * 8
    assert {await way(running, "guess0") for way in TOKENS.values()} == {"refused"}
    for way in TOKENS.values():
        assert await way(running, running.token("ann")) == "ok"


async def test_the_same_text_as_something_else(running: RunningGateway) -> None:
    """A token that was shown as a ticket is good as a token, and the other way round."""
    token = running.token("ann")
    assert await ticket(running, token) == "refused"
    assert await resume(running, token) == "refused"
    assert await by_header(running, token) == "ok"
    made = await _good_ticket(running)
    assert await by_query(running, made) == "refused"
    assert await ticket(running, made) == "ok"


@pytest.mark.parametrize("name", TOKENS)
async def test_a_guess_that_was_too_many(running: RunningGateway, name: str) -> None:
    """What was not counted is counted when it comes again, so that repeating tells nothing more."""
    way = TOKENS[name]
    for number in range(15):
        await way(running, f"guess{number}")
    assert [await way(running, "guess14") for _ in range(5)] == ["limited"] * 5
    await running.advance(0.61)
    assert [await way(running, "guess14") for _ in range(3)] == ["refused"] * 3
    assert await way(running, "guess13") == "limited"


# -- a bad credential that becomes good


@pytest.mark.parametrize("name", TOKENS)
@pytest.mark.parametrize("claim", ["nbf", "iat"])
async def test_a_token_whose_time_comes(running: RunningGateway, name: str, claim: str) -> None:
    """Refused before its time, as often as it is shown, it is good as soon as its time has come."""
    way, start = TOKENS[name], running.clock.time() + 50
    claims: dict[str, Any] = {claim: int(start)}
    token = running.token("ann", ttl=600, **claims)
    for _ in range(15):
        assert await way(running, token) == "refused"
    assert await way(running, "other") == "refused"
    await running.advance(20)
    assert await way(running, token) == "ok"


@pytest.mark.parametrize("name", TOKENS)
async def test_a_key_that_is_added(running: RunningGateway, name: str) -> None:
    """A reload makes tokens of a new secret good at once, and those of an old one bad."""
    way = TOKENS[name]
    old = running.token("ann")
    async with run_gateway(given(tokens=Tokens(secrets=(Secret(OTHER),)))) as other:
        new = other.token("ann")
    assert (await way(running, old), await way(running, new)) == ("ok", "refused")
    both = given(tokens=Tokens(secrets=(Secret(OTHER), Secret(SECRET))))
    running.gateway.reload(both)
    assert (await way(running, old), await way(running, new)) == ("ok", "ok")
    running.gateway.reload(given(tokens=Tokens(secrets=(Secret(OTHER),))))
    assert (await way(running, old), await way(running, new)) == ("refused", "ok")


async def test_rules_that_change(running: RunningGateway) -> None:
    """A reload of what tokens must say makes the same token good."""
    token = running.token("ann", aud="elsewhere")
    assert await by_header(running, token) == "refused"
    running.gateway.reload(given(tokens=Tokens(secrets=(Secret(SECRET),), audience="elsewhere")))
    assert await by_header(running, token) == "ok"


async def test_a_clock_that_is_set_right(running: RunningGateway) -> None:
    """Tokens that were over by a clock that went wrong are judged anew when it is set."""
    token, now = running.token("ann"), running.clock.time()
    running.clock.set_wall(now + 7200)
    assert [await by_header(running, token) for _ in range(2)] == ["refused"] * 2
    running.clock.set_wall(now)
    assert await by_header(running, token) == "ok"
    await running.advance(3500)
    assert await by_header(running, token) == "ok"


async def test_revoked_and_new(running: RunningGateway) -> None:
    """A token revoked with its subject stays refused; one made after that is another token."""
    old = running.token("ann")
    await running.gateway.revoke(user="ann")
    assert [await by_header(running, old) for _ in range(3)] == ["refused"] * 3
    await running.advance(2)
    assert await by_header(running, running.token("ann")) == "ok"
    assert await by_message(running, old) == "refused"


async def test_a_store_that_is_away() -> None:
    """What could not be judged is not remembered: the same token is good when the store is back."""
    async with slow_gateway(given()) as (running, engine):
        token = running.token("ann")
        engine.fails = {"kv.records revoked"}
        for _ in range(12):
            arrival = asyncio.ensure_future(running.refusal(authorization=f"Bearer {token}"))
            await engine.run()
            assert await arrival is HandshakeRejection.UNAVAILABLE
        engine.fails.clear()
        entering = asyncio.ensure_future(connect(running.gateway, authorization=f"Bearer {token}"))
        await engine.run()
        assert (await entering).open
        assert running.count("auth_total", endpoint="rooms", result="unavailable") == 12


async def test_a_role_that_is_given_later() -> None:
    """A user without the role gets 403, counts against nobody, and comes in once the role is there."""
    tree = given()
    rooms = replace(tree.endpoints["rooms"], roles=("staff",))
    async with run_gateway(replace(tree, endpoints={**tree.endpoints, "rooms": rooms})) as running:
        bearer = {"authorization": f"Bearer {running.token('eve')}"}
        for _ in range(20):
            assert await running.refusal(**bearer) is HandshakeRejection.FORBIDDEN
        assert await running.refusal(authorization="Bearer x") is HandshakeRejection.UNAUTHENTICATED
        await running.gateway.set_roles("eve", ["staff"])
        await connect(running.gateway, **bearer)


async def test_the_same_at_the_same_time() -> None:
    """Many who show one bad token at once count once."""
    async with slow_gateway(given()) as (running, engine):
        # The token is sound, and revoked: whether it is, the store says.
        token = running.token("ann")
        revoking = asyncio.ensure_future(running.gateway.revoke(user="ann"))
        await engine.run()
        await revoking
        bearer = {"authorization": f"Bearer {token}"}
        arrivals = [asyncio.ensure_future(running.refusal(**bearer)) for _ in range(50)]
        await engine.run()
        assert set(await asyncio.gather(*arrivals)) == {HandshakeRejection.UNAUTHENTICATED}
        more = [
            asyncio.ensure_future(running.refusal(authorization=f"Bearer x{number}"))
            for number in range(10)
        ]
        await engine.run()
        outcomes = [await each for each in more]
        assert outcomes == [HandshakeRejection.UNAUTHENTICATED] * 9 + [HandshakeRejection.RATE]


async def test_a_limit_that_observes_refuses_nothing() -> None:
    """With `observe` every bad token is answered as bad, and counted."""
    tree = given()
    observe = replace(tree.limits, auth=replace(tree.limits.auth, mode="observe"))
    async with run_gateway(replace(tree, limits=observe)) as running:
        answers = [await by_header(running, f"guess{number}") for number in range(20)]
        assert answers == ["refused"] * 20
        assert running.count("limit_refusals_total", limit="auth", mode="observe") == 10


# -- tickets and tokens of sessions work once, and are not lost to a limit


async def test_a_ticket_survives_a_storm() -> None:
    """When too many come at once a ticket is not looked at, and works afterwards."""
    async with run_gateway(given(gate=GateSettings(accept_rate=Rate(2, 1.0, 2)))) as running:
        made = await _good_ticket(running)
        for number in range(2):
            await connect(running.gateway, peer=f"10.0.0.{number}")
        assert await running.refusal(f"/rooms?ticket={made}") is HandshakeRejection.OVERLOAD
        await running.advance(1)
        assert await ticket(running, made) == "ok"
        assert await ticket(running, made) == "refused"


async def test_a_session_survives_a_storm() -> None:
    """When too many authenticate at once the token of a session is not used up."""
    async with run_gateway(given(gate=GateSettings(accept_rate=Rate(3, 1.0, 3)))) as running:
        kept = await _good_session(running)
        await running.advance(2)
        clients = [await running.client(peer=f"10.0.0.{number}") for number in range(3)]
        await running.advance(2)
        late = await running.client()
        for number, client in enumerate(clients):
            await running.authenticate(client, f"user{number}")
        await ask(late, "auth", wsToken=kept)
        assert late.last("error")["code"] == "auth_rate_limited"
        await running.advance(1)
        await ask(late, "auth", wsToken=kept)
        assert session_of(late).user == "ann"


# -- many addresses


BEHIND = {
    "server": ServerSettings(trusted_proxies=("127.0.0.1",)),
    "gate": GateSettings(accept_rate=Rate(500, 1.0, 500), max_connections=100_000),
}


async def _admitted(running: RunningGateway, address: str, token: str = "") -> bool:
    """Whether a handshake is let in; then it is left again."""
    headers = {"authorization": f"Bearer {token}"} if token else {}
    head = request(x_forwarded_for=address, **headers)
    try:
        (await RoutedGate(running.gateway.node).admit(head)).cancel()
    except HandshakeRejected:
        return False
    return True


@pytest.mark.parametrize("attack", ["tokens", "connections"])
@pytest.mark.parametrize("prefix", ["10.1.{}.{}", "2001:db8:{:x}:{:x}::1"])
async def test_a_thousand_addresses(attack: str, prefix: str) -> None:
    """1,980 bad handshakes a second from a thousand addresses leave the users in: all but one in twenty."""
    async with run_gateway(given(**BEHIND)) as running:
        tokens = [running.token(f"user{number}") for number in range(300)]
        came = tried = 0
        for tick in range(300):
            running.clock.advance(0.01)
            for number in range(20 - tick % 5 // 4):
                spot = (tick * 20 + number) % 1000
                bad = f"bad{tick}.{number}" if attack == "tokens" else ""
                await _admitted(running, prefix.format(spot // 250, spot % 250), bad)
            if tick % 2:
                # A user of an address of its own, and one of an address that attacks.
                for number, place in enumerate((f"192.0.2.{tick % 250}", prefix.format(0, 7))):
                    tried += 1
                    came += await _admitted(running, place, tokens[tick - number])
        assert came / tried >= 0.95


async def test_newcomers_and_an_attack() -> None:
    """Users who were never here before come in, too, from addresses that do not attack."""
    async with run_gateway(given(**BEHIND)) as running:
        came = 0
        for tick in range(200):
            running.clock.advance(0.01)
            for number in range(30):
                place = (tick * 30 + number) % 1000
                await _admitted(running, f"10.1.{place // 250}.{place % 250}", f"b{tick}.{number}")
            token = running.token(f"user{tick}")
            came += await _admitted(running, f"192.0.{tick // 100}.{tick % 100}", token)
        assert came >= 190


def test_there_is_a_way_for_each_place() -> None:
    """No place a credential may come from is left out here, but for cookies, which have their own tests."""
    covered = {"header": by_header, "query": by_query, "message": by_message, "ticket": ticket}
    assert {kind.value for kind in CredentialSource} - covered.keys() == {"cookie", "subprotocol"}
