"""Publishing and reading on behalf of the backend, and over a store that fails."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from msgspec.structs import replace

from portward.engines.port import EngineUnavailable
from portward.model.channel import Channel
from portward.model.errors import CommandError, ErrorKind
from portward.model.limits import DATA
from portward.model.position import Position
from portward.settings import Secret
from portward.telemetry.events import Event
from tests.running_gateway import (
    LOBBY,
    RunningGateway,
    ask,
    contents,
    errors,
    family,
    kinds,
    run_gateway,
    settings,
    settle,
)
from tests.slow_engine import arrive, slow_gateway


@pytest.fixture
async def running() -> AsyncIterator[RunningGateway]:
    """A gateway with one member in the lobby's room."""
    async with run_gateway() as running:
        await running.room(sanitize="none")
        yield running


async def test_messages_restart_the_idle_time_of_a_room_now_and_then(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The store is told at most a hundred times within that time, and at once for a room made anew."""
    async with run_gateway(settings(rooms={"auto_create": True})) as running:
        ann = await running.client("ann", "lobby")
        rooms, used = running.gateway.node.engine.rooms, list[float]()
        idle = running.gateway.node.namespaces["rooms"].idle_ttl
        use_room = rooms.use

        async def use(channel: Channel, seconds: float) -> None:
            used.append(running.clock.monotonic())
            await use_room(channel, seconds)

        monkeypatch.setattr(rooms, "use", use)
        for pause, expected in (
            (0, 1),
            (0, 1),
            (idle / 150, 1),
            (idle / 150, 2),
            (0, 2),
            (idle / 90, 3),
        ):
            running.clock.advance(pause)
            await ask(ann, "message", roomId="lobby", content="hello")
            assert len(used) == expected
        await ask(ann, "leave", roomId="lobby")
        await running.gateway.rooms.remove("lobby")
        await ask(ann, "join", roomId="lobby")
        before = len(used)
        await ask(ann, "message", roomId="lobby", content="hello")
        assert len(used) == before + 1


@pytest.mark.parametrize(
    "data", [None, True, 0, 1.5, "text", "", [], {"a": [1, {"b": None}]}, "ž" * 1000]
)
async def test_any_json_value(running: RunningGateway, data: object) -> None:
    """The backend publishes any JSON value, and it arrives as it was."""
    ann = await running.client("ann", "lobby")
    position = await running.gateway.publish(LOBBY, data)
    await settle()
    assert contents(ann) == [data]
    assert position.offset == 1


@pytest.mark.parametrize("size", [-1, 0, 1])
@pytest.mark.parametrize("shape", ["text", "list", "escapes"])
async def test_size_of_a_publication(running: RunningGateway, size: int, shape: str) -> None:
    """Sixty-four KiB of JSON are published, one byte more is not."""
    length = DATA - 2 + size
    data: Any = "x" * length
    if shape == "list":
        data = ["x" * (length - 2)]
    elif shape == "escapes":
        data = "\n" * (length // 2) + "x" * (length % 2)
    if size <= 0:
        await running.gateway.publish(LOBBY, data)
        return
    with pytest.raises(CommandError) as caught:
        await running.gateway.publish(LOBBY, data)
    assert caught.value.kind is ErrorKind.TOO_LONG


@pytest.mark.parametrize(
    "data", ["\ud800", {"a": "\udfff"}, object(), {1, object()}, ["x" * 20_000, "\ud800"]]
)
async def test_what_is_no_json(running: RunningGateway, data: object) -> None:
    """What has no JSON is refused before it is stored, so that it poisons nobody's history."""
    ann = await running.client("ann", "lobby")
    with pytest.raises(CommandError) as caught:
        await running.gateway.publish(LOBBY, data)
    assert caught.value.kind is ErrorKind.INVALID_STRUCTURE
    await ask(ann, "history", roomId="lobby")
    assert ann.last("history")["messages"] == []


async def test_idempotency(running: RunningGateway) -> None:
    """A repeated key within five minutes publishes nothing and returns the first position."""
    ann = await running.client("ann", "lobby")
    first = await running.gateway.publish(LOBBY, "x", idempotency_key="k")
    again = await running.gateway.publish(LOBBY, "y", idempotency_key="k")
    await settle()
    assert (first, contents(ann)) == (again, ["x"])
    await running.advance(299)
    assert await running.gateway.publish(LOBBY, "y", idempotency_key="k") == first
    await running.advance(2)
    assert (await running.gateway.publish(LOBBY, "y", idempotency_key="k")).offset == 2


async def test_unknown_family(running: RunningGateway) -> None:
    """A channel of no known family is refused, and a text that is no channel is a mistake."""
    for operation in (
        running.gateway.publish("nowhere:x", 1),
        running.gateway.history("nowhere:x"),
        running.gateway.presence("nowhere:x"),
    ):
        with pytest.raises(CommandError) as caught:
            await operation
        assert caught.value.kind is ErrorKind.UNKNOWN_CHANNEL
    with pytest.raises(ValueError, match="channel"):
        await running.gateway.publish("lobby", 1)


async def test_history_of_the_backend(running: RunningGateway) -> None:
    """The backend reads back from either end, from a position, or the position alone."""
    for number in range(1, 151):
        position = await running.gateway.publish(LOBBY, number)
    history = running.gateway.history

    async def read(*args: Any, **options: Any) -> list[int]:
        return [each.offset for each in (await history(LOBBY, *args, **options)).publications]

    assert await read(3) == [1, 2, 3]
    assert await read(3, reverse=True) == [148, 149, 150]
    assert await read(1000) == list(range(1, 101))
    assert await read(2, Position(10, position.epoch)) == [11, 12]
    assert await read() == list(range(1, 51))
    assert await read(0) == await read(-5) == []
    assert (await history(LOBBY, 0)).position == position
    with pytest.raises(CommandError) as caught:
        await history(LOBBY, 3, Position(10, "other"))
    assert caught.value.kind is ErrorKind.UNRECOVERABLE


async def test_presence_of_the_backend(running: RunningGateway) -> None:
    """The backend sees every connection in a channel."""
    clients = [await running.client(user, "lobby") for user in ("ann", "ann", "bob")]
    members = await running.gateway.presence(LOBBY)
    ids = [client.last("handshake")["connectionId"] for client in clients]
    assert [(member.user, member.client) for member in members] == list(
        zip(("ann", "ann", "bob"), ids, strict=True)
    )
    participants = await running.gateway.operations.participants(LOBBY)
    assert [(each.user, each.connections) for each in participants] == [("ann", 2), ("bob", 1)]


async def test_presence_where_it_is_off() -> None:
    """A family without presence has none to show."""
    async with run_gateway(settings(namespace={"presence": False})) as running:
        with pytest.raises(CommandError) as caught:
            await running.gateway.presence(LOBBY)
        assert caught.value.kind is ErrorKind.UNAVAILABLE


async def test_publishing_into_other_families() -> None:
    """A channel of a family without rooms needs no room."""
    given = replace(settings(), namespaces=family("feed", history_size=2))
    async with run_gateway(given) as running:
        for number in range(3):
            await running.gateway.publish("feed:a", number)
        page = await running.gateway.history("feed:a")
        assert [each.data for each in page.publications] == [1, 2]


async def test_backend_messages_are_cleaned_and_signed_like_any() -> None:
    """What the backend says in a chat is cleaned, and signed where messages are."""
    given = settings(rooms={"sign_messages": True, "sign_secret": Secret("s" * 32)})
    async with run_gateway(given) as running:
        ann = await running.client("ann", "lobby")
        await running.gateway.publish(LOBBY, "<b>")
        await settle()
        assert contents(ann) == ["b"]
        assert ann.last("message")["signature"]
        with pytest.raises(CommandError):
            await running.gateway.publish(LOBBY, "<>")


# -- a store that fails


async def test_publish_with_the_store_away() -> None:
    """A message the store did not take is refused for now, and nobody hears it."""
    async with slow_gateway() as (running, engine):
        ann = await arrive(running, engine, "ann", "lobby")
        engine.fails = {"streams.publish"}
        await ask(ann, "message", roomId="lobby", content="x", id="m")
        await engine.run()
        error = ann.all("error")[0]
        assert (error["data"]["code"], error["id"]) == ("unavailable", "m")
        assert contents(ann) == []
        with pytest.raises(EngineUnavailable):
            await _run(engine, running.gateway.publish(LOBBY, "x"))
        engine.fails.clear()
        for _ in range(25):
            await ask(ann, "message", roomId="lobby", content="x")
            await engine.run()
        assert contents(ann) == ["x"] * 25


async def _run(engine: Any, work: Any) -> Any:
    task = asyncio.ensure_future(work)
    await engine.run()
    return await task


async def test_store_away_ends_nobody() -> None:
    """Faults of the store are not the client's: they end no connection, however many."""
    async with slow_gateway() as (running, engine):
        ann = await arrive(running, engine, "ann", "lobby")
        engine.fails = {"streams.history"}
        for _ in range(25):
            await ask(ann, "history", roomId="lobby")
            await engine.run()
        assert ann.open
        assert errors(ann) == ["Temporarily unavailable"] * 25
        assert running.count("faults_total", endpoint="rooms", code="unavailable") == 25
        engine.fails.clear()


# -- defects


async def test_defect_is_answered_and_recorded(running: RunningGateway) -> None:
    """A defect while a message is served is answered without a detail, recorded, and harms nobody."""
    ann, bob = await running.client("ann", "lobby"), await running.client("bob", "lobby")
    engine = running.gateway.node.engine

    async def broken(*_: object) -> None:
        raise RuntimeError("canary")

    publish, engine.streams.publish = engine.streams.publish, broken  # type: ignore[method-assign, assignment]  # a defect
    await ask(ann, "message", roomId="lobby", content="x", id="m")
    engine.streams.publish = publish  # type: ignore[method-assign]  # mended
    error = ann.all("error")[0]
    assert error["data"] == {"message": "Internal error", "code": "internal"}
    assert error["id"] == "m"
    assert running.events(Event.INTERNAL_ERROR) == 1
    await ask(ann, "message", roomId="lobby", content="y")
    assert contents(bob) == ["y"]
    running.gateway.telemetry.log.close(5)
    assert "canary" not in running.log.getvalue()


async def test_answer_that_cannot_be_written(running: RunningGateway) -> None:
    """An answer the protocol cannot put into words is an internal error, not silence."""
    await running.gateway.publish(LOBBY, "x", type="\ud800")
    ann = await running.client("ann", "lobby")
    await ask(ann, "history", roomId="lobby", id="h")
    assert errors(ann) == ["Internal error"]
    assert ann.all("error")[0]["id"] == "h"
    await ask(ann, "heartbeat")
    assert kinds(ann)[-1] == "heartbeat_response"


async def test_poison_for_the_fan_out(running: RunningGateway) -> None:
    """A publication that cannot be put into words is left out, and everything else arrives."""
    ann, bob = await running.client("ann", "lobby"), await running.client("bob", "lobby")
    for number in range(5):
        await running.gateway.publish(LOBBY, number, type="\ud800" if number == 2 else None)
    await settle()
    assert contents(ann) == contents(bob) == [0, 1, 3, 4]
    assert running.events(Event.INTERNAL_ERROR) == 1
