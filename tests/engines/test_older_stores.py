"""Stores that the version before has written: their rooms stay closed, and stay open to whom they are."""

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from portward.engines.port import Engine
from portward.engines.redis import RedisEngine, parse_url
from portward.engines.sqlite import SqliteEngine
from portward.model.channel import Channel
from portward.node.sessions.clock import LoopClock
from portward.testing import FakeClock
from portward.testing.engine_contract import Recorder
from tests.closed_room import (
    HISTORY,
    SECRET,
    asked,
    gateway_of,
    given,
    member,
    person,
    swept,
    try_to_read,
)
from tests.engines.redis_servers import Cluster, Server
from tests.running_gateway import RunningGateway, errors

OLDER_SQL = Path(__file__).parent / "older_store.sql"
BOARD = (
    '{"id":"board","name":"board","type":"chat","permissions":{"read":["staff"],"write":["staff"],'
    '"admin":["boss"]},"maxParticipants":100,"sanitize":null}'
)
PLAIN = (
    '{"id":"plain","name":"plain","type":"chat","permissions":{"read":["user"],"write":["user"],'
    '"admin":["admin"]},"maxParticipants":100,"sanitize":null}'
)
DRAFT = '{"id":"00000000000000000000000000000000","time":1,"data":"the merger"}'
POSITION = {"offset": 1, "epoch": "2d2ec97d"}

Cli = Callable[..., str]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file of schema 2, as an engine of the version before has closed it."""
    path = tmp_path / "engine.db"
    db = sqlite3.connect(path)
    db.executescript(OLDER_SQL.read_text())
    db.close()
    return path


def older_keys(cli: Cli, ttl: str = "60000") -> None:
    """Write rooms, and a stream without one, under the keys of the version before."""
    now = int(time.time() * 1000)
    for name, record in (("board", BOARD), ("plain", PLAIN), ("orphan", None)):
        stream = f"portward:{{rooms:{name}}}:"
        cli("HSET", f"{stream}meta", "epoch", "2d2ec97d", "offset", "1", "life", "2d2ec97d")
        cli("HSET", f"{stream}meta", "reign", _generation(cli, f"{stream}meta"))
        cli("RPUSH", f"{stream}log", DRAFT)
        cli("RPUSH", f"{stream}times", str(now))
        for part in ("meta", "log", "times"):
            cli("PEXPIRE", f"{stream}{part}", "90000")
        if record is not None:
            cli("SET", f"portward:room:{name}", record, "PX", ttl)
            cli("ZADD", "portward:rooms", str(now + int(ttl)), f"portward:room:{name}")


def _generation(cli: Cli, key: str) -> str:
    script = "return string.match(redis.call('INFO','replication'),'master_replid:(%w+)')"
    return cli("EVAL", script, "1", key).strip()


async def check_house(running: RunningGateway) -> None:
    """The closed room is closed, the open one is open, and the one without a record is nobody's."""
    await try_to_read(running, POSITION)
    sue = await member(running)
    await asked(sue, "history", roomId="board")
    assert [each["content"] for each in sue.last("history")["messages"]] == [SECRET]
    await asked(sue, "message", roomId="board", content="more")
    ann = await person(running, "ann", "user", permissions=["room.create"])
    await asked(ann, "join", roomId="plain")
    assert ann.last("room_joined")["roomId"] == "plain"
    await asked(ann, "join", roomId="orphan")
    assert errors(ann) == ["Insufficient permissions"]
    assert await running.gateway.operations.orphans() == (Channel.parse("rooms:orphan"),)
    for client in (sue, ann):
        client.leave()


@pytest.mark.parametrize("auto_create", [True, False], ids=["development", "production"])
async def test_a_file_of_the_version_before(file: Path, *, auto_create: bool) -> None:
    """All records of the file stay, those whose time was over included."""

    def older(clock: FakeClock) -> Engine:
        return SqliteEngine(str(file), clock)

    async with gateway_of(older, given(auto_create=auto_create)) as running:
        await check_house(running)
        assert sorted(await running.gateway.node.engine.rooms.all()) == [
            "rooms:board",
            "rooms:plain",
            "rooms:stale",
        ]
        running.clock.advance(2 * HISTORY)
        await swept(running.gateway.node.engine)
        await try_to_read(running, POSITION)
        await member(running)
        ann = await person(running, "ann", "user")
        await asked(ann, "join", roomId="stale")
        assert errors(ann) == ["Insufficient permissions"]


@pytest.mark.parametrize("auto_create", [True, False], ids=["development", "production"])
async def test_keys_of_the_version_before(redis: Server, *, auto_create: bool) -> None:
    """Records that were to run out stay; name, type and value of their keys are as they were."""
    older_keys(redis.cli)

    def engine(_: FakeClock) -> Engine:
        return RedisEngine(parse_url(redis.url), LoopClock())

    async with gateway_of(engine, given(auto_create=auto_create, history=86400.0)) as running:
        for name in ("board", "plain"):
            assert redis.cli("TTL", f"portward:room:{name}").strip() == "-1"
            assert redis.cli("TYPE", f"portward:room:{name}").strip() == "string"
        assert redis.cli("GET", "portward:room:board").strip() == BOARD
        await check_house(running)
        assert redis.cli("GET", "portward:room:board").strip() == BOARD


async def test_keys_of_the_version_before_in_a_cluster(cluster: Cluster) -> None:
    """The same where a record and its stream are on different servers."""
    older_keys(cluster.cli)

    def engine(_: FakeClock) -> Engine:
        return RedisEngine(parse_url(cluster.url), LoopClock())

    async with gateway_of(engine, given(history=86400.0)) as running:
        await check_house(running)


async def test_a_node_of_the_version_before_beside(redis: Server) -> None:
    """What an older node lets run out again, at each use, stays: by the next look, and by the sweep."""
    older_keys(redis.cli)
    board, plain = Channel.parse("rooms:board"), Channel.parse("rooms:plain")
    engine = RedisEngine(parse_url(redis.url), LoopClock())
    await engine.start(Recorder())
    try:
        redis.cli("PEXPIRE", "portward:room:board", "50000")
        assert await engine.rooms.get(board) is not None
        assert redis.cli("TTL", "portward:room:board").strip() == "-1"
        redis.cli("PEXPIRE", "portward:room:plain", "50000")
        redis.cli(
            "ZADD", "portward:rooms", str(int(time.time() * 1000) + 50000), "portward:room:plain"
        )
        await engine.sweep()
        assert redis.cli("TTL", "portward:room:plain").strip() == "-1"
        redis.cli("DEL", "portward:room:plain")
        assert set(await engine.rooms.all()) == {board}
        assert await engine.rooms.get(plain) is None
    finally:
        await engine.stop()


@pytest.mark.parametrize("text", ["", "5", "[]", '{"id":1}', "no JSON", '{"id":"x","more":1}'])
async def test_what_another_application_wrote(redis: Server, text: str) -> None:
    """A value that is no record lets nobody in, also not by making the room; the backend replaces it."""
    redis.cli("SET", "portward:room:board", text)

    def engine(_: FakeClock) -> Engine:
        return RedisEngine(parse_url(redis.url), LoopClock())

    async with gateway_of(engine, given()) as running:
        await try_to_read(running, POSITION)
        assert redis.cli("GET", "portward:room:board").rstrip("\n") == text
        await running.gateway.rooms.set("board")
        ann: Any = await person(running, "ann", "user")
        await asked(ann, "join", roomId="board")
        assert ann.last("room_joined")
