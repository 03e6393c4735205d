"""Reading back and coming back: pages, recovery, and what cannot be recovered."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from portward.model.limits import Rate
from portward.settings.limits import Limits, RateLimit
from portward.testing import MemoryClient
from tests.running_gateway import (
    LOBBY,
    RunningGateway,
    ask,
    contents,
    errors,
    forget,
    offsets,
    run_gateway,
    settings,
)
from tests.running_gateway import settle as turn

pytestmark = pytest.mark.p1

UNLIMITED = RateLimit(rate=Rate(0, 1.0, 1))
FREE = Limits(messages=UNLIMITED, join=UNLIMITED, history=UNLIMITED)


@pytest.fixture
async def running() -> AsyncIterator[RunningGateway]:
    """A gateway without limits per user."""
    async with run_gateway(settings(rooms={"limits": FREE})) as running:
        yield running


async def say(running: RunningGateway, count: int, start: int = 1) -> None:
    """Publish numbered messages in the lobby."""
    for number in range(start, start + count):
        await running.gateway.publish(LOBBY, f"m{number}")
    await turn()


async def page(client: MemoryClient, **query: Any) -> list[int]:
    """The offsets of one page of history."""
    await ask(client, "history", roomId="lobby", **query)
    return [message["offset"] for message in client.last("history")["messages"]]


async def join(client: MemoryClient, offset: int, epoch: str) -> Any:
    """Join the lobby as somebody who heard up to `offset`; returns the answer."""
    await ask(client, "join", roomId="lobby", since={"offset": offset, "epoch": epoch})
    return client.last("room_joined")


async def epoch_of(running: RunningGateway) -> str:
    """The epoch of the lobby."""
    return (await running.gateway.history(LOBBY, 1)).position.epoch


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, range(151, 201)),
        ({"limit": 3}, [198, 199, 200]),
        ({"limit": 0}, []),
        ({"limit": 0, "before": 10}, []),
        ({"limit": 0, "since": 10}, []),
        ({"limit": 100}, range(101, 201)),
        ({"limit": 1000}, range(101, 201)),
        ({"before": 10}, range(1, 10)),
        ({"before": 198, "limit": 3}, [195, 196, 197]),
        ({"before": 1}, []),
        ({"before": 0}, []),
        ({"before": 10_000, "limit": 2}, [199, 200]),
        ({"since": 0, "limit": 3}, [1, 2, 3]),
        ({"since": 198}, [199, 200]),
        ({"since": 200}, []),
        ({"since": 10_000}, []),
    ],
)
async def test_pages(running: RunningGateway, query: dict[str, int], expected: Any) -> None:
    """The newest fifty by default, at most a hundred; `before` pages back and `since` forward; 0 is none."""
    await running.room()
    await say(running, 200)
    ann = await running.client("ann", "lobby")
    assert await page(ann, **query) == list(expected)
    assert ann.last("history")["position"]["offset"] == 200


async def test_paging_back_covers_everything_once(running: RunningGateway) -> None:
    """Pages, each before the first message of the one before it, cover the whole history."""
    await running.room()
    await say(running, 123)
    ann = await running.client("ann", "lobby")
    pages = [await page(ann, limit=25)]
    while pages[0] and pages[0][0] > 1:
        pages.insert(0, await page(ann, limit=25, before=pages[0][0]))
    assert [offset for each in pages for offset in each] == list(range(1, 124))


async def test_paging_on_with_an_epoch(running: RunningGateway) -> None:
    """`since` may name the epoch; of another epoch there is nothing to read."""
    await running.room()
    await say(running, 3)
    ann = await running.client("ann", "lobby")
    epoch = await epoch_of(running)
    assert await page(ann, since={"offset": 1, "epoch": epoch}) == [2, 3]
    await ask(ann, "history", roomId="lobby", since={"offset": 1, "epoch": "other"})
    assert ann.last("error")["code"] == "unrecoverable_position"


async def test_a_thousand_are_kept(running: RunningGateway) -> None:
    """Of more than a thousand messages the last thousand are kept."""
    await running.room()
    await say(running, 1005)
    ann = await running.client("ann", "lobby")
    assert await page(ann, before=10) == [6, 7, 8, 9]
    assert await page(ann, since=0, limit=1) == [6]


async def test_history_ends_with_the_right(running: RunningGateway) -> None:
    """The right is judged when history is read: who lost it reads nothing."""
    await running.room()
    await say(running, 3)
    ann = await running.client("ann", "lobby")
    await running.room(permissions={"read": ["staff"], "write": [], "admin": []})
    await ask(ann, "history", roomId="lobby")
    assert errors(ann) == ["Insufficient permissions"]


# -- recovery


@pytest.mark.parametrize("heard", [0, 1, 4, 9, 10])
async def test_exactly_what_was_missed(running: RunningGateway, heard: int) -> None:
    """Who comes back is given exactly what it missed, in order, and nothing twice."""
    await running.room()
    await say(running, 10)
    epoch = await epoch_of(running)
    ann = await running.client("ann")
    answer = await join(ann, heard, epoch)
    assert answer["recovered"] is True
    assert [each["offset"] for each in answer["messages"]] == list(range(heard + 1, 11))
    assert answer["position"] == {"offset": 10, "epoch": epoch}
    await say(running, 2, start=11)
    assert offsets(ann) == [11, 12]
    assert running.count("recoveries_total", namespace="rooms", result="recovered") == 1


async def test_messages_are_recovered_as_they_were_sent(running: RunningGateway) -> None:
    """A recovered message is the broadcast itself."""
    ann, bob = await running.client("ann", "lobby"), await running.client("bob", "lobby")
    epoch = bob.last("room_joined")["position"]["epoch"]
    await ask(ann, "message", roomId="lobby", content="hello")
    again = await running.client("bob")
    answer = await join(again, 0, epoch)
    assert answer["messages"] == [message["data"] for message in bob.all("message")]


async def test_nothing_was_missed(running: RunningGateway) -> None:
    """Who missed nothing is told so; recovering twice repeats nothing."""
    await running.room()
    await say(running, 3)
    epoch = await epoch_of(running)
    ann = await running.client("ann")
    await join(ann, 1, epoch)
    answer = await join(ann, 3, epoch)
    assert (answer["recovered"], answer["messages"]) == (True, [])
    assert offsets(ann) == []


async def test_joining_without_since_asks_for_nothing(running: RunningGateway) -> None:
    """Without `since` the answer speaks of no recovery."""
    await running.room()
    await say(running, 3)
    ann = await running.client("ann", "lobby")
    assert ann.last("room_joined").keys() == {"roomId", "participants", "position"}


async def lost(running: RunningGateway, offset: int, epoch: str) -> Any:
    """The answer to a recovery that cannot be."""
    answer = await join(await running.client("ann"), offset, epoch)
    assert (answer["recovered"], answer["messages"]) == (False, [])
    return answer


async def test_other_epoch(running: RunningGateway) -> None:
    """A position of another epoch is not recovered; the current one is told."""
    await running.room()
    await say(running, 5)
    answer = await lost(running, 2, "other")
    assert answer["position"] == {"offset": 5, "epoch": await epoch_of(running)}
    assert running.count("recoveries_total", namespace="rooms", result="epoch") == 1


async def test_epoch_changes_with_the_room(running: RunningGateway) -> None:
    """A room that was removed and made again is another stream."""
    await running.room()
    await say(running, 5)
    epoch = await epoch_of(running)
    await running.gateway.rooms.remove("lobby")
    await running.room()
    answer = await lost(running, 2, epoch)
    assert answer["position"]["offset"] == 0
    assert answer["position"]["epoch"] != epoch


async def test_position_of_the_future(running: RunningGateway) -> None:
    """A position the stream has not reached is not recovered."""
    await running.room()
    await say(running, 5)
    await lost(running, 6, await epoch_of(running))


async def test_trimmed(running: RunningGateway) -> None:
    """When what was missed is not all there any more, nothing is recovered."""
    await running.room()
    await say(running, 1100)
    epoch = await epoch_of(running)
    answer = await lost(running, 99, epoch)
    assert answer["position"]["offset"] == 1100


async def test_trimmed_by_size() -> None:
    """The border of the history is exact: one less is not recovered."""
    async with run_gateway(
        settings(rooms={"limits": FREE}, namespace={"history_size": 5})
    ) as running:
        await running.room()
        await say(running, 10)
        epoch = await epoch_of(running)
        await lost(running, 4, epoch)
        answer = await join(await running.client("bob"), 5, epoch)
        assert [each["offset"] for each in answer["messages"]] == [6, 7, 8, 9, 10]
        assert running.count("recoveries_total", namespace="rooms", result="trimmed") == 1


async def test_trimmed_by_age(running: RunningGateway) -> None:
    """What has outlived its time is not recovered, and the position goes on."""
    await running.room()
    await say(running, 3)
    await running.advance(86_000)
    await say(running, 2, start=4)
    epoch = await epoch_of(running)
    await running.advance(500)
    await lost(running, 2, epoch)
    answer = await join(await running.client("bob"), 3, epoch)
    assert [each["offset"] for each in answer["messages"]] == [4, 5]


@pytest.mark.parametrize(("missed", "recovered"), [(300, True), (301, False)])
async def test_more_than_three_hundred(
    running: RunningGateway, missed: int, recovered: bool
) -> None:
    """Three hundred missing messages are replayed, one more is not."""
    await running.room()
    await say(running, 400)
    answer = await join(await running.client("ann"), 400 - missed, await epoch_of(running))
    assert answer["recovered"] is recovered
    assert len(answer["messages"]) == (300 if recovered else 0)
    assert running.count("recoveries_total", namespace="rooms", result="too_many") == (
        not recovered
    )


async def test_recovery_needs_the_right_of_now(running: RunningGateway) -> None:
    """Who lost the right recovers nothing, in the words of any refusal."""
    await running.room()
    await say(running, 5)
    await running.room(permissions={"read": ["staff"], "write": [], "admin": []})
    ann = await running.client("ann")
    await ask(
        ann, "join", roomId="lobby", since={"offset": 1, "epoch": await epoch_of(running)}, id="x"
    )
    assert errors(ann) == ["Insufficient permissions"]


async def test_joining_again_with_a_position(running: RunningGateway) -> None:
    """Who joins again from where it stands gets what it had not read, and nothing twice."""
    ann = await running.client("ann", "lobby")
    epoch = ann.last("room_joined")["position"]["epoch"]
    await say(running, 2)
    ann.reading = False
    await say(running, 3, start=3)
    ann.send({"type": "join", "data": {"roomId": "lobby", "since": {"offset": 2, "epoch": epoch}}})
    await say(running, 2, start=6)
    ann.read()
    answer = ann.last("room_joined")
    assert [each["offset"] for each in answer["messages"]] == [3, 4, 5]
    assert offsets(ann) == [1, 2, 6, 7]


async def test_no_history_nothing_kept() -> None:
    """In a namespace without history only an unchanged position is recovered."""
    async with run_gateway(settings(namespace={"history_size": 0})) as running:
        await running.room()
        await say(running, 2)
        epoch = await epoch_of(running)
        await lost(running, 1, epoch)
        answer = await join(await running.client("bob"), 2, epoch)
        assert answer["recovered"] is True


async def test_offsets_are_dense(running: RunningGateway) -> None:
    """Messages of clients and of the backend share one dense numbering, in one order for all."""
    ann, bob = await running.client("ann", "lobby"), await running.client("bob", "lobby")
    forget(ann, bob)
    for number in range(10):
        client = (ann, bob)[number % 2]
        await ask(client, "message", roomId="lobby", content=f"c{number}")
        await running.gateway.publish(LOBBY, f"b{number}")
    await turn()
    assert offsets(ann) == offsets(bob) == list(range(1, 21))
    assert contents(ann) == contents(bob)
