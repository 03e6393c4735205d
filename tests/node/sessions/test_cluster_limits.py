from typing import cast

import pytest

from portward.engines.memory import MemoryEngine
from portward.engines.port import Counters, Engine, EngineUnavailable
from portward.model.errors import CommandError, ErrorKind
from portward.model.handshake_errors import HandshakeRejected, HandshakeRejection
from portward.model.limits import LimitMode, LimitName, Rate
from portward.node.sessions.cluster_limits import ClusterRateLimiter
from portward.node.sessions.limits import Limiter
from portward.security.rate import RateTable
from portward.settings import Secret
from portward.settings.endpoint import CredentialSource
from portward.settings.sections import GateSettings
from portward.settings.tokens import Tokens
from portward.telemetry import Telemetry
from portward.testing import FakeClock, connect
from tests.running_gateway import RunningGateway, run_gateway, settings, settle
from tests.security.make_tokens import SECRET

RATE = Rate(4, 60.0, 4)
ANN = ("user ann",)


class SharedMeter:
    """A meter of several nodes, as a store has it; `away` makes it answer nothing."""

    def __init__(self, clock: FakeClock) -> None:
        self._clock = clock
        self._tables: dict[tuple[float, int], RateTable] = {}
        self.asked: list[str] = []
        self.away = False

    async def take(self, key: str, interval: float, burst: int) -> float:
        """Count an event."""
        if self.away:
            raise EngineUnavailable("away")
        self.asked.append(key)
        table = self._tables.setdefault((interval, burst), RateTable(Rate(1, interval, burst)))
        return table.take(key, self._clock.monotonic())

    async def add(self, key: str, amount: int, ttl: float) -> int:  # noqa: ARG002 - the port
        """Nothing is added here."""
        return 0


class WideEngine(MemoryEngine):
    """A memory engine whose limits are counted with other nodes."""

    shared_by_nodes = True

    def __init__(self, clock: FakeClock, meter: SharedMeter) -> None:
        super().__init__(clock)
        self.shared_meter = meter
        self.counters = cast("Counters", meter)  # type: ignore[assignment]  # a meter of several nodes in its place


@pytest.fixture
def clock() -> FakeClock:
    """The time of everyone."""
    return FakeClock()


@pytest.fixture
def meter(clock: FakeClock) -> SharedMeter:
    """What the nodes share."""
    return SharedMeter(clock)


@pytest.fixture
async def limiter() -> Limiter:
    """A limit of four a minute."""
    async with run_gateway() as running:
        return limit(running.gateway.telemetry)


def limit(telemetry: Telemetry, mode: LimitMode = LimitMode.ENFORCE, scope: str = "") -> Limiter:
    """A limit of four a minute."""
    rate = Rate(RATE.count, RATE.period, RATE.burst, mode)
    return Limiter(LimitName.MESSAGES, rate, telemetry, scope)


def cluster_limits(clock: FakeClock, meter: SharedMeter, nodes: int = 1) -> ClusterRateLimiter:
    """A node's view of the store."""
    made = ClusterRateLimiter(cast("Engine", WideEngine(clock, meter)))
    made.count(nodes)
    return made


async def allowed(
    counting: ClusterRateLimiter, limiter: Limiter, clock: FakeClock, tries: int = 20
) -> int:
    """How many of so many events pass, all at once."""
    waits = [await counting.wait(limiter, ANN, clock.monotonic()) for _ in range(tries)]
    return waits.count(0.0)


async def test_one_process_is_not_asked_twice(clock: FakeClock, limiter: Limiter) -> None:
    """An engine of one process is never asked: the node's own table has counted all there is."""
    alone = ClusterRateLimiter(MemoryEngine(clock))
    assert not alone.enabled
    assert await allowed(alone, limiter, clock) == 20


async def test_nodes_share_a_limit(clock: FakeClock, meter: SharedMeter, limiter: Limiter) -> None:
    """What one node lets pass the other counts, too."""
    first, second = cluster_limits(clock, meter), cluster_limits(clock, meter)
    assert await allowed(first, limiter, clock, 3) == 3
    assert await allowed(second, limiter, clock) == 1
    clock.advance(RATE.interval)
    assert await allowed(first, limiter, clock) == 1


async def test_limits_of_endpoints_are_apart(
    clock: FakeClock, meter: SharedMeter, limiter: Limiter
) -> None:
    """An endpoint with a limit of its own counts alone, on every node."""
    async with run_gateway() as running:
        own = limit(running.gateway.telemetry, scope="live")
    counting = cluster_limits(clock, meter)
    assert await allowed(counting, limiter, clock) == 4
    assert await allowed(counting, own, clock) == 4
    assert set(meter.asked) == {" messages user ann", "live messages user ann"}


async def test_wide_bucket_of_an_address(
    clock: FakeClock, meter: SharedMeter, limiter: Limiter
) -> None:
    """An IPv6 address counts in its own bucket, and lighter in the one around it."""
    counting = cluster_limits(clock, meter)
    passed = 0
    for number in range(200):
        keys = (f"2001:db8:0:{number:x}::/64", "2001:db8::/48")
        passed += await counting.wait(limiter, keys, clock.monotonic()) == 0.0
    assert passed == 16 * RATE.burst


@pytest.mark.parametrize(("nodes", "passes"), [(1, 4), (2, 2), (4, 1), (9, 1)])
async def test_without_the_store_each_node_has_its_part(
    clock: FakeClock, meter: SharedMeter, limiter: Limiter, nodes: int, passes: int
) -> None:
    """While nobody answers a node allows the limit divided by the nodes, and never all."""
    counting = cluster_limits(clock, meter, nodes)
    meter.away = True
    assert await allowed(counting, limiter, clock) == passes
    clock.advance(nodes * RATE.interval)
    assert await allowed(counting, limiter, clock) == 1


async def test_the_part_follows_the_number_of_nodes(
    clock: FakeClock, meter: SharedMeter, limiter: Limiter
) -> None:
    """A node that learns of another one allows less from then on."""
    counting = cluster_limits(clock, meter)
    meter.away = True
    assert await allowed(counting, limiter, clock) == 4
    counting.count(2)
    assert counting.nodes == 2
    assert await allowed(counting, limiter, clock) == 2
    counting.count(0)
    assert counting.nodes == 1


async def test_observed_limits_refuse_nothing(clock: FakeClock, meter: SharedMeter) -> None:
    """A limit that only observes counts what it would refuse."""
    async with run_gateway() as running:
        observed = limit(running.gateway.telemetry, LimitMode.OBSERVE)
        assert await allowed(cluster_limits(clock, meter), observed, clock) == 20
        assert running.count("limit_refusals_total", limit="messages", mode="observe") == 16


async def test_no_limit_asks_nobody(clock: FakeClock, meter: SharedMeter) -> None:
    """Where there is no limit the store is left alone."""
    async with run_gateway() as running:
        none = Limiter(LimitName.MESSAGES, Rate(0, 60.0, 1), running.gateway.telemetry)
    assert await allowed(cluster_limits(clock, meter), none, clock) == 20
    assert meter.asked == []


async def test_check_raises_what_the_limit_says(
    clock: FakeClock, meter: SharedMeter, limiter: Limiter
) -> None:
    """A refusal says when the same would pass."""
    counting = cluster_limits(clock, meter)
    for _ in range(4):
        await counting.check(limiter, ANN, clock.monotonic())
    with pytest.raises(CommandError) as caught:
        await counting.check(limiter, ANN, clock.monotonic())
    assert caught.value.kind is ErrorKind.RATE_LIMITED
    assert caught.value.retry_after == pytest.approx(RATE.interval * 1000, abs=2)


async def test_two_gateways_over_one_store(clock: FakeClock, meter: SharedMeter) -> None:
    """A user may say, join and authenticate as often on two nodes together as on one."""
    given = settings(tokens=Tokens(secrets=(Secret(SECRET),)))
    async with (
        run_gateway(given, engine=cast("Engine", WideEngine(clock, meter)), clock=clock) as one,
        run_gateway(given, engine=cast("Engine", WideEngine(clock, meter)), clock=clock) as two,
    ):
        token = one.token("ann")
        first, second = await connect(one.gateway), await connect(two.gateway)
        for client in (first, second):
            client.send({"type": "auth", "data": {"token": token}})
            await settle()
            assert client.all("auth_success")
        for _ in range(40):
            for client in (first, second):
                client.send({"type": "heartbeat", "data": {}})
                await settle()
        answered = len(first.all("heartbeat_response")) + len(second.all("heartbeat_response"))
        assert answered == 60
        assert "Rate limit exceeded" in {each["data"]["message"] for each in first.all("error")}


async def test_handshakes_over_one_store(clock: FakeClock, meter: SharedMeter) -> None:
    """An address may come, and fail to prove itself, as often on two nodes together as on one."""
    given = settings(
        rooms={"credentials": (CredentialSource.HEADER,)},
        tokens=Tokens(secrets=(Secret(SECRET),)),
        gate=GateSettings(accept_rate=Rate(0, 1.0, 1)),
    )
    async with (
        run_gateway(given, engine=cast("Engine", WideEngine(clock, meter)), clock=clock) as one,
        run_gateway(given, engine=cast("Engine", WideEngine(clock, meter)), clock=clock) as two,
    ):
        refusals = [
            await running.refusal(authorization=f"Bearer forged{number}{running is one}")
            for number in range(8)
            for running in (one, two)
        ]
        assert refusals == [HandshakeRejection.UNAUTHENTICATED] * 10 + [HandshakeRejection.RATE] * 6
        good = {"authorization": f"Bearer {one.token('bob')}"}
        assert [await _came(running, **good) for running in (one, two)] == [None, None]
        came = [
            await _came(
                running, peer="127.0.0.2", authorization=f"Bearer {one.token(f'u{number}')}"
            )
            for number in range(305)
            for running in (one, two)
        ]
        assert came == [None] * 600 + [HandshakeRejection.RATE] * 10


async def _came(running: RunningGateway, **more: str) -> HandshakeRejection | None:
    try:
        client = await connect(running.gateway, **more)
    except HandshakeRejected as refused:
        return refused.refusal
    client.leave()
    await settle()
    return None
