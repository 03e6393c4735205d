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
from tests.house import House, RoutedGate, ask, contents, kinds, running, settings, settle
from tests.slow_engine import arrive, slow_house

pytestmark = pytest.mark.p1

UNLIMITED = RateLimit(rate=Rate(0, 1.0, 1))
CROWD = Limits(
    attempts=UNLIMITED, auth=UNLIMITED, messages=UNLIMITED, connections=ConnectionLimit(max=0)
)


@pytest.fixture
async def house() -> AsyncIterator[House]:
    """A gateway that takes a crowd."""
    async with running(settings(rooms={"limits": CROWD})) as house:
        yield house


async def begin(house: House, seconds: float | None) -> "asyncio.Future[None]":
    """Begin a drain."""
    drained = asyncio.ensure_future(house.gateway.drain(seconds))
    await settle()
    return drained


async def test_told_then_closed_in_slices(house: House) -> None:
    """Everyone is told at once when to come back, and closed in slices spread over the time."""
    clients = [await house.client() for _ in range(200)]
    drained = await begin(house, 20)
    assert all(kinds(client)[-1] == "shutdown" for client in clients)
    retries = [client.last("shutdown")["retryMs"] for client in clients]
    assert all(10_000 <= retry <= 30_000 for retry in retries)
    assert len(set(retries)) > 100
    closed = []
    while not drained.done():
        closed.append(sum(client.closed is not None for client in clients))
        await house.advance(0.5)
    seconds = len(closed) / 2
    assert 20 * SPREAD / 1.5 <= seconds <= 20
    steps = [after - before for before, after in pairwise(closed)]
    assert max(steps) <= 2 * 200 / (20 * SPREAD * 2)
    assert all(client.closed == (3001, "shutdown") for client in clients)
    assert house.inside() == (0, 0, 0)
    assert (house.events(Event.DRAIN_START), house.events(Event.DRAIN_END)) == (1, 1)


async def test_order_of_leaving_is_random(house: House) -> None:
    """Who came first is not always the first to go."""
    clients = [await house.client() for _ in range(100)]
    drained = await begin(house, 10)
    gone: list[int] = []
    while not drained.done():
        await house.advance(0.1)
        gone += [n for n, each in enumerate(clients) if each.closed and n not in gone]
    assert sorted(gone) == list(range(100))
    assert gone != sorted(gone)


async def test_nobody_to_wait_for(house: House) -> None:
    """With nobody here a drain is over at once."""
    drained = await begin(house, 60)
    assert drained.done()


async def test_default_time() -> None:
    """Without a time of its own a drain takes the configured one."""
    async with running(settings(server=ServerSettings(drain_timeout=2.0))) as house:
        client = await house.client()
        client.abort = lambda: None  # type: ignore[method-assign]  # a peer that does not go
        drained = await begin(house, None)
        await house.advance(1.9)
        assert not drained.done()
        await house.advance(0.2)
        await drained


async def test_handler_in_flight_finishes() -> None:
    """A message being served is finished and answered before its connection is closed."""
    async with slow_house(settings(rooms={"limits": CROWD})) as (house, engine):
        ann = await arrive(house, engine, "ann", "lobby")
        await ask(ann, "message", roomId="lobby", content="last words", id="m")
        drained = await begin(house, 10)
        await house.advance(3)
        assert ann.open
        await engine.run()
        assert ann.all("ack")[0]["id"] == "m"
        await house.advance(0.2)
        assert ann.closed == (3001, "shutdown")
        await engine.run()
        await drained
        assert contents(ann) == ["last words"]


async def test_straggler_is_cut_off_at_the_deadline() -> None:
    """Who is still busy at the deadline is cut off, and the drain is over; no timer goes on."""
    async with slow_house(settings(rooms={"limits": CROWD})) as (house, engine):
        ann = await arrive(house, engine, "ann", "lobby")
        await ask(ann, "message", roomId="lobby", content="x")
        drained = await begin(house, 10)
        await house.advance(9.9)
        assert ann.open
        assert not drained.done()
        await house.advance(0.2)
        await drained
        assert ann.closed == (3001, "shutdown")
        before = house.clock.pending
        await house.advance(1)
        assert house.clock.pending == before


async def test_peer_that_does_not_close_is_aborted(house: House) -> None:
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
    client.attach((await RoutedGate(house.gateway.node).admit(request())).open(client))
    drained = await begin(house, 5)
    await house.advance(4.9)
    assert not drained.done()
    assert not client.aborted
    await house.advance(0.2)
    await drained
    assert client.aborted


async def test_who_leaves_meanwhile(house: House) -> None:
    """Who leaves by itself during a drain is not closed again."""
    clients = [await house.client("ann") for _ in range(20)]
    drained = await begin(house, 10)
    for client in clients:
        if client.open:
            client.leave()
    await drained
    await house.advance(10)
    assert house.closes("normal") + house.closes("shutdown") == 20


async def test_others_see_them_leave(house: House) -> None:
    """Members that are sent away are told of like any that left."""
    clients = [await house.client(f"u{n}", "lobby") for n in range(3)]
    drained = await begin(house, 5)
    while not drained.done():
        await house.advance(0.04)
    told = [kinds(client).count("user_disconnected") for client in clients]
    assert sorted(told) == [0, 1, 2]


async def test_draining_at_once(house: House) -> None:
    """A drain without any time closes everyone in one go."""
    clients = [await house.client() for _ in range(10)]
    drained = await begin(house, 0)
    await house.advance(0)
    await drained
    assert all(client.closed == (3001, "shutdown") for client in clients)


# -- those who may leave by themselves


async def alert_client(house: House) -> MemoryClient:
    """A client of an endpoint with a farewell."""
    token = house.token("ann")
    return await connect(house.gateway, "/alerts", authorization=f"Bearer {token}")


async def test_a_farewell_comes_before_the_close(house: House) -> None:
    """Clients of such an endpoint are told at once, have their time, and are closed after it."""
    patient, other = await alert_client(house), await house.client()
    drained = await begin(house, 30)
    assert patient.all("shutdown")[0]["payload"]["reconnectUrl"] == "ws://localhost/alerts"
    await house.advance(4.9)
    assert (patient.closed, other.closed) == (None, (3001, "shutdown"))
    await house.advance(0.2)
    assert patient.closed == (1001, "Server shutting down")
    await house.advance(0.1)
    assert drained.done()


async def test_a_farewell_fits_into_a_short_drain(house: House) -> None:
    """Nobody is given more time than there is: all are closed in words before the deadline."""
    clients = [await alert_client(house) for _ in range(20)]
    drained = await begin(house, 5)
    await house.advance(2.9)
    assert {client.closed for client in clients} == {None}
    for _ in range(20):
        await house.advance(0.1)
    assert {client.closed for client in clients} == {(1001, "Server shutting down")}
    assert drained.done()


async def test_who_leaves_by_itself_is_not_waited_for(house: House) -> None:
    """The drain is over when the last has left."""
    client = await alert_client(house)
    drained = await begin(house, 30)
    client.leave()
    await settle()
    assert drained.done()


async def test_a_deadline_within_a_farewell(house: House) -> None:
    """At the deadline everyone is cut off, told or not."""
    client = await alert_client(house)
    drained = await begin(house, 0.0)
    await house.advance(0.1)
    assert drained.done()
    assert not client.open


async def test_an_address_of_the_operators_choice() -> None:
    """Where one is set, clients are told to come back there."""
    away = replace(ENDPOINTS["alerts"], reconnect_url="wss://elsewhere.example/alerts")
    chosen = Settings(endpoints={**ENDPOINTS, "alerts": away})
    async with running(chosen) as house:
        client = await alert_client(house)
        drained = await begin(house, 1)
        told = client.all("shutdown")[0]["payload"]
        assert told["reconnectUrl"] == "wss://elsewhere.example/alerts"
        assert told["retryMs"] > 0
        await house.advance(2)
        assert drained.done()
