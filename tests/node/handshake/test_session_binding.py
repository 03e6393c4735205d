"""What a session's further requests have to show, at the gate itself."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from msgspec.structs import replace

from portward.model.handshake_errors import HandshakeRejected, HandshakeRejection
from portward.model.limits import LimitMode
from portward.model.request import RequestHead
from portward.node.handshake import AdmittedHandshake
from portward.settings import Settings
from portward.settings.endpoint import AuthMode, CredentialSource, EndpointSettings, TransportKind
from portward.settings.limits import ConnectionLimit, Limits
from portward.settings.presets import ENDPOINTS
from portward.settings.sections import GateSettings
from portward.telemetry.events import Event
from portward.testing import MemoryClient
from portward.testing.gateway import request
from tests.running_gateway import RoutedGate, RunningGateway, run_gateway, settle

PATH = "/engine.io/"
ECHO = EndpointSettings(
    path=PATH,
    dialect="echo",
    transport=TransportKind.ENGINE_IO,
    credentials=(CredentialSource.HEADER, CredentialSource.MESSAGE),
)


def engine(**changes: object) -> Settings:
    """The default settings and an endpoint whose sessions come in several requests."""
    return Settings(endpoints={**ENDPOINTS, "engine": replace(ECHO, **changes)})


@pytest.fixture
async def running() -> AsyncIterator[RunningGateway]:
    """A gateway with such an endpoint."""
    async with run_gateway(engine()) as opened:
        yield opened


def ask(**more: str) -> RequestHead:
    """A request."""
    return request(PATH, **more)


def bearer(running: RunningGateway, user: str, **claims: Any) -> str:
    """Somebody's own token, as a header."""
    return f"Bearer {running.token(user, **claims)}"


async def enter(running: RunningGateway, head: RequestHead) -> AdmittedHandshake:
    """A session and how it came in."""
    entry = await RoutedGate(running.gateway.node).admit(head, upgrade_checked=True)
    client = MemoryClient()
    client.attach(entry.open(client))
    await settle()
    return entry


async def judged(
    running: RunningGateway, entry: AdmittedHandshake, head: RequestHead
) -> HandshakeRejection | None:
    """What a further request is answered."""
    try:
        await RoutedGate(running.gateway.node).verify_followup(head, entry)
    except HandshakeRejected as refused:
        return refused.refusal
    return None


async def test_a_session_that_is_not_proven_yet(running: RunningGateway) -> None:
    """Before it is known who somebody is, only the credential of the first request may come."""
    entry = await enter(running, ask())
    assert await judged(running, entry, ask()) is None
    foreign = ask(authorization=bearer(running, "ann"))
    assert await judged(running, entry, foreign) is HandshakeRejection.FORBIDDEN
    assert running.events(Event.SESSION_FOREIGN) == 1


async def test_tries_are_counted(running: RunningGateway) -> None:
    """Tokens that are not valid count against the address, and are not even looked at at last."""
    entry = await enter(running, ask(authorization=bearer(running, "ann")))
    outcomes = [
        await judged(running, entry, ask(authorization=f"Bearer x{number}")) for number in range(11)
    ]
    assert outcomes == [HandshakeRejection.FORBIDDEN] * 10 + [HandshakeRejection.RATE]


async def test_a_newer_token_is_looked_at_once(running: RunningGateway) -> None:
    """A token that has proven the subject once is the one that counts from then on."""
    entry = await enter(running, ask(authorization=bearer(running, "ann")))
    newer = ask(authorization=bearer(running, "ann"))
    assert await judged(running, entry, newer) is None
    assert entry.binding is not None
    proof = entry.binding.proof
    assert await judged(running, entry, newer) is None
    assert entry.binding.proof == proof


@pytest.mark.parametrize("other", [{"workspaceId": "w2"}, {"iss": "https://other.example"}, {}])
async def test_the_same_name_elsewhere(running: RunningGateway, other: dict[str, str]) -> None:
    """A subject is the same one in its own workspace, by its own issuer, as when a token is renewed."""
    here = {"workspaceId": "w1", "iss": "https://issuer.example"}
    entry = await enter(running, ask(authorization=bearer(running, "ann", **here)))
    again = ask(authorization=bearer(running, "ann", **here))
    assert await judged(running, entry, again) is None
    elsewhere = (here | other) if other else {}
    foreign = ask(authorization=bearer(running, "ann", **elsewhere))
    assert await judged(running, entry, foreign) is HandshakeRejection.FORBIDDEN
    assert await judged(running, entry, again) is None
    assert running.events(Event.SESSION_FOREIGN) == 1


async def test_a_header_has_to_come_again(running: RunningGateway) -> None:
    """Who came with a header shows it with every poll and post; a WebSocket of a page cannot."""
    token = bearer(running, "ann")
    entry = await enter(running, ask(authorization=token))
    polling = replace(ask(), query="EIO=4&transport=polling&sid=x")
    login = ask(authorization="Basic eDp5")
    for bare in (ask(), polling, replace(polling, method="POST"), ask(authorization=""), login):
        assert await judged(running, entry, bare) is HandshakeRejection.FORBIDDEN
    assert running.events(Event.SESSION_FOREIGN) == 5
    socket = "EIO=4&transport=websocket&sid=x"
    assert await judged(running, entry, replace(ask(), query=socket)) is None
    shown = replace(ask(authorization=bearer(running, "bob")), query=socket)
    assert await judged(running, entry, shown) is HandshakeRejection.FORBIDDEN
    assert await judged(running, entry, ask(authorization=token)) is None


async def test_a_login_of_a_proxy_comes_with_every_request(running: RunningGateway) -> None:
    """Who proves itself by message may show a proxy's login with every request, and may leave it out."""
    login = ask(authorization="Basic eDp5")
    entry = await enter(running, login)
    assert entry.binding is not None
    for further in (login, ask(), ask(authorization="Negotiate x")):
        assert await judged(running, entry, further) is None
    await running.gateway.node.authentication.apply_token(
        entry.binding.session, running.token("ann")
    )
    assert await judged(running, entry, login) is None
    assert running.events(Event.SESSION_FOREIGN) == 0


async def test_a_header_that_came_later(running: RunningGateway) -> None:
    """Who proved itself by message may show a header of its own, and need not again."""
    entry = await enter(running, ask())
    assert entry.binding is not None
    await running.gateway.node.authentication.apply_token(
        entry.binding.session, running.token("ann")
    )
    assert await judged(running, entry, ask(authorization=bearer(running, "ann"))) is None
    assert await judged(running, entry, ask()) is None


async def test_where_nobody_proves_anything() -> None:
    """Without authentication a header means nothing."""
    async with run_gateway(engine(auth=AuthMode.NONE)) as running:
        entry = await enter(running, ask())
        assert await judged(running, entry, ask(authorization="Bearer x")) is None
        shown = await enter(running, ask(authorization="Bearer x"))
        assert await judged(running, shown, ask()) is None


async def test_draining(running: RunningGateway) -> None:
    """Those who are inside may go on while newcomers are turned away."""
    entry = await enter(running, ask())
    running.gateway.node.admission_control.draining = True
    assert await judged(running, entry, ask()) is None
    with pytest.raises(HandshakeRejected):
        await enter(running, ask())


async def test_https() -> None:
    """Every request has to come over TLS where that is wanted."""
    async with run_gateway(engine()) as running:
        admission_control = running.gateway.node.admission_control
        entry = await enter(running, ask())
        admission_control._require_https = True
        assert await judged(running, entry, ask()) is HandshakeRejection.INSECURE
        assert await judged(running, entry, replace(ask(), secure=True)) is None


async def test_a_session_of_one_request(running: RunningGateway) -> None:
    """A connection that is a socket has no further requests."""
    entry = await enter(running, request())
    assert await judged(running, entry, request()) is HandshakeRejection.FORBIDDEN


# -- credentials that are looked at later


def deferred(**connections: object) -> Settings:
    """An endpoint whose protocol presents the credentials."""
    limits = Limits(connections=ConnectionLimit(**({"max": 2} | connections)))  # type: ignore[arg-type]  # a test's own
    return Settings(endpoints={**ENDPOINTS, "workspaces": replace(_SOCKETS, limits=limits)})


_SOCKETS = replace(ENDPOINTS["workspaces"], path=PATH)


async def test_a_token_is_kept_for_later() -> None:
    """The header's token is neither judged nor shown; its owner is nobody yet."""
    async with run_gateway(deferred()) as running:
        gate = RoutedGate(running.gateway.node)
        entry = await gate.admit(ask(authorization="Bearer not.a.token"), upgrade_checked=True)
        handshake = entry._handshake
        assert (handshake.bearer, handshake.identity) == ("not.a.token", None)
        assert "not.a.token" not in repr(handshake)
        entry.cancel()
        bare = await gate.admit(ask(), upgrade_checked=True)
        assert bare._handshake.bearer == ""
        bare.cancel()
        assert running.inside() == (0, 0, 0)


async def test_a_token_that_is_kept_has_to_come_again() -> None:
    """The header of a session that has not connected yet is demanded, whoever it proves."""
    async with run_gateway(deferred()) as running:
        entry = await enter(running, ask(authorization="Bearer not.a.token"))
        assert await judged(running, entry, ask()) is HandshakeRejection.FORBIDDEN
        assert await judged(running, entry, ask(authorization="Bearer not.a.token")) is None


async def test_a_crowd_is_let_in_to_be_told() -> None:
    """Up to twice the cap of an address come in marked; more are refused."""
    async with run_gateway(deferred()) as running:
        gate = RoutedGate(running.gateway.node)
        entries = [await gate.admit(ask(), upgrade_checked=True) for _ in range(4)]
        assert [each._handshake.over_cap for each in entries] == [False, False, True, True]
        with pytest.raises(HandshakeRejected) as refused:
            await gate.admit(ask(), upgrade_checked=True)
        assert refused.value.refusal is HandshakeRejection.ADDRESS_CAP
        other = await gate.admit(request(PATH, peer="10.0.0.9"))
        assert not other._handshake.over_cap
        for entry in (*entries, other):
            entry.cancel()
        assert running.inside() == (0, 0, 0)
        assert len(running.gateway.node.admission_control._by_address) == 0


async def test_a_crowd_that_is_only_watched() -> None:
    """Where the cap only observes nobody is marked."""
    async with run_gateway(deferred(mode=LimitMode.OBSERVE)) as running:
        gate = RoutedGate(running.gateway.node)
        entries = [await gate.admit(ask(), upgrade_checked=True) for _ in range(5)]
        assert not any(each._handshake.over_cap for each in entries)
        for entry in entries:
            entry.cancel()
        assert len(running.gateway.node.admission_control._by_address) == 0


async def test_the_cap_of_those_who_have_proven_nothing() -> None:
    """Kept tokens prove nothing: their owners count with the others."""
    given = replace(deferred(), gate=GateSettings(max_unauthenticated=1))
    async with run_gateway(given) as running:
        gate = RoutedGate(running.gateway.node)
        running.gateway.node.admission_control.pending.sessions = 1
        with pytest.raises(HandshakeRejected) as refused:
            await gate.admit(ask(authorization="Bearer x"), upgrade_checked=True)
        assert refused.value.refusal is HandshakeRejection.UNAUTHENTICATED_CAP
        running.gateway.node.admission_control.pending.sessions = 0
