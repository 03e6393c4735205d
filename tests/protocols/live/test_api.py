"""Live topics, as the application handles them: published, taken over, and their connections at hand."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from msgspec.structs import replace

from portward.app import build
from portward.app.gateway import Gateway
from portward.model.errors import CommandError, ErrorKind
from portward.model.limits import CLOSE_TIME
from portward.node.sessions import Hooks
from portward.node.sessions.connection_handle import ConnectionHandle
from portward.protocols.live.api import Live
from portward.telemetry.events import Event
from portward.testing import FakeClock, MemoryClient, connect
from tests.node.fake_provider import ORIGIN, FakeProvider, visit, with_cookies, with_provider
from tests.running_gateway import RunningGateway, session_of, settle

VIOLATION = {
    "type": "error",
    "code": "protocol-violation",
    "message": "Invalid message envelope",
}
UNAVAILABLE = {
    "type": "error",
    "code": "unavailable",
    "message": "Temporarily unavailable",
    "retryMs": 1000,
}


@pytest.fixture
async def peopled_house(
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[tuple[RunningGateway, FakeProvider]]:
    """A gateway that asks for cookies, and the people it knows."""
    async with with_provider(monkeypatch) as both:
        yield both


@pytest.fixture
def running(peopled_house: tuple[RunningGateway, FakeProvider]) -> RunningGateway:
    """The gateway alone."""
    return peopled_house[0]


async def say(client: MemoryClient, message: object) -> None:
    """Send a message as it is, and let the gateway answer."""
    client.send_bytes(json.dumps(message).encode(), binary=False)
    await settle()


async def subscribe(client: MemoryClient, topic: str = "event:1") -> Any:
    """Ask to hear a topic; what is answered."""
    await say(client, {"type": "subscribe", "topic": topic})
    return client.received[-1]


# -- topics


async def test_history_and_position(running: RunningGateway) -> None:
    """A topic can be read back as far as it is kept; a limit of 0 asks for the position alone."""
    ann = await visit(running, "ann")
    subscribed = await subscribe(ann)
    await running.gateway.live.publish("event:1", {"n": 1}, key="k")
    await settle()
    await say(ann, {"type": "history", "topic": "event:1", "limit": 0, "id": 7})
    position = {"offset": 1, "epoch": subscribed["position"]["epoch"]}
    told = {"type": "history", "topic": "event:1", "id": 7}
    assert ann.received[-1] == {**told, "publications": [], "position": position}
    await say(ann, {"type": "history", "topic": "event:7"})
    assert ann.received[-1]["code"] == "forbidden"
    await say(ann, {"type": "history", "topic": "event:1", "limit": -1})
    assert ann.received[-1] == VIOLATION


async def test_history_where_it_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """A namespace with history gives what it keeps, oldest first."""
    given = with_cookies()
    live = replace(given.namespaces["live"], history_size=2)
    given = replace(given, namespaces={**given.namespaces, "live": live})
    async with with_provider(monkeypatch, given) as (running, _):
        ann = await visit(running, "ann")
        for number in range(3):
            await running.gateway.live.publish("event:1", number, key=f"k{number}")
        await say(ann, {"type": "history", "topic": "event:1"})
        found = [(each["key"], each["data"]) for each in ann.received[-1]["publications"]]
        assert found == [("k1", 1), ("k2", 2)]


@pytest.mark.parametrize("topic", ["", "a b", "a*", "ž", "x" * 124])
async def test_what_is_no_topic(running: RunningGateway, topic: str) -> None:
    """A text that cannot be a topic is a mistake, whatever is done with it."""
    with pytest.raises(ValueError, match="channel"):
        running.gateway.live.channel(topic)
    with pytest.raises(ValueError, match="channel"):
        await running.gateway.live.publish(topic, 1)


async def test_publish(running: RunningGateway) -> None:
    """What is published arrives; the last of each key is in the snapshot of who comes later."""
    live = running.gateway.live
    assert live.channel("event:1") == "live:event:1"
    ann = await visit(running, "ann")
    first = await subscribe(ann)
    assert (first["snapshot"], first["position"]["offset"]) == ([], 0)
    await live.publish("event:1", {"n": 1}, key="score")
    await live.publish("event:1", {"n": 2}, key="score")
    position = await live.publish("event:1", "aside")
    await live.publish("event:2", "elsewhere")
    await settle()
    assert position.offset == 3
    now = int(running.clock.time() * 1000)
    about = {"type": "data", "topic": "event:1", "ts": now}
    assert ann.received[1:] == [
        {**about, "key": "score", "data": {"n": 1}, "offset": 1},
        {**about, "key": "score", "data": {"n": 2}, "offset": 2},
        {**about, "data": "aside", "offset": 3},
    ]
    later = await subscribe(await visit(running, "bob"))
    assert later["snapshot"] == [{"key": "score", "data": {"n": 2}, "ts": now, "offset": 2}]
    assert later["position"] == {"offset": 3, "epoch": position.epoch}


async def test_publish_once(running: RunningGateway) -> None:
    """A repeated idempotency key publishes nothing and gives the first position."""
    live = running.gateway.live
    first = await live.publish("event:1", 1, idempotency_key="k")
    assert await live.publish("event:1", 2, idempotency_key="k") == first
    assert (await live.publish("event:1", 3, idempotency_key="l")).offset == first.offset + 1


async def test_publish_what_cannot_be(running: RunningGateway) -> None:
    """What is no JSON, or too much of it, is refused."""
    for data, kind in ((object(), ErrorKind.INVALID_STRUCTURE), ("x" * 65536, ErrorKind.TOO_LONG)):
        with pytest.raises(CommandError) as caught:
            await running.gateway.live.publish("event:1", data)
        assert caught.value.kind is kind


# -- connections


async def test_connections(running: RunningGateway) -> None:
    """The connections are those of the endpoints of these topics that are open and somebody's."""
    live = running.gateway.live
    assert live.connections() == []
    ann, bob = await visit(running, "ann"), await visit(running, "bob")
    await running.client("ann", "lobby")
    found = live.connections()
    assert found == [ConnectionHandle(session_of(each)) for each in (ann, bob)]
    assert [each.user["id"] for each in found if each.user is not None] == ["ann", "bob"]
    ann.leave()
    assert live.connections() == found[1:]
    assert [each.open for each in found] == [False, True]


async def test_nobodys_connection_is_none_of_them(running: RunningGateway) -> None:
    """A connection of which it is not known whose it is is none to talk to."""
    ann = await visit(running, "ann")
    session_of(ann).identity = None
    assert running.gateway.live.connections() == []


# -- the application's own handler


async def test_handlers_before_the_gateway_runs() -> None:
    """Handlers can be set, seen and taken back while nothing runs."""

    async def handler(*_: object) -> None: ...

    live = Gateway().live
    assert (live.on_message, live.on_close) == (None, None)
    live.on_message = None
    live.on_message = live.on_close = handler
    assert (live.on_message, live.on_close) == (handler, handler)
    live.on_close = None
    assert (live.on_message, live.on_close) == (handler, None)


async def test_a_handler_set_before_the_gateway_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    """A handler is kept for when the gateway runs."""
    monkeypatch.setattr(build, "make_provider", lambda *_: FakeProvider())
    gateway = Gateway(with_cookies(), clock=FakeClock())

    async def handler(connection: ConnectionHandle, message: Any) -> None:
        await connection.send([message])

    gateway.live.on_message = handler
    with pytest.raises(RuntimeError, match="not running"):
        gateway.live.connections()
    async with gateway:
        ann = await connect(gateway, "/live", cookie="session=ann", origin=ORIGIN)
        await say(ann, "x")
    assert ann.received == [["x"]]


async def test_on_message(running: RunningGateway) -> None:
    """A handler is given every JSON value and the connection it came by, in place of subscriptions."""
    seen: list[tuple[str, Any]] = []

    async def handler(connection: ConnectionHandle, message: Any) -> None:
        seen.append((connection.id, message))
        await connection.send({"echo": message})

    running.gateway.live.on_message = handler
    ann = await visit(running, "ann")
    [handle] = running.gateway.live.connections()
    asked = {"type": "subscribe", "topic": "event:1"}
    values: list[Any] = [asked, [1, None], "text", None, {"id": {}}]
    for value in values:
        await say(ann, value)
    assert seen == [(handle.id, value) for value in values]
    assert ann.received == [{"echo": value} for value in values]
    assert session_of(ann).subscriptions == {}


async def test_on_message_is_given_nothing_but_json(running: RunningGateway) -> None:
    """What does not parse is answered without the handler."""
    seen = []

    async def handler(*told: object) -> None:
        seen.append(told)

    running.gateway.live.on_message = handler
    ann = await visit(running, "ann")
    for payload in (b"{", b'{"a":1,"a":2}', b'"\\ud800"', b"[" * 50):
        ann.send_bytes(payload, binary=False)
        await settle()
    assert [each.pop("details", None) for each in ann.received] == [
        None,
        *(
            {"rule": rule, "depth": depth}
            for rule, depth in (("duplicate_key", 1), ("lone_surrogate", 0))
        ),
        {"rule": "depth", "depth": 50},
    ]
    assert ann.received == [VIOLATION] * 4
    assert seen == []


async def test_on_message_while_running(running: RunningGateway) -> None:
    """A handler counts from the next message on; without it subscriptions are answered again."""

    async def handler(connection: ConnectionHandle, _: Any) -> None:
        await connection.send("taken")

    ann = await visit(running, "ann")
    assert (await subscribe(ann))["type"] == "subscribed"
    running.gateway.live.on_message = handler
    assert await subscribe(ann) == "taken"
    await running.gateway.live.publish("event:1", 1)
    await settle()
    assert ann.received[-1]["type"] == "data"
    running.gateway.live.on_message = None
    await say(ann, {"type": "unsubscribe", "topic": "event:1"})
    assert ann.received[-1] == {"type": "unsubscribed", "topic": "event:1"}


async def test_on_message_one_at_a_time(running: RunningGateway) -> None:
    """A handler that takes its time is given the next message of that connection afterwards."""
    thinking, seen = asyncio.Event(), []

    async def handler(connection: ConnectionHandle, message: Any) -> None:
        seen.append(message)
        if message == 1:
            await thinking.wait()
        await connection.send(message)

    running.gateway.live.on_message = handler
    ann, bob = await visit(running, "ann"), await visit(running, "bob")
    await say(ann, 1)
    await say(ann, 2)
    await say(bob, 3)
    assert seen == [1, 3]
    thinking.set()
    await settle()
    await settle()
    assert (seen, ann.received) == ([1, 3, 2], [1, 2])


class Defect(Exception):  # noqa: N818 - a defect of an application, made for a test
    """What an application might raise."""


async def raises(_: ConnectionHandle, message: Any) -> None:
    """A handler that fails with what it was given."""
    raise Defect(message)


def raises_at_once(_: ConnectionHandle, message: Any) -> Any:
    """A handler that is no coroutine function."""
    raise Defect(message)


async def refuses(_: ConnectionHandle, message: Any) -> None:
    """A handler with a fault of its own."""
    raise CommandError(ErrorKind.TOO_LONG, detail=str(message))


@pytest.mark.parametrize("handler", [raises, raises_at_once, refuses])
async def test_on_message_that_fails(running: RunningGateway, handler: Any) -> None:
    """A handler that fails is recorded, its client is told to try again and nothing of why."""
    running.gateway.live.on_message = handler
    ann = await visit(running, "ann")
    await say(ann, {"password": "secret"})
    assert ann.received == [UNAVAILABLE]
    assert running.events(Event.INTERNAL_ERROR) == 1
    assert "secret" not in running.log.getvalue()
    assert ann.open


async def test_on_message_that_ends_the_connection(running: RunningGateway) -> None:
    """A handler may end the connection it was given; what waited is not handed over."""
    seen = []

    async def handler(connection: ConnectionHandle, message: Any) -> None:
        seen.append(message)
        await asyncio.sleep(0)
        connection.close()

    running.gateway.live.on_message = handler
    ann = await visit(running, "ann")
    ann.send_bytes(b"1", binary=False)
    ann.send_bytes(b"2", binary=False)
    await settle()
    assert ann.closed == (1000, "")
    assert seen == [1]


async def test_on_message_that_never_returns(running: RunningGateway) -> None:
    """It ends with its connection, without a word in the log."""
    ended: list[str] = []

    async def handler(connection: ConnectionHandle, _: Any) -> None:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            ended.append(connection.id)

    running.gateway.live.on_message = handler
    ann, bob = await visit(running, "ann"), await visit(running, "bob")
    await say(ann, 1)
    await say(bob, 1)
    ids = [each.id for each in running.gateway.live.connections()]
    before = len(asyncio.all_tasks())
    ann.leave()
    await running.advance(CLOSE_TIME + 0.2)
    assert ended == ids[:1]
    assert len(asyncio.all_tasks()) < before
    await running.gateway.revoke(user="bob")
    await settle()
    assert ended == ids
    assert running.events(Event.INTERNAL_ERROR) == 0


async def test_on_message_that_goes_on_after_the_end(running: RunningGateway) -> None:
    """Who ends the connection it was given may finish what it does."""
    done = []

    async def handler(connection: ConnectionHandle, _: Any) -> None:
        connection.close()
        await asyncio.sleep(0)
        done.append(connection.open)

    running.gateway.live.on_message = handler
    await say(await visit(running, "ann"), 1)
    assert done == [False]


async def test_a_snapshot_that_is_too_large(running: RunningGateway) -> None:
    """More than may wait for a reader is refused, and the topic is not heard then."""
    live = running.gateway.live
    for number in range(20):
        await live.publish("event:1", "x" * 60_000, key=f"k{number}")
    ann = await visit(running, "ann")
    await say(ann, {"type": "subscribe", "topic": "event:1", "id": 7})
    (answer,) = ann.received
    assert (answer["type"], answer["code"]) == ("error", "limit")
    assert (answer["topic"], answer["id"]) == ("event:1", 7)
    assert live.connections()[0].open
    assert session_of(ann).subscriptions == {}
    await live.publish("event:1", "unheard")
    await settle()
    assert len(ann.received) == 1
    for number in range(20):
        await live.publish("event:1", "x", key=f"k{number}")
    assert (await subscribe(ann))["type"] == "subscribed"


async def test_on_close(running: RunningGateway) -> None:
    """A handler is told of every end of these connections, with its name and whose it was."""
    told: list[tuple[str, str, bool]] = []

    async def handler(connection: ConnectionHandle, reason: str) -> None:
        assert connection.user is not None
        told.append((connection.user["id"] or "", reason, connection.open))

    running.gateway.live.on_close = handler
    ann, bob = await visit(running, "ann"), await visit(running, "bob")
    rooms = await running.client("ann", "lobby")
    ann.leave()
    bob.leave(None)
    rooms.leave()
    await visit(running, "ann")
    running.gateway.live.connections()[0].close()
    await settle()
    assert told == [
        ("ann", "normal", False),
        ("bob", "going_away", False),
        ("ann", "normal", False),
    ]


async def test_another_family(running: RunningGateway) -> None:
    """Handlers of one family of topics are none of another."""
    hooks = Hooks()
    other = Live(lambda: running.gateway.node, hooks, "other")
    other.on_message = raises
    assert running.gateway.live.on_message is None
    await visit(running, "ann")
    assert other.connections() == []
    assert other.channel("t") == "other:t"
