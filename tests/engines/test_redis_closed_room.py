"""A closed room in Redis: whatever time does, whatever fails on the way, and whoever asks meanwhile."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from portward.engines.port import Engine, EngineUnavailable, RoomMade
from portward.engines.redis import RedisEngine, parse_url
from portward.model.events import RightsChanged
from portward.model.room import Room, RoomOrigin
from portward.node.sessions.clock import LoopClock
from portward.testing import FakeClock
from portward.testing.engine_contract import Recorder
from tests.closed_room import (
    BOARD,
    CLOSED,
    SECRET,
    asked,
    close_by_api,
    close_by_joiner,
    gateway_of,
    given,
    member,
    try_to_read,
)
from tests.engines.redis_fixtures import KEPT, draft
from tests.engines.redis_servers import Cluster, Server
from tests.running_gateway import RunningGateway, errors

SHORT = 0.1


@pytest.fixture(params=["single", "cluster"])
def url(request: pytest.FixtureRequest) -> Iterator[str]:
    """One server, or three that share the keys."""
    if request.param == "single":
        server: Server = request.getfixturevalue("redis")
        yield server.url
    else:
        cluster: Cluster = request.getfixturevalue("cluster")
        yield cluster.url


@pytest.mark.parametrize("ratio", [0.5, 1.0, pytest.param(3.0, marks=pytest.mark.long)])
@pytest.mark.parametrize("close", [close_by_api, close_by_joiner], ids=["api", "joiner"])
async def test_time_opens_no_closed_room(
    url: str, ratio: float, close: Callable[[RunningGateway], Awaitable[None]]
) -> None:
    """In development and production, empty and inhabited: who may not read it never may, who may does."""

    def engine(_: FakeClock) -> Engine:
        return RedisEngine(parse_url(url), LoopClock())

    for auto_create, inside in ((True, True), (True, False), (False, True), (False, False)):
        chosen = given(SHORT * ratio, SHORT, auto_create=auto_create)
        async with gateway_of(engine, chosen) as running:
            await close(running)
            insider = await member(running)
            await asked(insider, "message", roomId="board", content=SECRET)
            position = insider.last("room_joined")["position"]
            if not inside:
                insider.leave()
            for _ in range(2):
                await asyncio.sleep(1.2 * SHORT * max(1.0, ratio))
                await running.gateway.node.engine.sweep()
                await try_to_read(running, position)
                ted = await member(running, name="ted")
                ted.leave()
            assert await running.gateway.rooms.remove("board")


async def test_the_store_lost_a_record(url: str) -> None:
    """A record that was evicted, or deleted by hand, leaves messages that nobody reads."""

    def engine(_: FakeClock) -> Engine:
        return RedisEngine(parse_url(url), LoopClock())

    async with gateway_of(engine, given(history=600.0)) as running:
        await close_by_api(running)
        insider = await member(running)
        await asked(insider, "message", roomId="board", content=SECRET)
        position = insider.last("room_joined")["position"]
        commands: Any = running.gateway.node.engine._context.commands  # type: ignore[attr-defined]
        await commands.send("portward:room:board", "DEL", "portward:room:board")
        await try_to_read(running, position)
        assert await running.gateway.operations.orphans() == (BOARD,)
        insider.received.clear()
        await asked(insider, "history", roomId="board")
        assert errors(insider)
        assert SECRET not in str(insider.received)
        assert await running.gateway.rooms.remove("board")
        assert await running.gateway.operations.orphans() == ()


class Dying:
    """Lets an engine give so many commands, and no more: what a killed process has done."""

    def __init__(self, engine: RedisEngine, left: int) -> None:
        self._road = engine._context.topology
        self._send = engine._context.topology.send
        self.left = left
        engine._context.topology.send = self.send  # type: ignore[method-assign]

    async def send(self, key: str, command: Any, *, bulk: bool = False) -> Any:
        """Give a command, or none."""
        if self.left <= 0:
            raise EngineUnavailable("killed")
        self.left -= 1
        return await self._send(key, command, bulk=bulk)


@pytest.mark.parametrize("commands", range(12))
@pytest.mark.parametrize("way", ["removed", "unused", "expired"])
async def test_killed_while_a_room_ends(redis: Server, way: str, commands: int) -> None:
    """Wherever the node stops: never messages without a record, and the next node ends the room."""
    first = RedisEngine(parse_url(redis.url), LoopClock())
    await first.start(Recorder())
    try:
        await _begin(first, way)
        Dying(first, commands)
        with suppress(EngineUnavailable):
            await (first.rooms.remove(BOARD) if way == "removed" else first.sweep())
    finally:
        await first.stop()
    sink = Recorder()
    second = RedisEngine(parse_url(redis.url), LoopClock())
    await second.start(sink)
    try:
        await _guarded(second)
        record = await second.rooms.get(BOARD)
        await second.sweep()
        if way == "removed" and record is not None:
            assert record.room == CLOSED, "nothing had been done yet"
            await second.rooms.remove(BOARD)
        await _guarded(second)
        assert await second.rooms.get(BOARD) is None
        assert not await second.streams.is_readable(BOARD)
        assert way == "removed" or RightsChanged(channel=BOARD) in sink.events or not record
        made = await second.rooms.make(BOARD, Room(id="board"), RoomOrigin.JOINER, "ann", 60.0)
        assert made is RoomMade.MADE
        assert await second.rooms.remove(BOARD)
        assert redis.cli("KEYS", "*board*").split() == ["portward:{rooms:board}:ended"]
        assert redis.cli("HLEN", "portward:{rooms}:counts").strip() == "0"
    finally:
        await second.stop()


async def _begin(engine: RedisEngine, way: str) -> None:
    """A room that is about to end, with something in it where that does not keep it."""
    rooms = engine.rooms
    if way == "unused":
        made = await rooms.make(BOARD, CLOSED, RoomOrigin.JOINER, "ann", 0.01)
        assert made is RoomMade.MADE
    else:
        expires = 1.0 if way == "expired" else None
        await rooms.save(BOARD, CLOSED, RoomOrigin.BACKEND, expires=expires)
        await engine.streams.publish(BOARD, draft(SECRET), KEPT, None)
    await asyncio.sleep(0.02)


async def _guarded(engine: RedisEngine) -> None:
    """What is kept has a record, or nobody can make one that opens it."""
    if not await engine.streams.is_readable(BOARD):
        return
    room = Room(id="board")
    key = "portward:room:board"
    assert await engine._context.commands.send(key, "EXISTS", key)
    found = await engine.rooms.get(BOARD)
    if found is None:
        return
    assert found.room == CLOSED
    made = await engine.rooms.make(BOARD, room, RoomOrigin.JOINER, "eve", 60.0)
    assert made is RoomMade.EXISTS


async def test_many_nodes_end_and_make_one_room(redis: Server) -> None:
    """Nodes that sweep, make, use and remove the same room at once leave no list behind it."""
    engines = [RedisEngine(parse_url(redis.url), LoopClock()) for _ in range(3)]
    for engine in engines:
        await engine.start(Recorder())
    try:
        for number in range(25):
            calls: list[Awaitable[Any]] = []
            for engine in engines:
                rooms, room = engine.rooms, Room(id="board")
                user = f"u{number % 4}"
                calls += [
                    rooms.make(BOARD, room, RoomOrigin.JOINER, user, 0.001),
                    engine.sweep(),
                    rooms.use(BOARD, 0.001),
                ]
            if number % 3 == 0:
                calls.append(engines[0].rooms.remove(BOARD))
            if number % 5 == 0:
                calls.append(engines[1].rooms.save(BOARD, CLOSED, RoomOrigin.ADMIN))
            await asyncio.gather(*calls)
        await engines[0].rooms.remove(BOARD)
        await asyncio.sleep(0.02)
        await engines[1].sweep()
        assert await engines[2].rooms.get(BOARD) is None
        for key, command in (("counts", "HLEN"), ("makers", "HLEN"), ("due", "ZCARD")):
            assert redis.cli(command, f"portward:{{rooms}}:{key}").strip() == "0", key
        assert redis.cli("ZCARD", "portward:rooms").strip() == "0"
        assert redis.cli("KEYS", "portward:about:*").strip() == ""
    finally:
        for engine in engines:
            await engine.stop()
