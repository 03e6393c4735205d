"""Sessions that have not authenticated make room for newcomers, with a word and a code to come back."""

from collections.abc import AsyncIterator

import pytest

from portward.model.handshake_errors import HandshakeRejection
from portward.model.limits import Rate
from portward.settings.limits import ConnectionLimit, Limits, RateLimit
from portward.settings.sections import GateSettings, ServerSettings
from portward.telemetry.events import Event
from portward.testing import MemoryClient, connect
from tests.running_gateway import RunningGateway, ask, errors, kinds, run_gateway, settings, settle

pytestmark = pytest.mark.p0

FREE = RateLimit(rate=Rate(0, 1.0, 1))
LIMITS = Limits(attempts=FREE, auth=FREE, messages=FREE, connections=ConnectionLimit(max=0))
PROXY = "127.0.0.1"


@pytest.fixture
async def running() -> AsyncIterator[RunningGateway]:
    """A gateway behind a proxy, with room for eighty who have not authenticated."""
    given = settings(
        rooms={"limits": LIMITS},
        gate=GateSettings(max_unauthenticated=80, accept_rate=Rate(0, 1.0, 1)),
        server=ServerSettings(trusted_proxies=(PROXY,)),
    )
    async with run_gateway(given) as running:
        yield running


async def visitor(running: RunningGateway, address: str) -> MemoryClient:
    """Somebody who connects and says nothing."""
    return await connect(running.gateway, peer=PROXY, x_forwarded_for=address)


async def test_silent_sockets_of_few_addresses(running: RunningGateway) -> None:
    """Five IPv6 customers fill the pool; every newcomer comes in all the same, and authenticates."""
    silent = [
        await visitor(running, f"2001:db8:{number % 5}:{number:x}::1") for number in range(80)
    ]
    assert running.inside() == (80, 80, 80)
    assert await running.refusal(peer=PROXY, x_forwarded_for="198.51.100.1") is (
        HandshakeRejection.UNAUTHENTICATED_CAP
    )
    await running.advance(1)
    for number in range(40):
        handshake = await visitor(running, f"198.51.100.{number}")
        await running.authenticate(handshake, f"user{number}")
    gone = [client for client in silent if not client.open]
    assert len(gone) == 30  # of each customer an eighth of the pool is left
    assert {client.closed for client in gone} == {(3013, "too many requests")}
    for client in gone:
        assert kinds(client) == ["handshake", "error", "closing"]
        told = client.last("error")
        assert told["code"] == "rate_limited"
        assert 1000 <= told["retryAfterMs"] <= 5000
    assert running.closes("too_many_requests") == 30
    assert running.events(Event.CONN_LIMIT) == 30
    await settle()
    assert running.inside() == (90, 50, 90)


async def test_an_office_is_left_alone(running: RunningGateway) -> None:
    """An eighth of the pool from one address stays, however many silent sockets others open."""
    office = [await visitor(running, "192.0.2.1") for _ in range(10)]
    for number in range(70):
        await visitor(running, f"2001:db8:{number % 2}:{number:x}::1")
    await running.advance(2)
    for number in range(40):
        await visitor(running, f"198.51.100.{number}")
    assert [client.closed for client in office] == [None] * 10
    for number, client in enumerate(office):
        await running.authenticate(client, f"user{number}")
    assert running.gateway.node.admission_control.pending.sessions == 70


async def test_a_message_is_a_sign_of_life(running: RunningGateway) -> None:
    """One that has said something stays while others of its address are silent."""
    crowd = [await visitor(running, "2001:db8::1") for _ in range(60)]
    await ask(crowd[0], "heartbeat")
    await running.advance(2)
    for number in range(3):
        await visitor(running, f"198.51.100.{number}")
    assert [client.open for client in crowd[:5]] == [True, False, False, False, True]
    await running.authenticate(crowd[0], "ann")


async def test_who_comes_with_a_credential_is_no_part_of_it(running: RunningGateway) -> None:
    """Those who are authenticated, then or later, count no longer, whoever of them leaves when."""
    pool = running.gateway.node.admission_control.pending
    first, second = await visitor(running, "192.0.2.1"), await visitor(running, "192.0.2.1")
    assert len(pool) == 2
    await running.authenticate(first, "ann")
    assert len(pool) == 1
    second.leave()
    await settle()
    first.leave()
    await settle()
    assert len(pool) == 0
    assert errors(first) == []
