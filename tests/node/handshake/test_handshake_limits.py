"""Whom a handshake is counted against: the address, the user, or nobody."""

from typing import Any

import pytest

from portward.model.handshake_errors import HandshakeRejected, HandshakeRejection
from portward.model.limits import Rate
from portward.settings.limits import Limits, RateLimit
from portward.settings.sections import GateSettings
from portward.testing import MemoryClient, connect
from tests.running_gateway import CREDENTIALS, RunningGateway, run_gateway, settings, settle

pytestmark = pytest.mark.p0

FIVE = Limits(attempts=RateLimit(rate=Rate(5, 60.0, 5)))


def few(**rooms: Any) -> dict[str, Any]:
    """Rooms that let in five handshakes a minute of an address."""
    return {"limits": FIVE, "credentials": CREDENTIALS, **rooms}


async def came(
    running: RunningGateway, token: str = "", path: str = "/rooms", **more: str
) -> HandshakeRejection | None:
    """Why a handshake is turned away; None when it is let in, which is left again."""
    headers = {"authorization": f"Bearer {token}"} if token else {}
    try:
        client = await connect(running.gateway, path, **headers, **more)
    except HandshakeRejected as refused:
        return refused.refusal
    await settle()
    client.leave()
    await settle()
    return None


async def test_good_ones_are_counted_by_address() -> None:
    """With or without a credential, five of an address are let in."""
    async with run_gateway(settings(rooms=few())) as running:
        tokens = ["", running.token("ann"), "", running.token("bob"), running.token("ann"), "", ""]
        outcomes = [await came(running, token) for token in tokens]
        assert outcomes == [None] * 5 + [HandshakeRejection.RATE] * 2
        assert await came(running, running.token("ann")) is HandshakeRejection.RATE
        assert await came(running, running.token("ann"), peer="10.0.0.9") is None


async def test_refused_credentials_take_no_handshakes() -> None:
    """However many tokens of an address are refused, its five handshakes are left."""
    async with run_gateway(settings(rooms=few())) as running:
        for number in range(50):
            assert await came(running, f"bad{number % 20}") in {
                HandshakeRejection.UNAUTHENTICATED,
                HandshakeRejection.RATE,
            }
        assert [await came(running, running.token("ann")) for _ in range(5)] == [None] * 5
        assert await came(running, running.token("ann")) is HandshakeRejection.RATE


async def test_handshakes_without_a_credential_are_counted() -> None:
    """Where one is needed, a handshake without is 401, and counts as one of the address."""
    given = settings(rooms=few(credentials=CREDENTIALS[:1]))
    async with run_gateway(given) as running:
        assert [await came(running) for _ in range(7)] == (
            [HandshakeRejection.UNAUTHENTICATED] * 5 + [HandshakeRejection.RATE] * 2
        )


async def test_a_user_who_may_not_come_in_pays_alone() -> None:
    """One without the role is refused five times a minute and then told to wait; colleagues come in."""
    async with run_gateway(settings(rooms=few(roles=("staff",)))) as running:
        eve = running.token("eve")
        outcomes = [await came(running, eve) for _ in range(8)]
        assert outcomes == [HandshakeRejection.FORBIDDEN] * 5 + [HandshakeRejection.RATE] * 3
        assert await came(running, running.token("bob", roles=["staff"])) is None
        assert await came(running, eve, peer="10.0.0.9") is HandshakeRejection.RATE
        await running.advance(60)
        assert await came(running, eve) is HandshakeRejection.FORBIDDEN


async def test_a_user_with_too_many_connections_pays_alone() -> None:
    """Trying again over the cap of a user costs the address nothing."""
    async with run_gateway(settings(rooms=few(), gate=GateSettings(max_per_user=1))) as running:
        header = {"authorization": f"Bearer {running.token('ann')}"}
        held: MemoryClient = await connect(running.gateway, **header)
        for _ in range(10):
            assert await came(running, running.token("ann")) is HandshakeRejection.USER_CAP
        assert [await came(running, running.token("bob")) for _ in range(4)] == [None] * 4
        assert held.open


async def test_a_storm_costs_the_address_nothing() -> None:
    """Handshakes refused because all together are too many do not count against their address."""
    given = settings(rooms=few(), gate=GateSettings(accept_rate=Rate(1, 1.0, 1)))
    async with run_gateway(given) as running:
        assert await came(running, peer="10.0.0.1") is None
        for _ in range(20):
            assert await came(running) is HandshakeRejection.OVERLOAD
        for _ in range(5):
            await running.advance(1)
            assert await came(running) is None


async def test_bad_tokens_take_nothing_from_all() -> None:
    """What is refused takes nothing from the handshakes of all together: that is taken last."""
    given = settings(rooms=few(), gate=GateSettings(accept_rate=Rate(2, 1.0, 2)))
    async with run_gateway(given) as running:
        for number in range(20):
            await came(running, f"bad{number}", peer=f"10.0.0.{number}")
        assert await came(running, running.token("ann")) is None
        assert await came(running, running.token("bob")) is None
        assert await came(running, running.token("cat")) is HandshakeRejection.OVERLOAD
