"""The public door, check by check: who is turned away with what, and what is given back."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from msgspec.structs import replace

from portward.model.handshake_errors import HandshakeRejected, HandshakeRejection
from portward.model.limits import LimitMode, Rate
from portward.model.request import RequestHead
from portward.settings import Secret, Settings
from portward.settings.endpoint import AuthMode, CredentialSource
from portward.settings.limits import ConnectionLimit, Limits, RateLimit
from portward.settings.operation import LogFormat, LogSettings
from portward.settings.presets import ENDPOINTS
from portward.settings.sections import Environment, GateSettings, ServerSettings
from portward.settings.tokens import Tokens
from portward.telemetry.events import Event
from portward.testing import MemoryClient, connect
from portward.testing.gateway import request
from tests.running_gateway import (
    CREDENTIALS,
    RoutedGate,
    RunningGateway,
    ask,
    errors,
    kinds,
    run_gateway,
    session_of,
    settings,
    settle,
)
from tests.slow_engine import slow_gateway

pytestmark = pytest.mark.p0

UNLIMITED = RateLimit(rate=Rate(0, 1.0, 1))
FREE = Limits(attempts=UNLIMITED, auth=UNLIMITED)
ANYWHERE = {"limits": FREE, "credentials": CREDENTIALS}


@pytest.fixture
async def running() -> AsyncIterator[RunningGateway]:
    """A gateway that takes credentials from anywhere, and counts no attempts."""
    async with run_gateway(settings(rooms=ANYWHERE)) as running:
        yield running


def altered(head: RequestHead, **changes: str | None) -> RequestHead:
    """A handshake with some headers changed, or taken away by None."""
    names = {name.replace("_", "-"): value for name, value in changes.items()}
    kept = {key: values for key, values in head.headers.items() if key not in names}
    added = {key: [value] for key, value in names.items() if value is not None}
    return replace(head, headers=kept | added)


async def judged(running: RunningGateway, head: RequestHead) -> HandshakeRejection | None:
    """The outcome of one handshake; one that is let in is left again."""
    gate = RoutedGate(running.gateway.node)
    try:
        entry = await gate.admit(head)
    except HandshakeRejected as refused:
        gate.refused(head, refused)
        return refused.refusal
    entry.cancel()
    return None


# -- the table, row by row


HEADS: list[tuple[RequestHead, HandshakeRejection | None]] = [
    (request(), None),
    (request("/rooms?x=1&y=%20"), None),
    (request("/nowhere"), HandshakeRejection.UNKNOWN_PATH),
    (request("/rooms/"), None),
    (request("/rooms/?x=1"), None),
    (request("/rooms//"), HandshakeRejection.UNKNOWN_PATH),
    (request("//rooms"), HandshakeRejection.UNKNOWN_PATH),
    (request("//rooms/"), HandshakeRejection.UNKNOWN_PATH),
    (request("/rooms/."), HandshakeRejection.UNKNOWN_PATH),
    (request("/rooms/x"), HandshakeRejection.UNKNOWN_PATH),
    (request("/"), HandshakeRejection.UNKNOWN_PATH),
    (request("//"), HandshakeRejection.UNKNOWN_PATH),
    (request(""), HandshakeRejection.UNKNOWN_PATH),
    (request("/echo/"), HandshakeRejection.UNKNOWN_PATH),
    (request("/socket.io"), None),
    (request("/socket.io/"), None),
    (request("/socket.io//"), HandshakeRejection.UNKNOWN_PATH),
    (request("/ROOMS"), HandshakeRejection.UNKNOWN_PATH),
    (request("/echo"), HandshakeRejection.UNKNOWN_PATH),
    (replace(request(), method="POST"), HandshakeRejection.METHOD),
    (replace(request(), http_version="1.0"), HandshakeRejection.BAD_REQUEST),
    (altered(request(), upgrade=None), HandshakeRejection.BAD_REQUEST),
    (altered(request(), connection="close"), HandshakeRejection.BAD_REQUEST),
    (altered(request(), host=None), HandshakeRejection.BAD_REQUEST),
    (altered(request(), sec_websocket_key="short"), HandshakeRejection.BAD_REQUEST),
    (altered(request(), sec_websocket_key=None), HandshakeRejection.BAD_REQUEST),
    (altered(request(), sec_websocket_version="8"), HandshakeRejection.WRONG_VERSION),
    (altered(request(), content_length="3"), HandshakeRejection.BAD_REQUEST),
    (altered(request(), transfer_encoding="chunked"), HandshakeRejection.BAD_REQUEST),
    (request(origin="http://localhost:3000"), None),
    (request(origin="http://127.0.0.1"), None),
    (request(origin="https://evil.example"), HandshakeRejection.ORIGIN),
    (request(origin="null"), HandshakeRejection.ORIGIN),
    (request("/rooms?%zz"), HandshakeRejection.BAD_REQUEST),
    (request("/rooms?token="), HandshakeRejection.UNAUTHENTICATED),
    (request("/rooms?token=x"), HandshakeRejection.UNAUTHENTICATED),
    (request("/rooms?ticket=x"), HandshakeRejection.UNAUTHENTICATED),
    (request(authorization="Bearer x"), HandshakeRejection.UNAUTHENTICATED),
    (request(authorization="Basic eDp5"), None),
    (request("/rooms?token=x&ticket=x"), HandshakeRejection.MULTIPLE_CREDENTIALS),
    (request("/rooms?token=x&token=x"), HandshakeRejection.MULTIPLE_CREDENTIALS),
    (request("/rooms?token=x", authorization="Bearer x"), HandshakeRejection.MULTIPLE_CREDENTIALS),
    (request("/rooms?ticket=x", authorization="Bearer x"), HandshakeRejection.MULTIPLE_CREDENTIALS),
]


@pytest.mark.parametrize("path", ["/app/k-1", "/app/k-1/"])
async def test_the_parameters_of_a_path_are_facts_of_the_handshake(path: str) -> None:
    """A pattern is served like a path, and the session has the values of its parameters."""
    async with run_gateway(settings(rooms={**ANYWHERE, "path": "/app/{key}"})) as running:
        client = await running.client("ann", "lobby", path=path)
        facts = session_of(client).handshake
        assert facts.path_parameters == (("key", "k-1"),)
        assert facts.url.endswith(path)
        for other in ("/app", "/app/", "/app//", "/app/a%2Fb", "/app/..", "/app/a/b", "/rooms"):
            assert await running.refusal(other) is HandshakeRejection.UNKNOWN_PATH


@pytest.mark.parametrize(("head", "expected"), HEADS)
async def test_outcomes(
    running: RunningGateway, head: RequestHead, expected: HandshakeRejection | None
) -> None:
    """Each handshake has its row of the table; what it counted is given back in any case."""
    assert await judged(running, head) is expected
    assert running.inside() == (0, 0, 0)
    if expected is not None:
        known = running.gateway.front.find(head.path).target.endpoint
        endpoint = known.name if known is not None else "other"
        labels = {"endpoint": endpoint, "reason": expected.reason}
        assert running.count("handshakes_refused_total", **labels) == 1
        event = (
            Event.ORIGIN_REJECT if expected is HandshakeRejection.ORIGIN else Event.HANDSHAKE_REJECT
        )
        assert running.events(event) == 1


OFF: dict[str, Any] = {"enabled": False}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/alerts", HandshakeRejection.DISABLED),
        ("/live", HandshakeRejection.DISABLED),
        ("/rooms", HandshakeRejection.DISABLED),
        ("/realtime", HandshakeRejection.DISABLED),
        ("/socket.io/", HandshakeRejection.DISABLED),
        ("/echo", HandshakeRejection.UNKNOWN_PATH),
        ("/chat", HandshakeRejection.UNKNOWN_PATH),
        ("/board/", HandshakeRejection.UNKNOWN_PATH),
    ],
)
async def test_endpoints_that_are_switched_off(path: str, expected: HandshakeRejection) -> None:
    """What clients of older servers know is 503 while it is off; any other path is unknown."""
    chosen = {name: replace(endpoint, **OFF) for name, endpoint in ENDPOINTS.items()}
    for name, like in (("chat", "rooms"), ("board", "workspaces")):
        added = f"/{name}/" if like == "workspaces" else f"/{name}"
        chosen[name] = replace(ENDPOINTS[like], path=added, **OFF)
    async with run_gateway(Settings(endpoints=chosen)) as running:
        assert await judged(running, request(path)) is expected
        assert running.inside() == (0, 0, 0)


async def test_two_origins(running: RunningGateway) -> None:
    """Two `Origin` headers are a malformed request, even when they are equal."""
    head = request()
    headers = {**head.headers, "origin": ["http://localhost"] * 2}
    assert await judged(running, replace(head, headers=headers)) is HandshakeRejection.BAD_REQUEST


async def test_form_that_a_server_in_front_has_judged(running: RunningGateway) -> None:
    """Behind an ASGI server the form of the request is not judged again, and the rest is."""
    gate = RoutedGate(running.gateway.node)
    head = altered(request(), upgrade=None, sec_websocket_key=None, sec_websocket_version=None)
    (await gate.admit(head, upgrade_checked=True)).cancel()
    bad = altered(head, origin="https://evil.example")
    with pytest.raises(HandshakeRejected) as caught:
        await gate.admit(bad, upgrade_checked=True)
    assert caught.value.refusal is HandshakeRejection.ORIGIN


async def test_missing_origin() -> None:
    """A missing origin is let in where the endpoint says so."""
    async with run_gateway(settings(rooms={"allow_missing_origin": False})) as running:
        assert await running.refusal() is HandshakeRejection.ORIGIN
        await connect(running.gateway, origin="http://localhost")


async def test_allowed_hosts() -> None:
    """With a list of hosts another `Host` is refused."""
    given = settings(server=ServerSettings(allowed_hosts=("gate.example.com",)))
    async with run_gateway(given) as running:
        assert await running.refusal(host="evil.example.com") is HandshakeRejection.HOST
        await connect(running.gateway, host="gate.example.com")


async def test_origins_of_an_endpoint() -> None:
    """An endpoint's own origins stand before those of the gate."""
    given = settings(
        rooms={"allowed_origins": ("https://rooms.example.com",)},
        gate=GateSettings(allowed_origins=("https://app.example.com",)),
    )
    async with run_gateway(given) as running:
        assert await running.refusal(origin="https://app.example.com") is HandshakeRejection.ORIGIN
        await connect(running.gateway, origin="https://rooms.example.com")


# -- credentials


@pytest.mark.parametrize("way", ["header", "query", "ticket"])
async def test_credential_of_the_handshake(running: RunningGateway, way: str) -> None:
    """Who comes with a good credential is greeted as authenticated, unasked."""
    token = running.token("ann")
    if way == "header":
        client = await connect(running.gateway, authorization=f"bearer {token}")
    elif way == "query":
        client = await connect(running.gateway, f"/rooms?token={token}")
    else:
        client = await connect(
            running.gateway, f"/rooms?ticket={await running.gateway.ticket(token)}"
        )
    assert kinds(client) == ["handshake", "auth_success"]
    assert client.large
    assert running.count("auth_total", endpoint="rooms", result="ok") == 1
    assert running.inside() == (1, 0, 1)


@pytest.mark.parametrize("place", ["header", "query", "ticket"])
async def test_credential_in_a_place_that_is_not_taken(place: str) -> None:
    """A credential where the endpoint takes none is not looked at."""
    async with run_gateway() as running:
        token = running.token("ann")
        query = {"query": f"?token={token}", "ticket": "?ticket=x"}.get(place, "")
        headers = {"authorization": f"Bearer {token}"} if place == "header" else {}
        client = await connect(running.gateway, f"/rooms{query}", **headers)
        assert kinds(client) == ["handshake"]


async def test_endpoint_that_wants_it_at_once() -> None:
    """An endpoint that takes no credential by message turns away who brings none."""
    header = tuple(kind for kind in CREDENTIALS if kind.value == "header")
    async with run_gateway(settings(rooms={"credentials": header})) as running:
        assert await running.refusal() is HandshakeRejection.UNAUTHENTICATED
        await connect(running.gateway, authorization=f"Bearer {running.token('ann')}")


async def test_failures_slow_an_address_down() -> None:
    """After too many refused tokens of an address the next are 429; good ones are let in as before."""
    limits = Limits(attempts=UNLIMITED, auth=RateLimit(rate=Rate(3, 60.0, 3)))
    given = settings(rooms={"credentials": CREDENTIALS, "limits": limits})
    async with run_gateway(given) as running:
        good = f"Bearer {running.token('ann')}"
        for _ in range(5):
            await connect(running.gateway, authorization=good)
        for number in range(3):
            bad = {"authorization": f"Bearer x{number}"}
            assert await running.refusal(**bad) is HandshakeRejection.UNAUTHENTICATED
        with pytest.raises(HandshakeRejected) as caught:
            await connect(running.gateway, authorization="Bearer x3")
        assert caught.value.refusal is HandshakeRejection.RATE
        assert caught.value.retry_after == pytest.approx(20, abs=0.01)
        await connect(running.gateway, authorization=good)
        assert (
            await running.refusal(authorization="Bearer x0") is HandshakeRejection.UNAUTHENTICATED
        )
        await running.advance(caught.value.retry_after or 0.0)
        assert (
            await running.refusal(authorization="Bearer x3") is HandshakeRejection.UNAUTHENTICATED
        )
        assert await running.refusal(authorization="Bearer x4") is HandshakeRejection.RATE
        assert running.events(Event.AUTH_FAIL) == 7


async def test_unreachable_store() -> None:
    """When a credential cannot be judged the answer is to come again."""
    async with slow_gateway(settings(rooms=ANYWHERE)) as (running, engine):
        engine.fails = {"kv.records revoked", "kv.take ticket"}
        for path in (f"/rooms?token={running.token('ann')}", "/rooms?ticket=x"):
            task = asyncio.ensure_future(running.refusal(path))
            await engine.run()
            assert await task is HandshakeRejection.UNAVAILABLE
        assert running.count("auth_total", endpoint="rooms", result="unavailable") == 2
        assert running.inside() == (0, 0, 0)


async def test_open_endpoint() -> None:
    """Where nobody has to prove anything everyone is let in as nobody."""
    given = settings(echo={"enabled": True, "auth": AuthMode.NONE})
    async with run_gateway(given) as running:
        client = await connect(running.gateway, "/echo")
        client.send_bytes(b"text", binary=False)
        client.send_bytes(b"\x00\xff", binary=True)
        await settle()
        assert client.binary == [b"\x00\xff"]
        assert client.large
        assert running.inside() == (1, 0, 1)
        assert running.gateway.connections()[0].user == "anonymous"
        assert running.gateway.connections("anonymous") == []
        client.leave()
        await settle()
        assert running.inside() == (0, 0, 0)


async def test_refused_credentials_are_in_no_log(running: RunningGateway) -> None:
    """What was presented is not in the log, wherever it came from and whatever became of it."""
    token = running.token("ann")
    await running.gateway.revoke(user="ann")
    ticket = "T" * 43
    paths = [f"/rooms?token={token}", f"/rooms?ticket={ticket}", f"/nowhere?token={token}"]
    heads = [request(path) for path in paths]
    heads += [request(authorization=f"Bearer {token}"), request(f"/rooms?token={token}&ticket=x")]
    for head in heads:
        assert await judged(running, head) is not None
    running.gateway.telemetry.log.close(5)
    written = running.log.getvalue()
    assert "handshake.reject" in written
    assert [secret for secret in (token, token.split(".")[2], ticket) if secret in written] == []


# -- how many and how often


def capped(limit: int, mode: LimitMode = LimitMode.ENFORCE) -> dict[str, Any]:
    """An endpoint with so many connections per address."""
    connections = ConnectionLimit(max=limit, mode=mode)
    return {"limits": Limits(attempts=UNLIMITED, connections=connections)}


async def test_connections_of_an_address() -> None:
    """An address has so many connections at once, exactly, and a place that was left is free."""
    async with run_gateway(settings(rooms=capped(3))) as running:
        clients = [await running.client() for _ in range(3)]
        for _ in range(50):
            assert await running.refusal() is HandshakeRejection.ADDRESS_CAP
        await running.client(peer="127.0.0.2")
        clients[0].leave(None)
        await settle()
        await running.client()
        assert await running.refusal() is HandshakeRejection.ADDRESS_CAP
        assert running.inside() == (4, 4, 4)


async def test_observed_connections_of_an_address() -> None:
    """A cap that only observes lets everyone in, counts, and still knows who left."""
    async with run_gateway(settings(rooms=capped(1, LimitMode.OBSERVE))) as running:
        clients = [await running.client() for _ in range(3)]
        assert running.count("limit_refusals_total", limit="connections", mode="observe") == 2
        for client in clients:
            client.leave()
        await settle()
        await running.client()
        assert running.count("limit_refusals_total", limit="connections", mode="observe") == 2


async def test_connections_of_an_ipv6_customer() -> None:
    """Addresses of one /64 share a cap, those of its /48 a cap sixteen times as wide."""
    async with run_gateway(settings(rooms=capped(2))) as running:
        for host in range(2):
            await running.client(peer=f"2001:db8:1:1::{host + 1}")
        assert await running.refusal(peer="2001:db8:1:1::ffff") is HandshakeRejection.ADDRESS_CAP
        for net in range(2, 17):
            for host in range(2):
                await running.client(peer=f"2001:db8:1:{net:x}::{host + 1}")
        assert await running.refusal(peer="2001:db8:1:ff::1") is HandshakeRejection.ADDRESS_CAP
        await running.client(peer="2001:db8:2::1")
        assert running.inside()[0] == 33


async def test_mapped_addresses_are_plain_ones() -> None:
    """An IPv4 address counts the same however it is written, and two of them never share."""
    async with run_gateway(settings(rooms=capped(1))) as running:
        await running.client(peer="::ffff:10.0.0.1")
        assert await running.refusal(peer="10.0.0.1") is HandshakeRejection.ADDRESS_CAP
        assert await running.refusal(peer="64:ff9b::a00:1") is HandshakeRejection.ADDRESS_CAP
        await running.client(peer="::ffff:10.0.0.2")


async def test_a_hundred_rounds(running: RunningGateway) -> None:
    """After a hundred rounds of every way to come and go the counts equal the open connections."""
    node = running.gateway.node
    gate = RoutedGate(node)
    stay = [await running.client(f"u{n}") for n in range(3)]
    for number in range(100):
        peer = f"2001:db8:{number % 3}:1::{number % 7}" if number % 2 else "10.0.0.1"
        good = await running.client("ann", "lobby", peer=peer)
        good.leave(None if number % 3 else 1000)
        anonymous = await running.client(peer=peer)
        anonymous.leave()
        for headers in ({"authorization": "Bearer x"}, {"origin": "https://evil.example"}):
            await running.refusal(peer=peer, **headers)
        (await gate.admit(request(peer=peer))).cancel()
        entry = await gate.admit(request(peer=peer))
        entry.cancel()
        entry.cancel()
        revoked = await running.client("eve", peer=peer)
        await running.gateway.disconnect("eve")
        assert revoked.closed == (3503, "force disconnect")
        await running.advance(4)
    assert running.inside() == (3, 0, 3)
    assert len(node.admission_control._by_address) == 1
    assert {endpoint.name: endpoint.open for endpoint in node.endpoints.values()} == {
        "alerts": 0, "live": 0, "rooms": 3, "realtime": 0, "workspaces": 0,
    }  # fmt: skip
    assert node.registry.users() == 3
    for client in stay:
        client.leave()
    await settle()
    assert running.inside() == (0, 0, 0)
    assert len(node.admission_control._by_address) == 0


async def test_cancelled_handshake() -> None:
    """A peer that goes while its credential is judged leaves nothing counted."""
    async with slow_gateway(settings(rooms=ANYWHERE)) as (running, engine):
        head = request(authorization=f"Bearer {running.token('ann')}")
        task = asyncio.ensure_future(RoutedGate(running.gateway.node).admit(head))
        await settle()
        assert running.inside() == (1, 0, 0)
        task.cancel()
        await asyncio.wait([task])
        assert running.inside() == (0, 0, 0)
        assert len(running.gateway.node.admission_control._by_address) == 0
        await engine.run()


async def test_connection_attempts() -> None:
    """An address may try so often, is told when to come again, and gets in then."""
    limits = Limits(attempts=RateLimit(rate=Rate(3, 60.0, 3)))
    async with run_gateway(settings(rooms={"limits": limits})) as running:
        for _ in range(3):
            await running.client()
        with pytest.raises(HandshakeRejected) as caught:
            await connect(running.gateway)
        assert caught.value.refusal is HandshakeRejection.RATE
        assert caught.value.retry_after == pytest.approx(20)
        await running.client(peer="127.0.0.2")
        await running.advance(caught.value.retry_after or 0.0)
        await running.client()
        assert running.count("limit_refusals_total", limit="attempts", mode="enforce") == 1


async def test_accept_rate() -> None:
    """All together may come so fast; above it everyone is asked to come again a little later."""
    given = settings(rooms={"limits": FREE}, gate=GateSettings(accept_rate=Rate(2, 1.0, 2)))
    async with run_gateway(given) as running:
        for host in range(2):
            await running.client(peer=f"10.0.0.{host}")
        with pytest.raises(HandshakeRejected) as caught:
            await connect(running.gateway, peer="10.0.0.9")
        assert caught.value.refusal is HandshakeRejection.OVERLOAD
        assert caught.value.retry_after == pytest.approx(0.5)
        await running.advance(0.5)
        await running.client(peer="10.0.0.9")


async def test_one_address_does_not_use_up_what_all_share() -> None:
    """Attempts refused for one address leave the common rate to the others."""
    limits = Limits(attempts=RateLimit(rate=Rate(1, 60.0, 1)))
    given = settings(rooms={"limits": limits}, gate=GateSettings(accept_rate=Rate(5, 1.0, 5)))
    async with run_gateway(given) as running:
        await running.client(peer="10.0.0.1")
        for _ in range(100):
            assert await running.refusal(peer="10.0.0.1") is HandshakeRejection.RATE
        await running.client(peer="10.0.0.2")


async def test_global_cap() -> None:
    """The cap of the node holds at accept, and for those who were judged at the same time."""
    given = settings(rooms={"limits": FREE}, gate=GateSettings(max_connections=2))
    async with run_gateway(given) as running:
        gate = RoutedGate(running.gateway.node)
        clients = [await running.client(peer=f"10.0.0.{n}") for n in range(2)]
        assert gate.has_capacity() is HandshakeRejection.GLOBAL_CAP
        assert await running.refusal() is HandshakeRejection.GLOBAL_CAP
        clients[0].leave()
        await settle()
        assert gate.has_capacity() is None
        await running.client()


async def test_cap_of_an_endpoint() -> None:
    """An endpoint has so many connections, exactly."""
    given = settings(rooms={"max_connections": 2, "limits": FREE})
    async with run_gateway(given) as running:
        clients = [await running.client() for _ in range(2)]
        assert await running.refusal() is HandshakeRejection.ENDPOINT_CAP
        clients[0].leave()
        await settle()
        await running.client()
        assert running.inside() == (2, 2, 2)


async def test_cap_of_the_unauthenticated() -> None:
    """Those who have not authenticated have a cap of their own; a credential passes by it."""
    given = settings(rooms=ANYWHERE, gate=GateSettings(max_unauthenticated=2))
    async with run_gateway(given) as running:
        first, second = await running.client(), await running.client()
        assert await running.refusal() is HandshakeRejection.UNAUTHENTICATED_CAP
        await connect(running.gateway, authorization=f"Bearer {running.token('bob')}")
        await running.authenticate(first, "ann")
        third = await running.client()
        assert await running.refusal() is HandshakeRejection.UNAUTHENTICATED_CAP
        for client in (second, third):
            client.leave()
        await settle()
        assert running.inside() == (2, 0, 2)


# -- draining


async def test_draining(running: RunningGateway) -> None:
    """While the node drains newcomers are turned away, but a path that is none is still none."""
    client = await running.client("ann")
    drained = asyncio.ensure_future(running.gateway.drain(60))
    await settle()
    assert await running.refusal() is HandshakeRejection.DRAINING
    assert await running.refusal("/nowhere") is HandshakeRejection.UNKNOWN_PATH
    assert RoutedGate(running.gateway.node).answer(request("/health")).status == 503  # type: ignore[union-attr]  # answered
    await running.advance(61)
    await drained
    assert client.closed == (3001, "shutdown")


async def test_let_in_just_before_the_drain(running: RunningGateway) -> None:
    """Who was let in before a drain and opens after it is sent off at once, and waited for."""
    entry = await RoutedGate(running.gateway.node).admit(request())
    drained = asyncio.ensure_future(running.gateway.drain(60))
    await settle()
    assert not drained.done()
    client = MemoryClient()
    client.attach(entry.open(client))
    assert client.closed == (3001, "shutdown")
    await drained
    assert running.inside() == (0, 0, 0)


# -- behind a proxy


@pytest.fixture
async def behind() -> AsyncIterator[RunningGateway]:
    """A gateway in production behind a proxy that ends TLS."""
    given = settings(
        rooms={"limits": FREE},
        environment=Environment.PRODUCTION,
        server=ServerSettings(behind_tls_proxy=True, trusted_proxies=("10.0.0.0/8",)),
        gate=GateSettings(allowed_origins=("https://app.example.com",)),
        tokens=Tokens(secrets=(Secret("Kq3vT9xw2LmZ7sRb5nYc8dHf1gJp4uXa"),)),
    )
    async with run_gateway(given) as running:
        yield running


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"x_forwarded_proto": "https"}, None),
        ({"x_forwarded_proto": "http"}, HandshakeRejection.INSECURE),
        ({"x_forwarded_proto": "https, http"}, HandshakeRejection.INSECURE),
        ({"x_forwarded_proto": "wss"}, None),
        ({"x_forwarded_proto": "WSS"}, None),
        ({"x_forwarded_proto": "https,"}, None),
        ({"x_forwarded_proto": "ws"}, HandshakeRejection.INSECURE),
        ({"x_forwarded_proto": "https, ws"}, HandshakeRejection.INSECURE),
        ({"x_forwarded_proto": "on"}, HandshakeRejection.INSECURE),
        ({"forwarded": "for=203.0.113.7;proto=https"}, HandshakeRejection.INSECURE),
        ({}, HandshakeRejection.INSECURE),
    ],
)
async def test_plain_requests_behind_a_tls_proxy(
    behind: RunningGateway, headers: dict[str, str], expected: HandshakeRejection | None
) -> None:
    """Behind a proxy that ends TLS only what came over https is let in."""
    assert await judged(behind, request(peer="10.0.0.1", **headers)) is expected


@pytest.mark.parametrize(
    ("headers", "said"),
    [
        ({}, "not https: no x-forwarded-proto came"),
        ({"x_forwarded_proto": "http"}, "not https: x-forwarded-proto is 'http'"),
        ({"x_forwarded_proto": "\x1b[2J" + "x" * 200}, r"x-forwarded-proto is '\x1b[2Jxxx"),
    ],
)
async def test_the_log_says_what_came_instead_of_https(
    behind: RunningGateway, headers: dict[str, str], said: str
) -> None:
    """A refusal for plain HTTP names the text of the proxy, cut and without control characters."""
    assert await judged(behind, request(peer="10.0.0.1", **headers)) is HandshakeRejection.INSECURE
    behind.gateway.telemetry.log.flush()
    (line,) = [line for line in behind.log.getvalue().splitlines() if "handshake.reject" in line]
    detail = json.loads(line)["detail"]
    assert said in detail
    assert len(detail) < 100


async def test_scheme_of_an_untrusted_peer(behind: RunningGateway) -> None:
    """Whoever is no trusted proxy is not believed that it came over https."""
    head = request(peer="192.0.2.1", x_forwarded_proto="https")
    assert await judged(behind, head) is HandshakeRejection.INSECURE
    assert behind.events(Event.PROXYHDR_IGNORED) == 1
    assert await judged(behind, replace(head, secure=True)) is None


async def test_limits_and_log_go_by_the_client(behind: RunningGateway) -> None:
    """Behind a trusted proxy the client's address is what is counted and logged."""
    https = {"x_forwarded_proto": "https"}
    client = await connect(
        behind.gateway, peer="10.0.0.1", x_forwarded_for="203.0.113.7, 10.0.0.2", **https
    )
    assert [info.address for info in behind.gateway.connections()] == ["203.0.113.xxx"]
    client.leave()
    head = request(peer="10.0.0.1", x_forwarded_for="203.0.113.9", origin="null", **https)
    await judged(behind, head)
    [entry] = behind.audited(Event.ORIGIN_REJECT)
    assert entry.fields["address"] == "203.0.113.xxx"


async def test_ignored_forwarding_headers() -> None:
    """From an untrusted peer forwarding headers change nothing, and are told of."""
    async with run_gateway(settings(rooms=capped(1))) as running:
        await running.client()
        head = request(x_forwarded_for="203.0.113.7")
        assert await judged(running, head) is HandshakeRejection.ADDRESS_CAP
        assert running.events(Event.PROXYHDR_IGNORED) == 1


# -- subprotocols


async def entered(running: RunningGateway, path: str, offer: str, **headers: str) -> str | None:
    """The subprotocol that is answered to an offer."""
    head = request(path, sec_websocket_protocol=offer, **headers)
    entry = await RoutedGate(running.gateway.node).admit(head)
    entry.cancel()
    return entry.subprotocol


@pytest.mark.parametrize("path", ["/rooms", "/realtime", "/socket.io/"])
async def test_the_token_of_a_subprotocol_is_taken_and_never_answered(path: str) -> None:
    """Where the endpoint lists the place the name beside the token is answered, and the token judged."""
    places = (*CREDENTIALS, CredentialSource.SUBPROTOCOL)
    changed = {
        name: replace(each, credentials=places, limits=FREE)
        for name, each in ENDPOINTS.items()
        if each.path == path
    }
    given = replace(settings(), endpoints={**ENDPOINTS, **changed})
    async with run_gateway(given) as running:
        token = running.token("ann", canary="canary-7d1e")
        offer = f"realtime, openai-insecure-api-key.{token}"
        for headers in ({}, {"origin": "http://localhost:3000"}):
            assert await entered(running, path, offer, **headers) == "realtime"
        head = request(path, sec_websocket_protocol=f"{offer}x")
        if path != "/socket.io/":  # there the token is judged when its client connects
            assert await judged(running, head) is HandshakeRejection.UNAUTHENTICATED
        head = request(path, sec_websocket_protocol=offer, authorization=f"Bearer {token}")
        assert await judged(running, head) is HandshakeRejection.MULTIPLE_CREDENTIALS
        assert running.inside() == (0, 0, 0)
        running.gateway.telemetry.log.flush()
        assert token[-20:] not in running.log.getvalue()


@pytest.mark.parametrize(
    ("path", "offer", "answered"),
    [
        ("/rooms", "chat", HandshakeRejection.BAD_REQUEST),
        ("/rooms", "realtime", HandshakeRejection.BAD_REQUEST),
        ("/alerts", "graphql-ws, mqtt", HandshakeRejection.BAD_REQUEST),
        ("/realtime", "chat", HandshakeRejection.BAD_REQUEST),
        ("/realtime", "chat, realtime", "realtime"),
        ("/realtime", "openai-insecure-api-key.x", HandshakeRejection.BAD_REQUEST),
        ("/socket.io/", "chat, mqtt", "chat"),
        ("/socket.io/", "openai-insecure-api-key.x, mqtt", "mqtt"),
        ("/socket.io/", "eyJhbGciOiJIUzI1NiJ9.e30.x", HandshakeRejection.BAD_REQUEST),
    ],
)
async def test_an_offer_that_is_not_spoken(
    path: str, offer: str, answered: HandshakeRejection | str
) -> None:
    """A browser would drop the connection, so it gets 400 and the log a reason."""
    async with run_gateway() as running:
        head = request(path, sec_websocket_protocol=offer, origin="http://localhost:3000")
        if isinstance(answered, str):
            assert await entered(running, path, offer, origin="http://localhost:3000") == answered
            return
        assert await judged(running, head) is answered
        running.gateway.telemetry.log.flush()
        assert "spoken here" in running.log.getvalue()
        assert offer not in running.log.getvalue()
        foreign = altered(head, origin="https://evil.example")
        assert await judged(running, foreign) is HandshakeRejection.ORIGIN
        assert running.inside() == (0, 0, 0)


async def test_a_program_goes_on_without_a_subprotocol() -> None:
    """Without an origin nothing is answered to an offer that is not spoken (RFC 6455 section 4.2.2)."""
    async with run_gateway() as running:
        assert await entered(running, "/rooms", "chat") is None
        assert await entered(running, "/realtime", "chat") is None
        for offer in ("a b", ",".join("abcdefghi"), "\xe9"):
            head = request("/rooms", sec_websocket_protocol=offer)
            assert await judged(running, head) is HandshakeRejection.BAD_REQUEST


# -- small answers


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_health(running: RunningGateway, method: str) -> None:
    """`/health` says that the node takes connections; nothing else is answered so."""
    gate = RoutedGate(running.gateway.node)
    answer = gate.answer(replace(request("/health"), method=method))
    assert answer is not None
    assert (answer.status, answer.body) == (200, b'{"status":"ok"}')
    assert dict(answer.headers)["Cache-Control"] == "no-store"
    assert gate.answer(replace(request("/health"), method="POST")) is None
    assert gate.answer(request("/rooms")) is None
    assert gate.answer(replace(request("/health/"), method=method)) == answer
    for path in ("/health//", "//health", "//health/", "/health/x", "/healthz"):
        assert gate.answer(request(path)) is None


async def test_refusal_without_a_head(running: RunningGateway) -> None:
    """A peer that was refused before it said anything is counted under no endpoint."""
    RoutedGate(running.gateway.node).refused(
        None, HandshakeRejected(HandshakeRejection.HEAD_TIMEOUT)
    )
    labels = {"endpoint": "other", "reason": "head_timeout"}
    assert running.count("handshakes_refused_total", **labels) == 1


async def test_what_an_entry_allows() -> None:
    """An entry carries what the transport needs to know of the endpoint."""
    given = settings(rooms={"compression": True, "max_message": 1234})
    async with run_gateway(given) as running:
        entry = await RoutedGate(running.gateway.node).admit(request())
        assert (entry.compression, entry.max_message, entry.subprotocol) == (True, 1234, None)
        client = MemoryClient()
        client.attach(entry.open(client))
        entry.cancel()
        assert running.inside() == (1, 1, 1)
        await ask(client, "heartbeat")
        assert errors(client) == []


# -- Authorization of a proxy in front


@pytest.mark.parametrize(
    "path", ["/rooms", "/alerts?token=", "/alerts?ticket=", "/socket.io/?EIO=4"]
)
async def test_a_login_of_a_proxy_is_no_credential(path: str) -> None:
    """Behind a proxy with a login of its own clients come in by every other way, and the log says so."""
    log = LogSettings(format=LogFormat.JSON)
    async with run_gateway(settings(rooms={"credentials": CREDENTIALS}, log=log)) as running:
        token = running.token("ann")
        value = await running.gateway.ticket(token) if "ticket" in path else token
        target = f"{path}{value}" if path.endswith("=") else path
        client = await connect(running.gateway, target, authorization="Basic c3RhZ2luZzpzZWNyZXQ=")
        if path == "/rooms":
            await ask(client, "auth", token=token)
            assert kinds(client)[-1] == "auth_success"
        assert client.open
    lines = [json.loads(line) for line in running.log.getvalue().splitlines()]
    (line,) = [line for line in lines if line["event"] == Event.AUTH_SCHEME_IGNORED]
    assert line["kind"] == "basic"
    assert "c3RhZ2luZ" not in running.log.getvalue()


async def test_a_login_of_a_proxy_lets_nobody_in() -> None:
    """Alone it proves nothing: where a header is needed it is 401, with the scheme for the log."""
    details = {"Basic eDp5": "basic", "Digest x": "digest", "Hunter2 x": "other"}
    async with run_gateway(settings(rooms={"credentials": (CredentialSource.HEADER,)})) as running:
        for other, scheme in details.items():
            with pytest.raises(HandshakeRejected) as caught:
                await connect(running.gateway, authorization=other)
            assert caught.value.refusal is HandshakeRejection.UNAUTHENTICATED
            assert caught.value.detail.endswith(f"Authorization: {scheme} is none here")
        token = f"Basic {running.token('ann')}"
        assert await running.refusal(authorization=token) is HandshakeRejection.UNAUTHENTICATED
