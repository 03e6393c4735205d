"""The gateway as a library object."""

import asyncio
import json
import re
from io import StringIO
from typing import Any

import pytest
from msgspec.structs import replace

from portward.app.gateway import Gateway
from portward.app.judging import parse_origin_entry
from portward.engines.memory import MemoryEngine
from portward.engines.port import EngineEvents, EngineUnavailable
from portward.model.channel import Channel
from portward.model.handshake_errors import HandshakeRejection
from portward.model.limits import LimitMode, Rate
from portward.node.sessions.clock import LoopClock
from portward.settings import Secret, Settings, SettingsError
from portward.settings.endpoint import AuthMode
from portward.settings.limits import Limits, RateLimit
from portward.settings.operation import LogFormat, LogSettings
from portward.settings.sections import EngineSettings, GateSettings
from portward.settings.tokens import Claims, Tokens
from portward.telemetry.events import Event
from portward.telemetry.telemetry import insecure, make_telemetry
from portward.testing import FakeClock, connect, memory_gateway
from tests.reload.issuer import issuer_key
from tests.running_gateway import (
    CREDENTIALS,
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
from tests.slow_engine import SlowEngine

SECRET = "Kq3vT9xw2LmZ7sRb5nYc8dHf1gJp4uXa"
OTHER = "Wd8nQ2yhT6kVc4mXr9sLb3jFz7pGa5eU"


def with_secrets(given: Settings, *secrets: str, **more: object) -> Settings:
    """The same settings with other secrets for tokens."""
    kept = tuple(Secret(secret) for secret in secrets)
    return replace(given, tokens=replace(given.tokens, secrets=kept, **more))


# -- life


async def test_what_does_not_run_cannot_be_asked() -> None:
    """Before it is entered and after it was left a gateway says that it is not running."""
    gateway = Gateway(settings())
    with pytest.raises(RuntimeError, match="not running"):
        _ = gateway.node
    with pytest.raises(RuntimeError, match="not running"):
        gateway.reload(settings())
    with pytest.raises(RuntimeError, match="not running"):
        await gateway.rooms.get("lobby")
    async with gateway:
        assert gateway.node.registry.users() == 0
    with pytest.raises(RuntimeError, match="not running"):
        await gateway.publish("rooms:a", 1)
    await gateway.stop()


async def test_started_once() -> None:
    """A gateway is entered once."""
    async with memory_gateway() as gateway:
        with pytest.raises(RuntimeError, match="once"):
            await gateway.start()


async def test_real_time() -> None:
    """Without a clock of its own a gateway goes by the time of the loop."""
    async with Gateway(settings()) as gateway:
        assert isinstance(gateway.node.clock, LoopClock)
        client = await connect(gateway)
        await ask(client, "auth", token=gateway.token("ann"))
        assert kinds(client) == ["handshake", "auth_success"]


async def test_stopping_ends_everyone() -> None:
    """Who is connected when a gateway is left is closed, and nothing goes on ticking."""
    async with run_gateway() as running:
        clients = [await running.client("ann", "lobby"), await running.client()]
        assert running.clock.pending > 0
    await settle()
    assert [client.closed for client in clients] == [(3001, "shutdown")] * 2
    assert running.clock.pending == 0
    assert running.log.getvalue().count("server.st") == 2


class Broken(MemoryEngine):
    """A store that cannot be reached."""

    async def start(self, sink: EngineEvents) -> None:  # noqa: ARG002 - the port
        """Fail."""
        raise EngineUnavailable


async def test_store_that_cannot_be_reached() -> None:
    """A gateway whose store cannot be reached does not start, and leaves nothing running."""
    clock = FakeClock()
    gateway = Gateway(settings(), clock=clock, engine=Broken(clock))
    with pytest.raises(EngineUnavailable):
        await gateway.start()
    assert clock.pending == 0
    with pytest.raises(RuntimeError, match="not running"):
        _ = gateway.node


async def test_settings_that_cannot_be_served() -> None:
    """Settings that break a rule are refused with the rule's name, and nothing is begun."""
    given = settings(rooms={"namespace": "nowhere"})
    with pytest.raises(SettingsError, match="nowhere"):
        await Gateway(given).start()


async def test_engine_that_is_not_there() -> None:
    """An address of an engine this version does not have is refused."""
    given = settings(engine=EngineSettings(url="abacus://"))
    with pytest.raises(SettingsError, match="engine"):
        await Gateway(given).start()


async def test_cancelled_from_outside() -> None:
    """A program that is cancelled inside the context leaves it properly."""
    clock = FakeClock()
    entered = asyncio.Event()

    async def program() -> None:
        async with memory_gateway(clock=clock) as gateway:
            await connect(gateway)
            entered.set()
            await asyncio.Event().wait()

    task = asyncio.ensure_future(program())
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert clock.pending == 0


# -- tokens


async def test_made_up_secret() -> None:
    """In development a secret is made for the run, another one each time."""
    async with run_gateway() as first, run_gateway() as second:
        client = await second.client()
        await ask(client, "auth", token=first.token("ann"))
        assert errors(client) == ["Authentication failed"]
    assert len(first.gateway.settings.tokens.secrets[0].reveal()) >= 32


async def test_token_says_what_is_wanted() -> None:
    """A token made here carries the issuer and audience that are asked for, and any claim."""
    given = with_secrets(settings(), SECRET, issuer="me", audience="app")
    async with run_gateway(given) as running:
        client = await running.client("ann", email="ann@example.com", workspaceId="w1")
        claims = session_of(client).claims
        assert claims is not None
        assert (claims.issuer, claims.email, claims.workspace) == ("me", "ann@example.com", "w1")
        assert claims.expires_at == running.clock.time() + 3600
        assert claims.token_id


async def test_no_secret_no_token() -> None:
    """Where tokens are verified with public keys none can be made."""
    given = settings(tokens=Tokens(jwks_url="http://127.0.0.1:1/keys"))
    async with run_gateway(given) as running:
        with pytest.raises(RuntimeError, match="issuer"):
            running.gateway.token("ann")


async def test_rotation_of_secrets() -> None:
    """With several secrets all verify, and the first signs."""
    async with run_gateway(with_secrets(settings(), SECRET, OTHER)) as running:
        async with run_gateway(with_secrets(settings(), OTHER)) as old:
            token = old.token("ann")
        client = await running.client()
        await ask(client, "auth", token=token)
        assert kinds(client) == ["handshake", "auth_success"]


# -- reload


async def test_reload_of_secrets() -> None:
    """After a reload tokens of the new secret are good and those of the old are not; sessions stay."""
    async with run_gateway(with_secrets(settings(), SECRET)) as running:
        client = await running.client("ann")
        old = running.token("ann")
        running.gateway.reload(with_secrets(running.gateway.settings, OTHER))
        late = await running.client()
        await ask(late, "auth", token=old)
        assert errors(late) == ["Authentication failed"]
        await running.authenticate(late, "bob")
        await ask(client, "heartbeat")
        assert kinds(client)[-1] == "heartbeat_response"


async def test_reload_of_the_session_secret() -> None:
    """With another session secret, session tokens given out before are good for nothing."""
    given = with_secrets(settings(), SECRET, session_secret=Secret("1" * 16 + OTHER))
    async with run_gateway(given) as running:
        token = (await running.client("ann")).last("auth_success")["wsToken"]
        fresh = with_secrets(given, SECRET, session_secret=Secret("2" * 16 + OTHER))
        running.gateway.reload(fresh)
        client = await running.client()
        await ask(client, "auth", wsToken=token)
        assert errors(client) == ["Authentication failed"]


async def test_reload_of_origins_and_limits() -> None:
    """New origins and limits hold for the next who comes and the next message."""
    async with run_gateway() as running:
        client = await running.client("ann")
        limits = Limits(messages=RateLimit(rate=Rate(1, 60.0, 1), mode=LimitMode.ENFORCE))
        changed = settings(
            rooms={"limits": limits, "allowed_origins": ("https://app.example.com",)}
        )
        running.gateway.reload(changed)
        assert await running.refusal(origin="http://localhost") is HandshakeRejection.ORIGIN
        await connect(running.gateway, origin="https://app.example.com")
        for _ in range(2):
            await ask(client, "heartbeat")
        assert errors(client) == ["Rate limit exceeded"]


@pytest.mark.parametrize(
    "bad",
    [
        {"gate": GateSettings(allowed_origins=("nonsense",))},
        {"tokens": Tokens(public_keys=("nonsense",))},
        {"tokens": Tokens(secrets=(Secret("-----BEGIN PUBLIC KEY-----" + "x" * 40),))},
    ],
    ids=str,
)
async def test_bad_reload_changes_nothing(bad: dict[str, Any]) -> None:
    """Settings that cannot be served are refused, and the old ones stay in force whole."""
    async with run_gateway(with_secrets(settings(), SECRET)) as running:
        before = running.gateway.settings
        changed = settings(rooms={"allowed_origins": ("https://app.example.com",)}, **bad)
        with pytest.raises((SettingsError, ValueError)):
            running.gateway.reload(changed)
        assert running.gateway.settings is before
        await running.client("ann")
        assert await running.refusal(origin="https://app.example.com") is HandshakeRejection.ORIGIN


async def test_reload_without_a_secret_keeps_it() -> None:
    """A development run whose secret was made up keeps it over a reload."""
    async with run_gateway() as running:
        token = running.token("ann")
        running.gateway.reload(settings())
        client = await running.client()
        await ask(client, "auth", token=token)
        assert kinds(client)[-1] == "auth_success"


async def test_reload_from_a_secret_to_public_keys() -> None:
    """In development public keys replace secrets at once: no secret is kept beside them."""
    async with run_gateway(with_secrets(settings(), SECRET)) as running:
        ann = running.token("ann")
        tokens = Tokens(public_keys=(issuer_key("a").pem,))
        running.gateway.reload(replace(running.gateway.settings, tokens=tokens))
        client = await running.client()
        await ask(client, "auth", token=ann)
        assert errors(client) == ["Authentication failed"]
        await ask(
            client, "auth", token=issuer_key("a").token(exp=running.clock.time() + 60, iat=None)
        )
        assert kinds(client)[-1] == "auth_success"


async def test_reload_judges_everyone() -> None:
    """A reload judges those who are authenticated again, and leaves the others alone."""
    async with run_gateway() as running:
        client, stranger = await running.client("ann", "lobby"), await running.client()
        running.gateway.reload(settings())
        await settle()
        await ask(client, "message", roomId="lobby", content="x")
        await running.authenticate(stranger, "bob")
        assert contents(client) == ["x"]
        assert running.events(Event.INTERNAL_ERROR) == 0


async def test_what_needs_a_restart_stays() -> None:
    """What cannot change while running is as it was after a reload."""
    async with run_gateway(settings(rooms={"auth_timeout": 5.0})) as running:
        running.gateway.reload(settings(rooms={"auth_timeout": 500.0}))
        client = await running.client()
        await running.advance(6)
        assert client.closed == (1008, "Authentication timeout")


# -- looking


async def test_connections_and_channels() -> None:
    """The application sees who is connected from where, and which channels are listened to."""
    async with run_gateway(settings(echo={"enabled": True, "auth": AuthMode.NONE})) as running:
        await running.client("ann", "a", "b", peer="192.0.2.77")
        await running.client("bob", "a")
        await running.client()
        await connect(running.gateway, "/echo")
        infos = running.gateway.connections()
        assert [(info.user, info.endpoint) for info in infos] == [
            ("ann", "rooms"),
            ("bob", "rooms"),
            (None, "rooms"),
            ("anonymous", "echo"),
        ]
        assert infos[0].address == "192.0.2.xxx"
        assert infos[0].channels == ("rooms:a", "rooms:b")
        assert running.gateway.channels() == {"rooms:a": 2, "rooms:b": 1}
        assert [info.user for info in running.gateway.connections("bob")] == ["bob"]
        operations = running.gateway.operations
        assert [info.endpoint for info in operations.connections(endpoint="echo")] == ["echo"]
        page = operations.connections(endpoint="rooms", offset=1, limit=1)
        assert [info.user for info in page] == ["bob"]
        assert (operations.count_connections(), operations.count_connections("bob")) == (4, 1)
        assert list(operations.channel_names()) == ["rooms:a", "rooms:b"]
        assert operations.channel_size(Channel.parse("rooms:a")) == 2
        await running.advance(5)
        info = operations.info()
        assert (info.clients, info.users, info.subscriptions, info.channels) == (4, 2, 3, 2)
        assert (info.uptime, len(info.uid)) == (5.0, 16)


# -- the small print


@pytest.mark.parametrize("text", ["https://app.example.com", "https://*.example.com", "*"])
def test_origin_entries(text: str) -> None:
    """What a list of origins may hold is read."""
    assert parse_origin_entry(text)


@pytest.mark.parametrize("text", ["null", "example.com", "https://a/path", "https://a.*.com"])
def test_bad_origin_entries(text: str) -> None:
    """What it may not hold is refused."""
    with pytest.raises(ValueError, match=f"^not an allowed origin: {re.escape(repr(text))}"):
        parse_origin_entry(text)


@pytest.mark.parametrize(
    ("enabled", "mode", "expected"),
    [
        (True, AuthMode.NONE, True),
        (False, AuthMode.NONE, False),
        (True, AuthMode.TOKEN, False),
    ],
)
def test_insecure(enabled: bool, mode: AuthMode, expected: bool) -> None:
    """A gateway with an open endpoint says so in its metrics."""
    given = settings(echo={"enabled": enabled, "auth": mode})
    assert insecure(given) is expected
    telemetry = make_telemetry(given, FakeClock(), StringIO())
    value = telemetry.metrics.registry.get_sample_value("portward_insecure_mode")
    telemetry.close()
    assert value == expected


async def test_events_of_a_life() -> None:
    """The beginning and the end are recorded, each connection, and each way in."""
    async with run_gateway(settings(rooms={"credentials": CREDENTIALS})) as running:
        await running.client("ann")
        await connect(running.gateway, authorization=f"Bearer {running.token('bob')}")
        counted = [Event.SERVER_START, Event.CONN_OPEN, Event.AUTH_OK, Event.CONN_CLOSE]
        assert [running.events(event) for event in counted] == [1, 2, 2, 0]


async def test_over_a_slow_engine() -> None:
    """A gateway may be given an engine, and stops with its calls still on the wire."""
    clock = FakeClock()
    engine = SlowEngine(clock)
    async with run_gateway(engine=engine, clock=clock) as running:
        client = await running.client()
        client.send({"type": "auth", "data": {"token": running.token("ann")}})
        await settle()
        assert running.gateway.node.engine.name == "slow"
        assert engine.waiting
    await settle()
    assert client.closed == (3001, "shutdown")


async def test_two_gateways_do_not_meet() -> None:
    """Two gateways in one process share nothing."""
    async with run_gateway() as first, run_gateway() as second:
        ann = await first.client("ann", "lobby")
        await second.client("ann", "lobby")
        await second.gateway.publish("rooms:lobby", "x")
        await settle()
        assert contents(ann) == []
        assert isinstance(second, RunningGateway)


# -- claims of an issuer


def reading(**tokens: Any) -> Settings:
    """Settings for tokens of another shape, with a log to be read by machines."""
    given = Tokens(secrets=(Secret(SECRET),), **tokens)
    return settings(tokens=given, log=LogSettings(format=LogFormat.JSON))


def logged(running: RunningGateway, event: Event) -> list[dict[str, Any]]:
    """The log lines of an event, once the gateway has stopped."""
    lines = [json.loads(line) for line in running.log.getvalue().splitlines()]
    return [line for line in lines if line["event"] == event]


async def test_roles_at_a_path() -> None:
    """A user has the roles that stand at the configured path of its token."""
    async with run_gateway(reading(claims=Claims(roles="realm_access.roles"))) as running:
        client = await running.client()
        token = running.gateway.token("ann", realm_access={"roles": ["user"]}, roles=["other"])
        await ask(client, "auth", token=token)
        assert client.last("auth_success")["user"]["roles"] == ["user"]
        await ask(client, "join", roomId="lobby")
        assert kinds(client)[-1] == "room_joined"


async def test_a_wrong_claim_is_named_in_the_log() -> None:
    """Why a token is refused is logged with the configured place of the claim, and with nothing of it."""
    async with run_gateway(reading(claims=Claims(roles="realm_access.roles"))) as running:
        client = await running.client()
        for claims in ({"realm_access": "canary"}, {"realm_access": {"roles": 5}}):
            await ask(client, "auth", token=running.gateway.token("ann", **claims))
        assert errors(client) == ["Authentication failed"] * 2
    found = [(line["reason"], line["claim"]) for line in logged(running, Event.AUTH_FAIL)]
    assert found == [("claims", "realm_access.roles")] * 2
    assert "canary" not in running.log.getvalue()


async def test_a_claim_that_never_appears_is_logged_once() -> None:
    """When no token has a configured claim, one line says which; a claim that appeared is not named."""
    claims = Claims(roles="realm_access.roles", workspace="org.id")
    async with run_gateway(reading(claims=claims)) as running:
        for number in range(25):
            client = await running.client(peer=f"10.0.0.{number}")
            await ask(client, "auth", token=running.gateway.token("ann", roles=[], org={"id": "w"}))
    (line,) = logged(running, Event.TOKEN_CLAIM_ABSENT)
    assert (line["claim"], line["count"]) == ("realm_access.roles", 10)


async def test_claims_that_nobody_configured_are_not_missed() -> None:
    """Tokens without claims of the usual names cause no line."""
    async with run_gateway(reading()) as running:
        for number in range(25):
            client = await running.client(peer=f"10.0.0.{number}")
            await ask(client, "auth", token=running.gateway.token("ann"))
    assert logged(running, Event.AUTH_OK)
    assert logged(running, Event.TOKEN_CLAIM_ABSENT) == []


async def test_required_claims_are_in_tokens_made_here() -> None:
    """A token of the gateway has what the settings ask for; one without it is refused by its claim."""
    async with run_gateway(reading(require={"act.use": ("access", "x"), "n": (1,)})) as running:
        client = await running.client()
        await ask(client, "auth", token=running.gateway.token("ann", n=2))
        await ask(client, "auth", token=running.gateway.token("ann"))
        assert kinds(client)[-2:] == ["error", "auth_success"]
    (line,) = logged(running, Event.AUTH_FAIL)
    assert (line["reason"], line["claim"]) == ("required", "n")
