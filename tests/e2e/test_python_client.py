"""The Python client against the real process: each endpoint, cut off and back."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from portward.client import (
    ConversationEnded,
    Gap,
    Portward,
    Position,
    StoppedError,
    Stored,
    TopicData,
)
from portward.client.endpoint import EndpointClient
from portward.security.tokens import sign
from tests.e2e.gateways import PROCESS, TOKENS, UNLIMITED, process, until
from tests.e2e.live_client import TOPICS
from tests.e2e.process import SECRET, Served
from tests.e2e.provider_server import COOKIE, Directory, directory
from tests.e2e.relay import KEY
from tests.realtime_api import FaultyUpstream

WAIT = 60


class Whole:
    """A process that serves every endpoint, and what it depends on."""

    def __init__(self, served: Served, provider: Directory, upstream: FaultyUpstream) -> None:
        self.served = served
        self.provider = provider
        self.upstream = upstream

    def client(self, user: str, **options: Any) -> Portward:
        """A client of a user."""
        return Portward(self.served.url, **{"get_token": lambda: token(user), **options})


def token(user: str, **claims: Any) -> str:
    """A token that the process accepts."""
    now = int(time.time())
    given = {"sub": user, "iat": now, "exp": now + 600, "roles": ["user"], **claims}
    return sign(given, SECRET)


@asynccontextmanager
async def whole(folder: Path) -> AsyncIterator[Whole]:
    """Run everything until the block ends."""
    async with (
        directory() as provider,
        FaultyUpstream(KEY) as upstream,
    ):
        keys = {"url": upstream.url, "api_key": KEY, "allow_private": True}
        toml = "\n".join(
            [
                PROCESS,
                TOKENS,
                UNLIMITED,
                "[upstream]",
                *(f"{name} = {json.dumps(value)}" for name, value in keys.items()),
                f'[identity_provider]\nurl = "{provider.url}"\nrevalidate = "5s"',
                TOPICS,
            ]
        )
        async with process(folder, toml) as served:
            yield Whole(served, provider, upstream)


@pytest.fixture
async def running(tmp_path: Path) -> AsyncIterator[Whole]:
    """A running gateway."""
    async with whole(tmp_path) as made:
        yield made


def cut(client: EndpointClient) -> None:
    """Break a connection, as when a cable is pulled."""
    connection = client._reconnecting.connection
    assert connection is not None
    connection._transport.abort()


async def test_every_endpoint(running: Whole) -> None:
    """Rooms, alerts, live and the relay, each cut off and back; nothing of the client remains."""
    await rooms(running)
    await alerts(running)
    await live(running)
    await relay(running)
    remaining = [str(task.get_coro()) for task in asyncio.all_tasks()]
    assert [each for each in remaining if "client" in each and "test_every" not in each] == []
    output = "".join(running.served.output)
    assert "secret" not in output


async def rooms(running: Whole) -> None:
    """Two users talk; one is cut off, comes back and gets what was said meanwhile, once."""
    async with running.client("ann") as ann, running.client("bob") as bob:
        room, other = ann.room("lobby"), bob.room("lobby")
        loads: list[Position] = []
        hall = ann.room("hall", get_state=_loading(loads))
        await room.join()
        await hall.join()
        await other.join()
        assert isinstance(await other.send("one"), Stored)
        assert (await anext(room.__aiter__())).content == "one"
        cut(ann.rooms)
        assert isinstance(await other.send("two"), Stored)
        assert isinstance(await room.send("three"), Stored)
        heard = [(await anext(room.__aiter__())).content for _ in range(2)]
        assert heard == ["two", "three"]
        page = await room.history(limit=2)
        assert [each.content for each in page.messages] == ["two", "three"]
        assert set(room.presence) == {"ann", "bob"}
        assert len(loads) == 1
        await running.served.call("revoke", user="ann")
        with pytest.raises(StoppedError, match="force disconnect"):
            await asyncio.wait_for(anext(room.__aiter__()), WAIT)
        assert ann.rooms.state == "stopped"


def _loading(loads: list[Position]) -> Any:
    async def get_state(position: Position) -> None:
        loads.append(position)

    return get_state


async def alerts(running: Whole) -> None:
    """Alerts that were missed come after a break, each once."""

    async def report(score: float) -> None:
        payload = {"callId": "call-7", "callQuality": {"mosScore": score}}
        await running.served.call("analysis", event="result", payload=payload)

    async with running.client("sue") as sue:
        alerts = sue.alerts()
        gaps: list[Gap] = []
        alerts.on("gap", gaps.append)
        assert await alerts.subscribe(["call-7", "call-8"]) == ("call-7", "call-8")
        await report(3.9)
        assert (await anext(alerts.__aiter__())).severity == "medium"
        cut(alerts)
        await report(2.1)
        await report(3.0)
        missed = [await asyncio.wait_for(anext(alerts.__aiter__()), WAIT) for _ in range(2)]
        assert [each.severity for each in missed] == ["critical", "high"]
        assert [each.severity for each in await alerts.history("call-7", 2)] == ["critical", "high"]
        assert gaps == []
        assert await alerts.unsubscribe(["call-8"]) == ("call-7",)


async def live(running: Whole) -> None:
    """A topic has its snapshot again after a break; a logout at the provider stops the client."""

    async def publish(value: int) -> None:
        await running.served.call("publish", channel="live:event:1", data=value, key="score")

    running.provider.login("cookie-of-ann", "ann", "1")
    await publish(1)
    async with Portward(running.served.url) as page:
        live = page.live(cookie=f"{COOKIE}=cookie-of-ann")
        topic = live.topic("event:1")
        gaps: list[Gap] = []
        snapshots: list[tuple[TopicData, ...]] = []
        topic.on("gap", gaps.append)
        topic.on("snapshot", snapshots.append)
        reading = asyncio.create_task(anext(topic.__aiter__()))
        await until(lambda: len(snapshots) == 1)
        await publish(2)
        assert (await asyncio.wait_for(reading, WAIT)).data == 2
        cut(live)
        await publish(3)
        await until(lambda: len(snapshots) == 2)
        assert [each.data for each in topic.snapshot] == [3]
        assert len(gaps) == 1
        running.provider.logout("cookie-of-ann")
        with pytest.raises(StoppedError, match="force disconnect"):
            await asyncio.wait_for(anext(topic.__aiter__()), WAIT)


async def relay(running: Whole) -> None:
    """A conversation that breaks has ended; another one is begun by the application."""
    async with running.client("tom") as tom:
        relay = tom.relay()
        await relay.connect()
        await relay.send({"type": "response.create", "response": {"instructions": "Say hello."}})
        kinds = []
        async for event in relay:
            assert isinstance(event, dict)
            kinds.append(event["type"])
            if event["type"] == "response.done":
                break
        assert kinds[0] == "session.created"
        cut(relay)
        with pytest.raises(ConversationEnded):
            await asyncio.wait_for(anext(relay.__aiter__()), WAIT)
        await relay.connect()
        again = await asyncio.wait_for(anext(relay.__aiter__()), WAIT)
        assert isinstance(again, dict)
        assert again["type"] == "session.created"
