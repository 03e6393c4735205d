import asyncio
from typing import Any

import pytest

from portward.client import Gap, GapError, LiveClient, Portward, RequestRefused, Topic
from portward.model.position import Position
from tests.client.scripted import Answers, World, refused, settle


class FakeTopics:
    """Answers as the live endpoint does."""

    def __init__(self) -> None:
        self.snapshot: list[dict[str, Any]] = []
        self.position = {"offset": 2, "epoch": "e1"}

    def subscribe(self, data: dict[str, Any]) -> Answers:
        """Answer `subscribe`."""
        answer = {"topic": data["topic"], "snapshot": self.snapshot, "position": self.position}
        return [("subscribed", answer)]


def live_world() -> tuple[World, FakeTopics]:
    """A world whose gateway has topics."""
    topics = FakeTopics()
    answers: dict[str, Any] = {
        "subscribe": topics.subscribe,
        "unsubscribe": lambda data: [("unsubscribed", {"topic": data["topic"]})],
        "ping": lambda _: [("pong", {})],
    }
    return World("flat", answers), topics


def data(offset: int, key: str | None = "score", value: int = 1) -> dict[str, Any]:
    """A publication as it travels."""
    made = {"topic": "event:42", "data": value, "ts": 1000, "offset": offset}
    return made if key is None else made | {"key": key}


async def subscribed(client: Portward, **options: Any) -> Topic:
    """A topic that is subscribed to."""
    topic = client.live(cookie="session=cookie-secret").topic("event:42", **options)
    topic.subscribe()
    await settle()
    return topic


async def read(topic: Topic, count: int) -> list[int]:
    """The offsets of some publications, which are there."""
    return [(await asyncio.wait_for(anext(topic.__aiter__()), 5)).offset for _ in range(count)]


async def back(world: World) -> None:
    """Break the connection, and wait for the next."""
    world.draw = 0.0
    world.last.end(None)
    await world.advance(0.5)


async def test_snapshot_and_data() -> None:
    """The snapshot is the latest of every key, and follows what is published."""
    world, topics = live_world()
    topics.snapshot = [data(1, "score"), data(2, "clock")]
    async with world.client() as client:
        seen: list[Any] = []
        topic = client.live(cookie="session=cookie-secret").topic("event:42")
        assert client.live() is client.live()
        topic.on("snapshot", seen.append)
        topic = await subscribed(client)
        assert world.headers == [{"Origin": "http://gateway", "Cookie": "session=cookie-secret"}]
        assert [each.key for each in topic.snapshot] == ["score", "clock"]
        world.last.say("data", data(3, "score", 5))
        world.last.say("data", data(4, None))
        world.last.say("data", data(4, None))
        world.last.say("data", data(9) | {"topic": "event:1"})
        await settle()
        assert await read(topic, 2) == [3, 4]
        assert [(each.key, each.data) for each in topic.snapshot] == [("clock", 1), ("score", 5)]
        assert len(seen) == 1
        assert "secret" not in f"{client!r} {client.live()!r} {topic!r}"


async def test_snapshots_are_bounded() -> None:
    """As at the gateway, the latest 1000 keys are kept."""
    world, _ = live_world()
    async with world.client() as client:
        topic = await subscribed(client)
        topic.on("data", len)
        for number in range(1001):
            world.last.say("data", data(number + 3, f"k{number}"))
        await settle(3000)
        assert len(topic.snapshot) == 1000


@pytest.mark.parametrize("moved", [True, False])
async def test_coming_back(moved: bool) -> None:
    """Coming back is a gap when the topic has moved on; the snapshot is that of now."""
    world, topics = live_world()
    async with world.client() as client:
        topic = await subscribed(client)
        gaps: list[Gap] = []
        topic.on("gap", gaps.append)
        if moved:
            topics.position = {"offset": 5, "epoch": "e1"}
            topics.snapshot = [data(5, "score", 7)]
        await back(world)
        assert [(gap.start, gap.end) for gap in gaps] == (
            [(Position(2, "e1"), Position(5, "e1"))] if moved else []
        )
        assert len(topic.snapshot) == int(moved)
        assert topic.state == "in"


async def test_a_gap_that_nothing_handles() -> None:
    """Without a callback a gap is raised by the iteration."""
    world, topics = live_world()
    async with world.client() as client:
        topic = await subscribed(client)
        reading = asyncio.create_task(read(topic, 1))
        await settle()
        topics.position = {"offset": 1, "epoch": "e2"}
        await back(world)
        with pytest.raises(GapError):
            await reading


async def test_state() -> None:
    """With get_state it is called with the position at every entry that may have missed something."""
    world, topics = live_world()
    loads: list[Position] = []

    async def get_state(position: Position) -> None:
        loads.append(position)

    async with world.client() as client:
        topic = await subscribed(client, get_state=get_state)
        topics.position = {"offset": 5, "epoch": "e1"}
        await back(world)
        world.last.say("data", data(6))
        await settle()
        assert await read(topic, 1) == [6]
        assert loads == [Position(2, "e1"), Position(5, "e1")]


async def test_forbidden_topics() -> None:
    """A topic that is refused, at once or later, ends with the error."""
    world, _ = live_world()
    async with world.client() as client:
        topic = await subscribed(client)
        errors: list[Any] = []
        topic.on("forbidden", errors.append)
        refusal = {"code": "forbidden", "message": "Subscription refused", "topic": "event:42"}
        world.last.say("error", refusal)
        await settle()
        with pytest.raises(RequestRefused, match="Subscription refused"):
            await read(topic, 1)
        world.last.answers["subscribe"] = refused("forbidden", topic="event:42")
        reading = asyncio.create_task(read(topic, 1))
        with pytest.raises(RequestRefused):
            await reading
        assert len(errors) == 2
        await back(world)
        assert "subscribe" not in world.last.kinds()


@pytest.mark.parametrize("code", ["unavailable", "limit"])
async def test_topics_that_are_refused_for_now(code: str) -> None:
    """A topic that is refused for now is tried again after the time that was named."""
    world, topics = live_world()
    world.answers["subscribe"] = refused(code, topic="event:42", retryMs=3000)
    async with world.client() as client:
        topic = await subscribed(client)
        world.last.answers["subscribe"] = topics.subscribe
        await world.advance(2.5)
        assert topic.state == "subscribing"
        await world.advance(1.5)
        assert topic.state == "in"  # type: ignore[comparison-overlap]


async def test_a_subscription_without_an_answer() -> None:
    """It ends the connection; the next one subscribes."""
    world, topics = live_world()
    world.draw = 0.0
    world.answers["subscribe"] = lambda _: []
    async with world.client() as client:
        topic = await subscribed(client)
        world.answers["subscribe"] = topics.subscribe
        await world.advance(11)
        assert (topic.state, len(world.transports)) == ("in", 2)


async def test_closing_a_topic() -> None:
    """A topic that is closed is not subscribed to again, and its iteration ends."""
    world, _ = live_world()
    async with world.client() as client:
        topic = await subscribed(client)
        reading = asyncio.create_task(_all(topic))
        await settle()
        closing = asyncio.create_task(topic.close())
        await settle()
        await closing
        assert await reading == []
        await topic.close()
        assert world.last.kinds().count("unsubscribe") == 1
        again = await subscribed(client)
        assert again is topic
        world.last.end(None)
        await settle()
        await topic.close()
        await world.advance(1)
        assert "subscribe" not in world.last.kinds()


async def test_logged_out() -> None:
    """After 3503 every topic ends with the error."""
    world, _ = live_world()
    async with world.client() as client:
        topic = await subscribed(client)
        world.last.end(3503, "force disconnect")
        await settle()
        with pytest.raises(Exception, match="force disconnect"):
            await read(topic, 1)
        assert isinstance(client.live(), LiveClient)


async def test_no_cookie_and_another_origin() -> None:
    """Without a cookie none is sent; the origin may be another one."""
    world, _ = live_world()
    async with world.client() as client:
        live = client.live(origin="https://www.example.com")
        connecting = asyncio.create_task(live.connect())
        await settle()
        await connecting
        assert world.headers == [{"Origin": "https://www.example.com"}]


async def _all(topic: Topic) -> list[Any]:
    return [each async for each in topic]
