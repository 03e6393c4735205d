"""Several rooms in one message, and recovery at the pace of its reader."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from portward.model.limits import KIB, Rate
from portward.node.sessions.pacing import ANSWER, PACED
from portward.settings.limits import Limits, RateLimit
from portward.testing import MemoryClient
from tests.running_gateway import (
    RunningGateway,
    ask,
    errors,
    kinds,
    run_gateway,
    session_of,
    settings,
    settle,
)

ENDLESS = RateLimit(rate=Rate(0, 1.0, 1))
FREE = Limits(messages=ENDLESS, auth=ENDLESS, attempts=ENDLESS, join=ENDLESS, history=ENDLESS)
SLACK = 8 * KIB
"""Envelopes around what is measured."""


@pytest.fixture
async def running() -> AsyncIterator[RunningGateway]:
    """A gateway without limits per user."""
    async with run_gateway(settings(rooms={"limits": FREE})) as running:
        yield running


def rooms(*names: str, **since: dict[str, Any]) -> list[dict[str, Any]]:
    """What a message asks for."""
    return [{"roomId": name, **({"since": since[name]} if name in since else {})} for name in names]


async def fill(running: RunningGateway, room: str, count: int, size: int = 10) -> None:
    """Publish so many messages."""
    for number in range(count):
        await running.gateway.publish(f"rooms:{room}", f"{number} " + "x" * size)


def told(client: MemoryClient, room: str) -> list[int]:
    """The offsets of one room that a client was brought, in its answer and after it."""
    found: list[int] = []
    for message in client.received:
        data = message["data"]
        if data.get("roomId") == room and message["type"] == "room_joined":
            found += [each["offset"] for each in data.get("messages", ())]
        elif data.get("roomId") == room and message["type"] == "message":
            found.append(data["offset"])
    return found


async def test_each_is_answered_and_then_all(running: RunningGateway) -> None:
    """One answer a room with the id of the message, and one at the end that names them all."""
    ann = await running.client("ann")
    await ask(ann, "join", id="j", rooms=rooms("a", "b c", "a", "c"))
    answers = [each for each in ann.received if each.get("id") == "j"]
    assert [each["type"] for each in answers] == ["room_joined", "error", "room_joined", "joined"]
    assert [each["data"].get("roomId") for each in answers[:3]] == ["a", "b c", "c"]
    assert answers[1]["data"]["code"] == "invalid_room_id"
    assert answers[3]["data"] == {
        "rooms": ["a", "c"],
        "failed": [{"roomId": "b c", "code": "invalid_room_id"}],
    }
    assert len(session_of(ann).subscriptions) == 2


async def test_nothing_to_join(running: RunningGateway) -> None:
    """An empty list is answered with its end alone."""
    ann = await running.client("ann")
    ann.received.clear()
    await ask(ann, "join", id="j", rooms=[])
    assert [each["data"] for each in ann.received] == [{"rooms": [], "failed": []}]


@pytest.mark.parametrize(
    "data",
    [
        {"rooms": rooms(*(f"r{n}" for n in range(129)))},
        {"rooms": rooms("a"), "roomId": "a"},
        {"rooms": rooms("a"), "since": {"offset": 0, "epoch": "x"}},
        {"rooms": ["a"]},
        {"rooms": {"a": 1}},
        {"rooms": [{"roomId": "a", "more": 1}]},
        {"rooms": [{}]},
        {"rooms": None},
        {},
    ],
)
async def test_what_is_no_such_message(running: RunningGateway, data: dict[str, Any]) -> None:
    """A list of more than 128, or mixed with a single room, or of something else is refused whole."""
    ann = await running.client("ann")
    await ask(ann, "join", id="j", **data)
    assert [each["data"]["code"] for each in ann.all("error")] == ["invalid_structure"]
    assert session_of(ann).subscriptions == {}


async def test_128_rooms(running: RunningGateway) -> None:
    """As many as one connection may be in are joined by one message."""
    ann = await running.client("ann")
    names = [f"r{number}" for number in range(128)]
    for name in (*names, "onemore"):
        await running.room(name)
    await ask(ann, "join", id="j", rooms=rooms(*names))
    assert ann.last("joined") == {"rooms": names, "failed": []}
    await ask(ann, "join", id="k", rooms=rooms("one more"))
    await ask(ann, "join", id="k", rooms=rooms("onemore"))
    assert ann.last("joined")["failed"] == [{"roomId": "onemore", "code": "limit_exceeded"}]


async def test_one_refused_spoils_no_other(running: RunningGateway) -> None:
    """A full room and one that is closed to the user are refused by themselves."""
    await running.room("full", maxParticipants=1)
    await running.room("closed", permissions={"read": ["staff"], "write": ["staff"]})
    await running.client("bob", "full")
    ann = await running.client("ann")
    await ask(ann, "join", rooms=rooms("open", "full", "closed", "also"))
    assert ann.last("joined")["rooms"] == ["open", "also"]
    codes = {each["roomId"]: each["code"] for each in ann.last("joined")["failed"]}
    assert codes == {"full": "room_full", "closed": "permission_denied"}


async def test_the_limit_on_joins_counts_each() -> None:
    """Rooms beyond the limit are refused with a time, and the message counts as one refusal."""
    limits = Limits(messages=ENDLESS, auth=ENDLESS, attempts=ENDLESS)
    async with run_gateway(settings(rooms={"limits": limits})) as running:
        ann = await running.client("ann")
        names = [f"r{number}" for number in range(60)]
        for number in range(9):
            await ask(ann, "join", rooms=rooms(*names[20:], *names[:20]))
            while len(ann.all("joined")) <= number:
                await settle()
        assert ann.open
        first = ann.all("joined")[0]["data"]
        assert (len(first["rooms"]), len(first["failed"])) == (20, 40)
        for each in first["failed"]:
            assert each["code"] == "join_rate_limited"
            assert 0 < each["retryAfterMs"] <= 3001
        assert session_of(ann).refusals <= 1


async def test_refused_rooms_are_one_fault(running: RunningGateway) -> None:
    """A message of which nothing came is one fault, and one of which something came is none."""
    ann = await running.client("ann")
    bad = [f"b {number}" for number in range(100)]
    for _ in range(19):
        await ask(ann, "join", rooms=rooms(*bad))
    assert ann.open
    assert session_of(ann).faults == 19
    await ask(ann, "join", rooms=rooms(*bad, "good"))
    assert session_of(ann).faults == 0
    for _ in range(20):
        await ask(ann, "join", rooms=rooms(*bad))
    assert ann.closed == (3501, "bad request")


async def test_what_was_missed_comes_back(running: RunningGateway) -> None:
    """Each room has its own position, and its own answer to whether all is there."""
    ann = await running.client("ann", "a", "b")
    epoch = {each["data"]["roomId"]: each["data"]["position"] for each in ann.all("room_joined")}
    ann.leave(None)
    await fill(running, "a", 3)
    await fill(running, "b", 2)
    back = await running.client("ann")
    await ask(
        back, "join", rooms=rooms("a", "b", "c", a=epoch["a"], b={"offset": 1, "epoch": "gone"})
    )
    answers = {each["data"]["roomId"]: each["data"] for each in back.all("room_joined")}
    assert answers["a"]["recovered"] is True
    assert [each["offset"] for each in answers["a"]["messages"]] == [1, 2, 3]
    assert (answers["b"]["recovered"], answers["b"]["messages"]) == (False, [])
    assert "recovered" not in answers["c"]


# -- paced


async def torn(
    running: RunningGateway, names: list[str], count: int, size: int
) -> list[dict[str, Any]]:
    """Rooms that were filled while their member was away, as it asks for them."""
    ann = await running.client("ann", *names)
    places = {each["data"]["roomId"]: each["data"]["position"] for each in ann.all("room_joined")}
    ann.leave(None)
    for name in names:
        await fill(running, name, count, size)
    return rooms(*names, **places)


async def test_recovery_waits_for_its_reader(running: RunningGateway) -> None:
    """A client that does not read is brought one answer more at a time, and never closed for it."""
    names = [f"r{number}" for number in range(16)]
    wanted = await torn(running, names, 100, 1000)
    back = await running.client("ann")
    back.received.clear()
    back.reading = False
    back.send({"type": "join", "id": "j", "data": {"rooms": wanted}})
    for _ in range(200):
        await settle()
        assert back.unsent() <= PACED + SLACK
        if any(b'"joined"' in message.payloads[0] for message, _ in back.queue):
            break
        back.read()
        back.reading = False
    back.read()
    await settle()
    assert back.open
    assert back.last("joined") == {"rooms": names, "failed": []}
    for name in names:
        assert told(back, name) == list(range(1, 101))
    assert running.closes("slow") == 0


async def test_the_client_is_served_meanwhile(running: RunningGateway) -> None:
    """While a recovery waits for its reader other messages are answered, and rooms can be left."""
    names = [f"r{number}" for number in range(8)]
    wanted = await torn(running, names, 100, 2000)
    back = await running.client("ann")
    back.received.clear()
    back.reading = False
    back.send({"type": "join", "id": "j", "data": {"rooms": wanted}})
    await settle()
    back.send({"type": "heartbeat", "id": "h", "data": {}})
    back.send({"type": "join", "id": "again", "data": {"roomId": "r7"}})
    back.send({"type": "leave", "id": "gone", "data": {"roomId": "r6"}})
    back.send({"type": "join", "id": "k", "data": {"rooms": rooms("later")}})
    await settle()
    for _ in range(100):
        back.read()
        back.reading = False
        await settle()
    back.read()
    by_id = {each["id"]: each for each in back.received if each.get("id") in {"h", "again", "gone"}}
    assert by_id["h"]["type"] == "heartbeat_response"
    assert by_id["again"]["data"]["code"] == "unavailable"
    assert by_id["gone"]["data"]["code"] == "room_not_found"
    first, second = (each["data"] for each in back.all("joined"))
    assert first["rooms"] == [name for name in names if name != "r6"]
    assert first["failed"] == [{"roomId": "r6", "code": "room_not_found"}]
    assert second == {"rooms": ["later"], "failed": []}
    heartbeat = back.received.index(by_id["h"])
    assert heartbeat < back.received.index(back.all("joined")[0])


async def test_too_many_on_their_way(running: RunningGateway) -> None:
    """No more rooms wait for their reader than one connection may be in."""
    names = [f"r{number}" for number in range(4)]
    wanted = await torn(running, names, 100, 3000)
    back = await running.client("ann")
    back.received.clear()
    back.reading = False
    back.send({"type": "join", "data": {"rooms": wanted}})
    await settle()
    many = rooms(*(f"x{number}" for number in range(128)))
    back.send({"type": "join", "id": "k", "data": {"rooms": many}})
    await settle()
    back.read()
    assert [each["data"]["code"] for each in back.all("error")] == ["limit_exceeded"]


async def test_an_answer_that_is_too_much_comes_in_parts(running: RunningGateway) -> None:
    """More than one answer can take follows as ordinary messages, in order, before what is new."""
    (wanted,) = await torn(running, ["r"], 290, 4000)
    back = await running.client("ann")
    back.received.clear()
    back.reading = False
    back.send({"type": "join", "id": "j", "data": wanted})
    await settle()
    assert back.unsent() <= ANSWER + SLACK
    await running.gateway.publish("rooms:r", "new")
    for _ in range(50):
        assert back.unsent() <= ANSWER + SLACK
        back.read()
        back.reading = False
        await settle()
    back.read()
    await settle()
    answer = back.last("room_joined")
    assert answer["recovered"] is True
    assert answer["position"]["offset"] == answer["messages"][-1]["offset"] < 290
    assert told(back, "r") == list(range(1, 292))
    assert back.open
    assert back.all("room_left") == []
    await running.gateway.publish("rooms:r", "newer")
    await settle()
    assert told(back, "r")[-1] == 292


@pytest.mark.parametrize("way", ["leave", "kick", "revoke", "vanish", "trim"])
async def test_what_happens_between_two_parts(running: RunningGateway, way: str) -> None:
    """Whoever leaves, loses the room or is gone meanwhile is brought no more of it."""
    (wanted,) = await torn(running, ["r"], 290, 4000)
    back = await running.client("ann")
    back.received.clear()
    back.reading = False
    back.send({"type": "join", "id": "j", "data": {"rooms": [wanted]}})
    await settle()
    match way:
        case "leave":
            running.gateway.node.subscriptions.leave(
                session_of(back), next(iter(session_of(back).subscriptions))
            )
        case "kick":
            await running.gateway.unsubscribe("ann", next(iter(session_of(back).subscriptions)))
        case "revoke":
            await running.gateway.revoke(user="ann")
        case "vanish":
            back.leave(None)
        case _:
            await running.gateway.node.engine.streams.remove(
                next(iter(session_of(back).subscriptions))
            )
    for _ in range(50):
        back.read()
        back.reading = False
        await settle()
    back.read()
    await running.advance(3.0)
    assert len(told(back, "r")) < 290
    left = [each["data"].get("reason") for each in back.all("room_left")]
    assert left == {"kick": ["unsubscribed"], "trim": ["insufficient_state"]}.get(way, [])
    assert "internal" not in str(errors(back)).lower()


async def test_a_burst_of_joins_waits_for_its_reader(running: RunningGateway) -> None:
    """Eighteen joins at once with much to recover are all answered, and the client is not closed."""
    names = [f"r{number}" for number in range(18)]
    wanted = await torn(running, names, 100, 2500)
    back = await running.client("ann")
    back.received.clear()
    back.reading = False
    for each in wanted:
        back.send({"type": "join", "id": each["roomId"], "data": each})
    for _ in range(100):
        await settle()
        assert back.unsent() <= PACED // 2 + 300 * KIB
        back.read()
        back.reading = False
    back.read()
    await settle()
    assert kinds(back).count("room_joined") == 18
    for name in names:
        assert told(back, name) == list(range(1, 101))
    assert back.open
