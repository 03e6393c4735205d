"""Who is there: refreshing, revoking, and what happens in between with a slow store."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from portward.engines.memory import MemoryEngine, kv
from portward.engines.port import Key
from portward.model.errors import CommandError, ErrorKind
from portward.model.events import Revoked, RightsChanged
from portward.model.handshake_errors import HandshakeRejected, HandshakeRejection
from portward.model.limits import Rate
from portward.model.revocation import Revocation, RevocationKind
from portward.node.sessions import ConnectionInfo
from portward.node.stores import SessionRecord
from portward.settings.endpoint import AuthMode
from portward.settings.limits import Limits, RateLimit
from portward.settings.sections import GateSettings
from portward.telemetry.events import Event
from portward.testing import FakeClock, MemoryClient, connect
from portward.testing.gateway import request
from tests.running_gateway import (
    CREDENTIALS,
    LOBBY,
    RoutedGate,
    RunningGateway,
    ask,
    contents,
    errors,
    kinds,
    run_gateway,
    session_of,
    settings,
    settle,
)
from tests.slow_engine import SlowEngine, arrive, slow_gateway
from tests.stores import stores

pytestmark = pytest.mark.p0

UNLIMITED = RateLimit(rate=Rate(0, 1.0, 1))
FREE = Limits(messages=UNLIMITED, join=UNLIMITED, auth=UNLIMITED, attempts=UNLIMITED)
HEADER = {"limits": FREE, "credentials": CREDENTIALS}
Slow = tuple[RunningGateway, SlowEngine]


@pytest.fixture
async def running() -> AsyncIterator[RunningGateway]:
    """A gateway without limits, that takes credentials from anywhere."""
    async with run_gateway(settings(rooms=HEADER)) as running:
        yield running


@pytest.fixture
async def slow() -> AsyncIterator[Slow]:
    """The same over an engine that answers when it is told to."""
    async with slow_gateway(settings(rooms=HEADER)) as slow:
        yield slow


# -- refresh


@pytest.mark.parametrize(
    "changes", [{"user": "bob"}, {"workspaceId": "w2"}, {"iss": "other"}], ids=str
)
async def test_refresh_as_somebody_else(running: RunningGateway, changes: dict[str, str]) -> None:
    """A token of another subject, workspace or issuer ends the connection for good."""
    ann = await running.client("ann", "lobby", workspaceId="w1", iss="one")
    user = changes.pop("user", "ann")
    given: dict[str, Any] = {"workspaceId": "w1", "iss": "one"} | changes
    await ask(ann, "refresh", token=running.token(user, **given))
    assert ann.closed == (3500, "invalid token")
    assert ann.all("refresh_success") == []


async def test_refresh_with_an_older_token(running: RunningGateway) -> None:
    """A token issued before the one in force is refused, and changes nothing."""
    now = int(running.clock.time())
    ann = await running.client("ann", iat=now, ttl=600)
    await ask(ann, "refresh", token=running.token("ann", iat=now - 1, ttl=7200))
    await ask(ann, "refresh", token=running.token("ann", iat=now, ttl=1200))
    assert errors(ann) == ["Authentication failed"]
    assert ann.last("refresh_success")["expiresAt"] == (now + 1200) * 1000
    assert running.events(Event.AUTH_REFRESH) == 1


async def test_refresh_with_an_unusable_token(running: RunningGateway) -> None:
    """A token that is refused leaves the one in force."""
    ann = await running.client("ann", ttl=600)
    await ask(ann, "refresh", token="x")
    await running.advance(540.5)
    assert errors(ann) == ["Authentication failed"]
    assert len(ann.all("token_expiring")) == 1


async def test_refresh_is_limited_like_authentication() -> None:
    """Tokens that are refused in a refresh count against the address, good ones do not."""
    limits = Limits(auth=RateLimit(rate=Rate(2, 60.0, 2)))
    async with run_gateway(settings(rooms={"limits": limits})) as running:
        ann = await running.client("ann")
        for number in range(3):
            await ask(ann, "refresh", token=f"x{number}")
        assert errors(ann) == ["Authentication failed"] * 2 + ["Authentication rate limit exceeded"]
        for _ in range(5):
            await ask(ann, "refresh", token=running.token("ann"))
        assert len(ann.all("refresh_success")) == 5


async def test_refresh_judges_rooms_again(running: RunningGateway) -> None:
    """A newer token with lesser roles takes rooms away at once, with greater ones gives rights."""
    await running.room("staff", permissions={"read": ["staff"], "write": ["staff"], "admin": []})
    await running.room("lobby", permissions={"read": ["user"], "write": ["author"], "admin": []})
    ann = await running.client("ann", "staff", "lobby", roles=["user", "staff"])
    await ask(ann, "refresh", token=running.token("ann", roles=["user", "author"]))
    assert ann.last("room_left") == {"roomId": "staff", "reason": "permission_denied"}
    await ask(ann, "message", roomId="lobby", content="x")
    assert contents(ann) == ["x"]


async def test_old_token_id_after_a_refresh(running: RunningGateway) -> None:
    """After a refresh the old token's id names the session no more; the new one's does."""
    ann = await running.client("ann", jti="old")
    await ask(ann, "refresh", token=running.token("ann", jti="new"))
    assert await running.gateway.revoke(jti="old") == 0
    await settle()
    assert ann.open
    assert await running.gateway.revoke(jti="new") == 1
    await settle()
    assert ann.closed == (3503, "force disconnect")


# -- revocation


@pytest.mark.parametrize("by", ["jti", "session", "user", "token"])
async def test_revocation_ends_sessions(running: RunningGateway, by: str) -> None:
    """Whoever a revocation names is closed at once, its queue dropped, and stays out."""
    ann = await running.client()
    token = await running.authenticate(ann, "ann", jti="j1", sid="s1")
    await ask(ann, "join", roomId="lobby")
    bob = await running.client("bob", "lobby", jti="j2", sid="s2")
    ann.reading = False
    await running.gateway.publish(LOBBY, "secret")
    await settle()
    value = {"jti": "j1", "session": "s1", "user": "ann", "token": token}[by]
    assert await running.gateway.revoke(**{by: value}) == 1
    assert ann.closed == (3503, "force disconnect")
    ann.read()
    assert contents(ann) == []
    again = await running.client()
    await ask(again, "auth", token=token)
    assert errors(again) == ["Token has been revoked"]
    await settle()
    assert bob.open
    assert bob.last("user_disconnected")["userId"] == "ann"
    assert running.count("revocations_total") == 1
    assert [entry.fields["count"] for entry in running.audited(Event.AUTH_REVOKE)] == [1]


async def test_every_connection_of_a_user(running: RunningGateway) -> None:
    """Revoking a user ends all its connections; tokens issued later are good."""
    tabs = [await running.client("ann") for _ in range(3)]
    assert await running.gateway.revoke(user="ann") == 3
    assert [tab.closed for tab in tabs] == [(3503, "force disconnect")] * 3
    await running.advance(1)
    await running.client("ann")


@pytest.mark.parametrize("by", ["jti", "session", "user", "token"])
async def test_no_place_for_another_revocation(
    running: RunningGateway, by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is refused and reported, and the connections end; the others are kept, and may be renewed."""
    monkeypatch.setattr(kv, "MAX_RECORDS", 2)
    for number in range(2):
        await running.gateway.revoke(user=f"user{number}")
    token = running.token("ann", jti="j1", sid="s1")
    ann = await running.client()
    await ask(ann, "auth", token=token)
    with pytest.raises(CommandError) as caught:
        await running.gateway.revoke(
            **{by: {"jti": "j1", "session": "s1", "user": "ann", "token": token}[by]}
        )
    assert caught.value.kind is ErrorKind.LIMIT_EXCEEDED
    assert "as many revocations" in str(caught.value.detail)
    assert ann.closed == (3503, "force disconnect")
    assert [each.fields["kind"] for each in running.audited(Event.AUTH_REVOKE_FULL)] == [by]
    await running.gateway.revoke(user="user1")
    for number in range(2):
        again = await running.client()
        await ask(again, "auth", token=running.token(f"user{number}"))
        assert errors(again) == ["Token has been revoked"]


async def test_nothing_or_too_much_to_revoke(running: RunningGateway) -> None:
    """A revocation names exactly one thing."""
    with pytest.raises(ValueError, match="exactly one"):
        await running.gateway.revoke()
    with pytest.raises(ValueError, match="exactly one"):
        await running.gateway.revoke(user="ann", jti="j1")


async def test_disconnect(running: RunningGateway) -> None:
    """The backend ends a user's connections, or one of them, without revoking anything."""
    tabs = [await running.client("ann") for _ in range(2)]
    await running.gateway.disconnect("ann", session_of(tabs[0]).id)
    assert [tab.closed for tab in tabs] == [(3503, "force disconnect"), None]
    await running.gateway.disconnect("ann")
    assert tabs[1].closed == (3503, "force disconnect")
    await running.client("ann")


# -- races of a slow store


REVOKED = Revocation(RevocationKind.SUBJECT, "ann", at=4e9, until=5e9)


async def change_beside(engine: SlowEngine) -> None:
    """Change Ann's roles as another node would: the store at once, the news over the bus."""
    await stores(engine.inner).directory.set_roles("ann", frozenset({"new"}))
    await engine.inner.streams.publish_control(RightsChanged(user="ann"))


async def revoke_beside(running: RunningGateway, engine: SlowEngine) -> None:
    """Revoke a user as another node would: the store at once, the news over the bus."""
    await stores(engine.inner).revocations.add(REVOKED)
    await engine.inner.streams.publish_control(Revoked(revocation=REVOKED))


@pytest.mark.parametrize("way", ["message", "header", "ticket", "resume"])
@pytest.mark.parametrize("moment", range(14))
async def test_revoked_in_between(slow: Slow, way: str, moment: int) -> None:
    """Whenever a revocation falls into an authentication, the session does not live on."""
    running, engine = slow
    token = running.token("ann")
    ticket, session = "", ""
    if way == "ticket":
        making = asyncio.ensure_future(running.gateway.ticket(token))
        await engine.run()
        ticket = await making
    if way == "resume":
        first = await connect(running.gateway)
        first.send({"type": "auth", "data": {"token": token}})
        await engine.run()
        session = first.last("auth_success")["wsToken"]
        session_of(first).resume_id = None
        first.leave()
        await engine.run()
    data = {"wsToken": session} if way == "resume" else {"token": token}
    query = {"message": "/rooms", "header": "/rooms", "resume": "/rooms"}.get(
        way, f"/rooms?ticket={ticket}"
    )
    headers = {"authorization": f"Bearer {token}"} if way == "header" else {}
    arrival = asyncio.ensure_future(connect(running.gateway, query, **headers))
    await engine.run(0)
    if way in {"message", "resume"}:
        client = await arrival
        client.send({"type": "auth", "data": data})
    await engine.run(moment)
    await revoke_beside(running, engine)
    await engine.run()
    if arrival.done() and isinstance(arrival.exception(), HandshakeRejected):
        assert running.inside() == (0, 0, 0)
        return
    client = await arrival
    await engine.run()
    if client.open:
        assert errors(client) == ["Token has been revoked"]
        assert running.gateway.connections("ann") == []
    else:
        assert client.closed == (3503, "force disconnect")
    client.leave()
    await engine.run()
    assert running.inside() == (0, 0, 0)


@pytest.mark.parametrize("moment", range(14))
async def test_session_revoked_while_it_is_resumed(slow: Slow, moment: int) -> None:
    """A session revoked by its own id while it is come back to does not live on."""
    running, engine = slow
    first = await arrive(running, engine, "ann")
    identifier = session_of(first).resume_id
    assert identifier is not None
    [kept] = await engine.inner.kv.records((Key(f"ws_session:{identifier}"),), ("record",))
    session_token = running.gateway.node.resumable._token(
        msgspec.json.decode(kept["record"], type=SessionRecord)
    )
    client = await connect(running.gateway)
    client.send({"type": "auth", "data": {"wsToken": session_token}})
    await engine.run(moment)
    revoking = asyncio.ensure_future(running.gateway.revoke(session=identifier))
    await engine.run()
    await revoking
    assert first.closed == (3503, "force disconnect")
    assert not client.open or errors(client) != []
    assert running.gateway.connections("ann") == []


@pytest.mark.parametrize("moment", range(14))
async def test_roles_changed_in_between(slow: Slow, moment: int) -> None:
    """Whenever the directory changes during an authentication, the session has the roles of now."""
    running, engine = slow
    await stores(engine.inner).directory.set_roles("ann", frozenset({"old"}))
    client = await connect(running.gateway)
    client.send({"type": "auth", "data": {"token": running.token("ann")}})
    await engine.run(moment)
    await change_beside(engine)
    await engine.run()
    identity = session_of(client).identity
    assert identity is not None
    assert identity.roles == {"user", "new"}


@pytest.mark.parametrize("moment", range(12))
async def test_roles_changed_during_a_refresh(slow: Slow, moment: int) -> None:
    """Whenever the directory changes during a refresh, the session has the roles of now."""
    running, engine = slow
    await stores(engine.inner).directory.set_roles("ann", frozenset({"old"}))
    client = await arrive(running, engine, "ann")
    client.send({"type": "refresh", "data": {"token": running.token("ann", roles=["other"])}})
    await engine.run(moment)
    await change_beside(engine)
    await engine.run()
    identity = session_of(client).identity
    assert identity is not None
    assert identity.roles == {"other", "new"}


async def test_session_that_ends_while_it_authenticates(slow: Slow) -> None:
    """A client that leaves at any moment of its authentication leaves nothing behind."""
    running, engine = slow
    for moment in range(14):
        client = await connect(running.gateway)
        client.send({"type": "auth", "data": {"token": running.token("ann")}})
        await engine.run(moment)
        client.leave(None)
        await engine.run()
        assert running.inside() == (0, 0, 0)
        assert running.gateway.connections("ann") == []
    assert running.events(Event.INTERNAL_ERROR) == 0


async def test_session_that_ends_while_it_refreshes(slow: Slow) -> None:
    """A client that leaves at any moment of a refresh causes no error."""
    running, engine = slow
    for moment in range(12):
        client = await arrive(running, engine, "ann")
        client.send({"type": "refresh", "data": {"token": running.token("ann")}})
        await engine.run(moment)
        client.leave(None)
        await engine.run()
    assert running.events(Event.INTERNAL_ERROR) == 0
    assert running.inside() == (0, 0, 0)


async def test_newer_change_wins(slow: Slow) -> None:
    """Of two changes of the directory that overtake each other the later one holds."""
    running, engine = slow
    client = await arrive(running, engine, "ann")
    session = session_of(client)
    binding = running.gateway.node.binding
    first = asyncio.ensure_future(binding.refresh_roles(session))
    await engine.run(1)
    early = engine.answers.popleft()
    second = asyncio.ensure_future(binding.refresh_roles(session))
    await stores(engine.inner).directory.set_roles("ann", frozenset({"new"}))
    await engine.run()
    await second
    assert not any(early.outcome)
    early.answer()
    await engine.run()
    await first
    assert session.identity is not None
    assert session.identity.roles == {"user", "new"}


# -- a store that is away


@pytest.mark.parametrize(
    "fails", ["kv.records revoked", "kv.names user_roles", "kv.update ws_session"], ids=str
)
async def test_store_away_while_authenticating(slow: Slow, fails: str) -> None:
    """With the store away nobody gets in: not by being half authenticated either."""
    running, engine = slow
    engine.fails = {fails}
    client = await connect(running.gateway)
    client.send({"type": "auth", "data": {"token": running.token("ann")}, "id": "a"})
    await engine.run()
    assert client.all("auth_success") == []
    if client.open:
        assert client.last("error")["message"] == "Temporarily unavailable"
    else:
        assert client.closed == (1011, "")
    engine.fails.clear()


async def test_unreachable_store_is_counted(slow: Slow) -> None:
    """A credential that cannot be judged is counted and logged as such."""
    running, engine = slow
    engine.fails = {"kv.records revoked"}
    client = await connect(running.gateway)
    client.send({"type": "auth", "data": {"token": running.token("ann")}})
    await engine.run()
    assert errors(client) == ["Temporarily unavailable"]
    assert running.count("auth_total", endpoint="rooms", result="unavailable") == 1
    assert running.events(Event.AUTH_UNAVAILABLE) == 1
    engine.fails.clear()
    client.send({"type": "auth", "data": {"token": running.token("ann")}})
    await engine.run()
    assert client.last("auth_success")


async def test_store_lost_after_registration(slow: Slow) -> None:
    """A session whose second look at the revocations fails is closed, with leave to come back."""
    running, engine = slow
    client = await connect(running.gateway)
    client.send({"type": "auth", "data": {"token": running.token("ann")}})
    await engine.run(2)
    engine.fails = {"kv.records revoked"}
    await engine.run()
    assert client.closed == (1011, "")
    assert running.gateway.connections("ann") == []
    engine.fails.clear()
    await engine.run()
    assert running.inside() == (0, 0, 0)


@pytest.mark.parametrize("steps", [2, 4, 6])
async def test_store_lost_after_the_handshake(slow: Slow, steps: int) -> None:
    """A credential of the handshake that cannot be judged to the end closes with 1011."""
    running, engine = slow
    headers = {"authorization": f"Bearer {running.token('ann')}"}
    arrival = asyncio.ensure_future(connect(running.gateway, **headers))
    await engine.run(steps)
    engine.fails = {"kv.records revoked", "kv.names user_roles", "kv.update ws_session"}
    await engine.run()
    client = await arrival
    assert client.closed == (1011, "")
    engine.fails.clear()
    await engine.run()
    assert running.inside() == (0, 0, 0)


async def test_refresh_with_the_store_away_changes_nothing(slow: Slow) -> None:
    """A refresh that cannot be judged leaves the token and the roles in force."""
    running, engine = slow
    client = await arrive(running, engine, "ann", roles=["old"])
    before = session_of(client).claims, session_of(client).identity
    engine.fails = {"kv.names user_roles"}
    client.send({"type": "refresh", "data": {"token": running.token("ann", roles=["new"])}})
    await engine.run()
    assert errors(client) == ["Temporarily unavailable"]
    assert (session_of(client).claims, session_of(client).identity) == before
    engine.fails.clear()


async def test_error_nobody_expected_after_the_handshake(running: RunningGateway) -> None:
    """A defect while a session is bound closes that connection, is recorded, and harms nobody."""
    ann = await running.client("ann")
    directory = running.gateway.node.context.stores.directory

    async def broken(user: str) -> None:
        raise RuntimeError(user)

    rights, directory.rights = directory.rights, broken  # type: ignore[method-assign, assignment]  # a defect
    client = await connect(running.gateway, authorization=f"Bearer {running.token('eve')}")
    directory.rights = rights  # type: ignore[method-assign]  # mended
    assert client.closed == (1011, "")
    assert running.events(Event.INTERNAL_ERROR) == 1
    await ask(ann, "heartbeat")
    assert kinds(ann)[-1] == "heartbeat_response"


# -- caps per user


async def test_too_many_connections_of_a_user() -> None:
    """Over the cap of a user a connection is closed with 3504, and others of the user stay."""
    async with run_gateway(settings(rooms=HEADER, gate=GateSettings(max_per_user=2))) as running:
        tabs = [await running.client("ann") for _ in range(2)]
        third = await running.client()
        await ask(third, "auth", token=running.token("ann"))
        assert third.closed == (3504, "connection limit")
        assert running.events(Event.CONN_LIMIT) == 1
        assert (
            await running.refusal(authorization=f"Bearer {running.token('ann')}")
            is HandshakeRejection.USER_CAP
        )
        tabs[0].leave()
        await settle()
        await running.client("ann")
        assert running.gateway.node.registry.users() == 1


async def test_cap_of_a_user_between_handshake_and_registration() -> None:
    """Two handshakes of one user that were both let in do not both get the last place."""
    async with run_gateway(settings(rooms=HEADER, gate=GateSettings(max_per_user=1))) as running:
        gate = RoutedGate(running.gateway.node)
        head = request(authorization=f"Bearer {running.token('ann')}")
        entries = [await gate.admit(head) for _ in range(2)]
        clients = [MemoryClient() for _ in entries]
        for entry, client in zip(entries, clients, strict=True):
            client.attach(entry.open(client))
        await settle()
        assert [client.closed for client in clients] == [None, (3504, "connection limit")]
        assert running.inside() == (1, 0, 1)


async def test_one_user_takes_few_places_of_an_endpoint() -> None:
    """By default twenty of one user, from however many addresses; another endpoint counts apart."""
    given = settings(rooms=HEADER, echo={"enabled": True, "credentials": CREDENTIALS})
    async with run_gateway(given) as running:
        header = {"authorization": f"Bearer {running.token('ann')}"}
        tabs = [
            await connect(running.gateway, peer=f"10.0.{number % 2}.1", **header)
            for number in range(20)
        ]
        assert await running.refusal(peer="10.0.2.1", **header) is HandshakeRejection.USER_CAP
        late = await running.client(peer="10.0.3.1")
        await ask(late, "auth", token=running.token("ann"))
        assert late.closed == (3504, "connection limit")
        await connect(running.gateway, "/echo", **header)
        await running.client("bob", peer="10.0.0.1")
        tabs[0].leave()
        await settle()
        await connect(running.gateway, peer="10.0.2.1", **header)


@pytest.mark.parametrize("auth", list(AuthMode))
async def test_anonymous_is_not_one_user(auth: AuthMode) -> None:
    """Guests have no limit in common, whether nobody proves anything or their issuer calls them so."""
    given = settings(rooms={**HEADER, "auth": auth}, gate=GateSettings(max_per_user=2))
    async with run_gateway(given) as running:
        header = {"authorization": f"Bearer {running.token('anonymous')}"}
        guests = [await connect(running.gateway, **header) for _ in range(5)]
        assert {client.closed for client in guests} == {None}
        assert {session_of(client).user for client in guests} == {"anonymous"}


# -- roles an endpoint wants


STAFF = {**HEADER, "roles": ("staff", "boss")}


async def test_endpoint_for_some_roles() -> None:
    """Where an endpoint wants a role, who has none of them is sent away, before or after the 101."""
    async with run_gateway(settings(rooms=STAFF)) as running:
        eve = await running.client()
        await ask(eve, "auth", token=running.token("eve"))
        assert eve.closed == (3507, "permission denied")
        assert kinds(eve) == ["handshake"]
        header = f"Bearer {running.token('eve')}"
        assert await running.refusal(authorization=header) is HandshakeRejection.FORBIDDEN
        await running.client("ann", roles=["boss"])
        await connect(
            running.gateway, authorization=f"Bearer {running.token('ann', roles=['staff'])}"
        )
        await running.gateway.set_roles("bob", ["staff"])
        await connect(running.gateway, authorization=f"Bearer {running.token('bob')}")
        await running.client("bob")
        assert running.inside() == (4, 0, 4)


async def test_endpoint_is_lost_with_the_role() -> None:
    """Who loses the last role an endpoint wants is closed, whether by directory or by refresh."""
    async with run_gateway(settings(rooms=STAFF)) as running:
        await running.gateway.set_roles("ann", ["staff"])
        ann, bob = await running.client("ann"), await running.client("bob", roles=["staff"])
        await running.gateway.set_roles("ann", ["user"])
        assert ann.closed == (3507, "permission denied")
        await ask(bob, "refresh", token=running.token("bob", roles=["user"]))
        assert bob.closed == (3507, "permission denied")
        assert bob.all("refresh_success") == []
        await settle()
        assert running.inside() == (0, 0, 0)
        assert running.closes("permission_lost") == 2


async def test_hooks_are_not_asked_about_who_may_not() -> None:
    """A connect hook is not bothered with somebody the endpoint does not want."""
    asked = []
    async with run_gateway(settings(rooms=STAFF)) as running:

        @running.gateway.on_connect
        async def note(connection: ConnectionInfo) -> None:
            asked.append(connection.user)

        eve = await running.client()
        await ask(eve, "auth", token=running.token("eve"))
        await running.client("ann", roles=["staff"])
        assert asked == ["ann"]


async def test_entitlement_that_cannot_be_judged() -> None:
    """When the directory is away the answer to a handshake is to come again."""
    async with slow_gateway(settings(rooms=STAFF)) as (running, engine):
        engine.fails = {"kv.names user_roles"}
        task = asyncio.ensure_future(running.refusal(f"/rooms?token={running.token('ann')}"))
        await engine.run()
        assert await task is HandshakeRejection.UNAVAILABLE
        assert running.inside() == (0, 0, 0)


# -- storms


async def test_storm_of_authentications() -> None:
    """All together may authenticate so fast; above it they are asked to try again in a moment."""
    given = settings(rooms={"limits": FREE}, gate=GateSettings(accept_rate=Rate(3, 1.0, 3)))
    async with run_gateway(given) as running:
        clients = []
        for number in range(4):
            clients.append(await running.client(peer=f"10.0.0.{number}"))
            await running.advance(1)
        for client in clients:
            await ask(client, "auth", token=running.token("ann"))
        assert [bool(client.all("auth_success")) for client in clients] == [True] * 3 + [False]
        refused = clients[3].last("error")
        assert refused["code"] == "auth_rate_limited"
        assert running.count("auth_total", endpoint="rooms", result="limited") == 1
        await running.advance(refused["retryAfterMs"] / 1000)
        await running.authenticate(clients[3], "ann")


async def test_binding_twice(running: RunningGateway) -> None:
    """A session that is bound, or over, is not bound again."""
    ann = session_of(await running.client("ann"))
    assert ann.claims is not None
    with pytest.raises(CommandError) as caught:
        await running.gateway.node.binding.bind(ann, ann.claims)
    assert caught.value.kind is ErrorKind.NOT_AUTHENTICATED


# -- tickets


async def test_ticket_is_good_once(running: RunningGateway) -> None:
    """A ticket lets its owner in once, and only within its minute."""
    tickets = [await running.gateway.ticket(running.token("ann")) for _ in range(2)]
    client = await connect(running.gateway, f"/rooms?ticket={tickets[0]}")
    assert client.last("auth_success")["user"]["userId"] == "ann"
    assert (
        await running.refusal(f"/rooms?ticket={tickets[0]}") is HandshakeRejection.UNAUTHENTICATED
    )
    await running.advance(61)
    assert (
        await running.refusal(f"/rooms?ticket={tickets[1]}") is HandshakeRejection.UNAUTHENTICATED
    )


async def test_many_redemptions_at_once(slow: Slow) -> None:
    """Of a hundred who present one ticket at once, one gets in."""
    running, engine = slow
    making = asyncio.ensure_future(running.gateway.ticket(running.token("ann")))
    await engine.run()
    path = f"/rooms?ticket={await making}"
    arrivals = [
        asyncio.ensure_future(connect(running.gateway, path, peer=f"10.0.{n}.1"))
        for n in range(100)
    ]
    await engine.run()
    outcomes = await asyncio.gather(*arrivals, return_exceptions=True)
    assert sum(isinstance(outcome, HandshakeRejected) for outcome in outcomes) == 99
    assert running.inside() == (1, 0, 1)


async def test_ticket_of_a_bad_token(running: RunningGateway) -> None:
    """A token that is refused gives no ticket."""
    with pytest.raises(CommandError) as caught:
        await running.gateway.ticket("x")
    assert caught.value.kind is ErrorKind.AUTHENTICATION_FAILED


async def test_ticket_does_not_outlive_its_token(running: RunningGateway) -> None:
    """A ticket whose token has run out meanwhile is worth nothing."""
    ticket = await running.gateway.ticket(running.token("ann", ttl=1))
    await running.advance(32)
    assert await running.refusal(f"/rooms?ticket={ticket}") is HandshakeRejection.UNAUTHENTICATED


async def test_store_away_while_others_revocations_are_asked(slow: Slow) -> None:
    """A token is refused for now when nobody can say whether another application took it back."""
    running, engine = slow
    engine.fails = {"kv.exists revoked_token"}
    client = await connect(running.gateway)
    client.send({"type": "auth", "data": {"token": running.token("ann")}})
    await engine.run()
    assert errors(client) == ["Temporarily unavailable"]
    assert running.count("auth_total", endpoint="rooms", result="unavailable") == 1
    headers = {"authorization": f"Bearer {running.token('ann')}"}
    arrival = asyncio.ensure_future(connect(running.gateway, **headers))
    await engine.run()
    with pytest.raises(HandshakeRejected) as refused:
        await arrival
    assert refused.value.refusal is HandshakeRejection.UNAVAILABLE
    engine.fails.clear()


# -- revoked by another application


@pytest.fixture
async def elsewhere() -> AsyncIterator[tuple[RunningGateway, set[str]]]:
    """A gateway on a store in which another application revokes tokens, and the tokens it revoked."""
    clock = FakeClock()
    engine = MemoryEngine(clock)
    engine.exclusive = False
    revoked: set[str] = set()

    async def exists(key: Key) -> bool:
        return key.external and key.name.removeprefix("revoked_token:") in revoked

    engine.kv.exists = exists  # type: ignore[method-assign]  # a store with another application
    given = settings(rooms={"credentials": CREDENTIALS})
    async with run_gateway(given, engine=engine, clock=clock) as running:
        yield running, revoked


async def test_a_token_revoked_elsewhere(elsewhere: tuple[RunningGateway, set[str]]) -> None:
    """It is refused by message, in the handshake, as a refresh, and in exchange for a ticket."""
    running, revoked = elsewhere
    good, bad = running.token("ann"), running.token("ann")
    revoked.add(bad)
    client = await running.client()
    await ask(client, "auth", token=bad)
    assert client.last("error")["code"] == "token_revoked"
    assert running.count("auth_total", endpoint="rooms", result="revoked") == 1
    await ask(client, "auth", token=good)
    assert client.last("auth_success")["user"]["userId"] == "ann"
    await ask(client, "refresh", token=bad)
    assert client.last("error")["code"] == "token_revoked"
    assert client.open
    refusal = await running.refusal(authorization=f"Bearer {bad}")
    assert refusal is HandshakeRejection.UNAUTHENTICATED
    with pytest.raises(CommandError) as fault:
        await running.gateway.ticket(bad)
    assert fault.value.kind is ErrorKind.TOKEN_REVOKED
    assert not any(bad in str(entry.fields) for entry in running.audited(Event.AUTH_FAIL))


async def test_a_session_token_outlives_what_others_revoke(
    elsewhere: tuple[RunningGateway, set[str]],
) -> None:
    """Who comes back with a session token shows no token that could be asked about."""
    running, revoked = elsewhere
    client = await running.client()
    token = await running.authenticate(client, "ann")
    session = client.last("auth_success")["wsToken"]
    revoked.add(token)
    again = await running.client()
    await ask(again, "auth", wsToken=session)
    assert again.last("auth_success")["resumed"] is True
