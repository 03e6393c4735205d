"""Leaving politely: told first, closed in slices, nobody waited for beyond the deadline."""

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise

import pytest
from msgspec.structs import replace

from portward.model.limits import Rate
from portward.node.sessions.drain import SPREAD
from portward.settings import Settings
from portward.settings.limits import ConnectionLimit, Limits, RateLimit
from portward.settings.presets import ENDPOINTS
from portward.settings.sections import ServerSettings
from portward.telemetry.events import Event
from portward.testing import MemoryClient, connect
from portward.testing.gateway import request
from tests.running_gateway import (
    RoutedGate,
    RunningGateway,
    ask,
    contents,
    kinds,
    run_gateway,
    settings,
    settle,
)
from tests.slow_engine import arrive, slow_gateway

pytestmark = pytest.mark.p1

UNLIMITED = RateLimit(rate=Rate(0, 1.0, 1))
CROWD = Limits(
    attempts=UNLIMITED, auth=UNLIMITED, messages=UNLIMITED, connections=ConnectionLimit(max=0)
)


@pytest.fixture
async def running() -> AsyncIterator[RunningGateway]:
    """A gateway that takes a crowd."""
    async with run_gateway(settings(rooms={"limits": CROWD})) as running:
        yield running


async def begin(running: RunningGateway, seconds: float | None) -> "asyncio.Future[None]":
    """Begin a drain."""
    drained = asyncio.ensure_future(running.gateway.drain(seconds))
    await settle()
    return drained


async def test_told_then_closed_in_slices(running: RunningGateway) -> None:
    """Everyone is told at once when to come back, and closed in slices spread over the time."""
    clients = [await running.client() for _ in range(200)]
    drained = await begin(running, 20)
    assert all(kinds(client)[-1] == "shutdown" for client in clients)
    retries = [client.last("shutdown")["retryMs"] for client in clients]
    assert all(10_000 <= retry <= 30_000 for retry in retries)
    assert len(set(retries)) > 100
    closed = []
    while not drained.done():
        closed.append(sum(client.closed is not None for client in clients))
        await running.advance(0.5)
    seconds = len(closed) / 2
    assert 20 * SPREAD / 1.5 <= seconds <= 20
    steps = [after - before for before, after in pairwise(closed)]
    assert max(steps) <= 2 * 200 / (20 * SPREAD * 2)
    assert all(client.closed == (3001, "shutdown") for client in clients)
    assert running.inside() == (0, 0, 0)
    assert (running.events(Event.DRAIN_START), running.events(Event.DRAIN_END)) == (1, 1)


async def test_order_of_leaving_is_random(running: RunningGateway) -> None:
    """Who came first is not always the first to go."""
    clients = [await running.client() for _ in range(100)]
    drained = await begin(running, 10)
    gone: list[int] = []
    while not drained.done():
        await running.advance(0.1)
        gone += [n for n, each in enumerate(clients) if each.closed and n not in gone]
    assert sorted(gone) == list(range(100))
    assert gone != sorted(gone)


async def test_nobody_to_wait_for(running: RunningGateway) -> None:
    """With nobody here a drain is over at once."""
    drained = await begin(running, 60)
    assert drained.done()


async def test_default_time() -> None:
    """Without a time of its own a drain takes the configured one."""
    async with run_gateway(settings(server=ServerSettings(drain_timeout=2.0))) as running:
        client = await running.client()
        client.abort = lambda: None  # type: ignore[method-assign]  # a peer that does not go
        drained = await begin(running, None)
        await running.advance(1.9)
        assert not drained.done()
        await running.advance(0.2)
        await drained


async def test_handler_in_flight_finishes() -> None:
    """A message being served is finished and answered before its connection is closed."""
    async with slow_gateway(settings(rooms={"limits": CROWD})) as (running, engine):
        ann = await arrive(running, engine, "ann", "lobby")
        await ask(ann, "message", roomId="lobby", content="last words", id="m")
        drained = await begin(running, 10)
        await running.advance(3)
        assert ann.open
        await engine.run()
        assert ann.all("ack")[0]["id"] == "m"
        await running.advance(0.2)
        assert ann.closed == (3001, "shutdown")
        await engine.run()
        await drained
        assert contents(ann) == ["last words"]


async def test_straggler_is_cut_off_at_the_deadline() -> None:
    """Who is still busy at the deadline is cut off, and the drain is over; no timer goes on."""
    async with slow_gateway(settings(rooms={"limits": CROWD})) as (running, engine):
        ann = await arrive(running, engine, "ann", "lobby")
        await ask(ann, "message", roomId="lobby", content="x")
        drained = await begin(running, 10)
        await running.advance(9.9)
        assert ann.open
        assert not drained.done()
        await running.advance(0.2)
        await drained
        assert ann.closed == (3001, "shutdown")
        before = running.clock.pending
        await running.advance(1)
        assert running.clock.pending == before


async def test_peer_that_does_not_close_is_aborted(running: RunningGateway) -> None:
    """A peer that does not go after its close is aborted at the deadline."""

    class Stubborn(MemoryClient):
        aborted = False

        def close(self, code: int, reason: str) -> None:
            self.closed = (code, reason)
            self.open = False

        def abort(self) -> None:
            self.aborted = True
            super().abort()

    client = Stubborn()
    client.attach((await RoutedGate(running.gateway.node).admit(request())).open(client))
    drained = await begin(running, 5)
    await running.advance(4.9)
    assert not drained.done()
    assert not client.aborted
    await running.advance(0.2)
    await drained
    assert client.aborted


async def test_who_leaves_meanwhile(running: RunningGateway) -> None:
    """Who leaves by itself during a drain is not closed again."""
    clients = [await running.client("ann") for _ in range(20)]
    drained = await begin(running, 10)
    for client in clients:
        if client.open:
            client.leave()
    await drained
    await running.advance(10)
    assert running.closes("normal") + running.closes("shutdown") == 20


async def test_others_see_them_leave(running: RunningGateway) -> None:
    """Members that are sent away are told of like any that left."""
    clients = [await running.client(f"u{n}", "lobby") for n in range(3)]
    drained = await begin(running, 5)
    while not drained.done():
        await running.advance(0.04)
    told = [kinds(client).count("user_disconnected") for client in clients]
    assert sorted(told) == [0, 1, 2]


async def test_draining_at_once(running: RunningGateway) -> None:
    """A drain without any time closes everyone in one go."""
    clients = [await running.client() for _ in range(10)]
    drained = await begin(running, 0)
    await running.advance(0)
    await drained
    assert all(client.closed == (3001, "shutdown") for client in clients)


# -- those who may leave by themselves


async def alert_client(running: RunningGateway) -> MemoryClient:
    """A client of an endpoint with a farewell."""
    token = running.token("ann")
    return await connect(running.gateway, "/alerts", authorization=f"Bearer {token}")


async def test_a_farewell_comes_before_the_close(running: RunningGateway) -> None:
    """Clients of such an endpoint are told at once, have their time, and are closed after it."""
    patient, other = await alert_client(running), await running.client()
    drained = await begin(running, 30)
    assert patient.all("shutdown")[0]["payload"]["reconnectUrl"] == "ws://localhost/alerts"
    await running.advance(4.9)
    assert (patient.closed, other.closed) == (None, (3001, "shutdown"))
    await running.advance(0.2)
    assert patient.closed == (1001, "Server shutting down")
    await running.advance(0.1)
    assert drained.done()


async def test_a_farewell_fits_into_a_short_drain(running: RunningGateway) -> None:
    """Nobody is given more time than there is: all are closed in words before the deadline."""
    clients = [await alert_client(running) for _ in range(20)]
    drained = await begin(running, 5)
    await running.advance(2.9)
    assert {client.closed for client in clients} == {None}
    for _ in range(20):
        await running.advance(0.1)
    assert {client.closed for client in clients} == {(1001, "Server shutting down")}
    assert drained.done()


async def test_who_leaves_by_itself_is_not_waited_for(running: RunningGateway) -> None:
    """The drain is over when the last has left."""
    client = await alert_client(running)
    drained = await begin(running, 30)
    client.leave()
    await settle()
    assert drained.done()


async def test_a_deadline_within_a_farewell(running: RunningGateway) -> None:
    """At the deadline everyone is cut off, told or not."""
    client = await alert_client(running)
    drained = await begin(running, 0.0)
    await running.advance(0.1)
    assert drained.done()
    assert not client.open


async def test_an_address_of_the_operators_choice() -> None:
    """Where one is set, clients are told to come back there."""
    away = replace(ENDPOINTS["alerts"], reconnect_url="wss://elsewhere.example/alerts")
    chosen = Settings(endpoints={**ENDPOINTS, "alerts": away})
    async with run_gateway(chosen) as running:
        client = await alert_client(running)
        drained = await begin(running, 1)
        told = client.all("shutdown")[0]["payload"]
        assert told["reconnectUrl"] == "wss://elsewhere.example/alerts"
        assert told["retryMs"] > 0
        await running.advance(2)
        assert drained.done()
