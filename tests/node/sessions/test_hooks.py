"""The application has a say: in who connects and what is said; and it hears who left."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from portward.node.sessions import ConnectionInfo, MessageInfo
from portward.settings.sections import GateSettings
from portward.telemetry.events import Event
from portward.testing import connect
from tests.running_gateway import (
    CREDENTIALS,
    RunningGateway,
    ask,
    contents,
    errors,
    kinds,
    run_gateway,
    session_of,
    settings,
    settle,
)
from tests.slow_engine import arrive, slow_gateway


@pytest.fixture
async def running() -> AsyncIterator[RunningGateway]:
    """A gateway that takes credentials from anywhere."""
    async with run_gateway(
        settings(rooms={"credentials": CREDENTIALS}, gate=GateSettings())
    ) as running:
        yield running


async def test_connect_hook_sees_who_comes(running: RunningGateway) -> None:
    """A connect hook is told of each authenticated connection, with a masked address."""
    seen: list[ConnectionInfo] = []

    @running.gateway.on_connect
    async def note(connection: ConnectionInfo) -> None:
        seen.append(connection)

    client = await running.client()
    assert seen == []
    await running.authenticate(client, "ann")
    [info] = seen
    assert (info.user, info.endpoint, info.address) == ("ann", "rooms", "127.0.0.xxx")
    assert info.id == client.last("handshake")["connectionId"]
    assert info.opened_at == running.clock.time()


@pytest.mark.parametrize("way", ["message", "header"])
async def test_connect_hook_refuses(running: RunningGateway, way: str) -> None:
    """A connection that a hook refuses is closed with 3507, told nothing else, and gone."""

    @running.gateway.on_connect
    async def refuse(connection: ConnectionInfo) -> bool:
        return connection.user != "eve"

    token = running.token("eve")
    if way == "header":
        client = await connect(running.gateway, authorization=f"Bearer {token}")
    else:
        client = await running.client()
        await ask(client, "auth", token=token)
    await settle()
    assert client.closed == (3507, "permission denied")
    assert kinds(client) == ["handshake"]
    assert running.inside() == (0, 0, 0)
    await running.client("ann")


async def test_every_connect_hook_is_asked(running: RunningGateway) -> None:
    """One hook that refuses is enough, and saying nothing is no refusal."""
    asked = []

    @running.gateway.on_connect
    async def silent(_: ConnectionInfo) -> None:
        asked.append("silent")

    @running.gateway.on_connect
    async def refuse(_: ConnectionInfo) -> bool:
        asked.append("refuse")
        return False

    client = await running.client()
    await ask(client, "auth", token=running.token("ann"))
    await settle()
    assert asked == ["silent", "refuse"]
    assert client.closed == (3507, "permission denied")


async def test_connect_hook_takes_its_time(running: RunningGateway) -> None:
    """While a hook thinks, the client's messages wait, and its revocation does not."""
    thinking = asyncio.Event()

    @running.gateway.on_connect
    async def think(_: ConnectionInfo) -> None:
        async with asyncio.timeout(60):
            await thinking.wait()

    client, other = await running.client(), await running.client()
    for each, user in ((client, "ann"), (other, "bob")):
        each.send({"type": "auth", "data": {"token": running.token(user)}})
        each.send({"type": "join", "data": {"roomId": "lobby"}})
    await settle()
    assert kinds(client) == ["handshake"]
    await running.gateway.revoke(user="bob")
    assert other.closed == (3503, "force disconnect")
    thinking.set()
    for _ in range(3):
        await settle()
    assert kinds(client) == ["handshake", "auth_success", "room_joined"]
    assert kinds(other) == ["handshake"]


async def test_message_hook_sees_what_is_said(running: RunningGateway) -> None:
    """A message hook is told who wants to say what where, before it is stored."""
    seen: list[MessageInfo] = []

    @running.gateway.on_message
    async def note(message: MessageInfo) -> None:
        seen.append(message)

    ann = await running.client("ann", "lobby")
    await ask(ann, "message", roomId="lobby", content="hello")
    await settle()
    [info] = seen
    assert (info.channel, info.data, info.connection.user) == ("rooms:lobby", "hello", "ann")
    assert info.connection.channels == ("rooms:lobby",)
    assert contents(ann) == ["hello"]


async def test_message_hook_refuses(running: RunningGateway) -> None:
    """A message that a hook refuses is not stored, and its sender is told as of any refusal."""

    @running.gateway.on_message
    async def refuse(message: MessageInfo) -> bool:
        return "rude" not in message.data

    ann, bob = await running.client("ann", "lobby"), await running.client("bob", "lobby")
    for text in ("rude", "kind"):
        await ask(ann, "message", roomId="lobby", content=text)
        await settle()
    assert errors(ann) == ["Insufficient permissions"]
    assert contents(bob) == ["kind"]


async def test_message_hook_is_not_asked_about_what_is_forbidden(running: RunningGateway) -> None:
    """What policy refuses no hook is bothered with."""
    asked = []

    @running.gateway.on_message
    async def note(message: MessageInfo) -> None:
        asked.append(message)

    await running.room(permissions={"read": ["user"], "write": ["author"], "admin": []})
    ann = await running.client("ann", "lobby")
    await ask(ann, "message", roomId="lobby", content="x")
    await settle()
    assert asked == []


@pytest.mark.parametrize("how", ["kicked", "forbidden"])
async def test_right_lost_while_a_hook_thinks(running: RunningGateway, how: str) -> None:
    """Who loses the right to write while a hook thinks has not written."""
    thinking = asyncio.Event()

    @running.gateway.on_message
    async def think(_: MessageInfo) -> None:
        await thinking.wait()

    await running.room()
    ann, bob = await running.client("ann", "lobby"), await running.client("bob", "lobby")
    await ask(ann, "message", roomId="lobby", content="x")
    if how == "kicked":
        await running.gateway.unsubscribe("ann", "rooms:lobby")
    else:
        await running.room(permissions={"read": ["user"], "write": ["author"], "admin": []})
    thinking.set()
    await settle()
    await settle()
    assert errors(ann) in (["Room not found"], ["Insufficient permissions"])
    assert contents(bob) == []


async def test_disconnect_hook(running: RunningGateway) -> None:
    """A disconnect hook is told who left, from where, and how it ended."""
    seen: list[tuple[str | None, tuple[str, ...], str]] = []

    @running.gateway.on_disconnect
    async def note(connection: ConnectionInfo, ending: str) -> None:
        seen.append((connection.user, connection.channels, ending))

    ann = await running.client("ann", "lobby")
    bob = await running.client("bob")
    anonymous = await running.client()
    ann.leave(None)
    await running.gateway.disconnect("bob")
    anonymous.leave()
    await settle()
    assert seen == [
        ("ann", ("rooms:lobby",), "going_away"),
        ("bob", (), "revoked"),
        (None, (), "normal"),
    ]
    assert bob.closed is not None


class Defect(Exception):  # noqa: N818 - a defect of an application, made for a test
    """What an application might raise."""


async def raises_later(*_: object) -> None:
    """A hook that fails."""
    raise Defect


def raises_at_once(*_: object) -> None:
    """A hook that is no coroutine function, and fails."""
    raise Defect


def is_no_coroutine(*_: object) -> None:
    """A hook that is no coroutine function."""


HOOKS = [raises_later, raises_at_once, is_no_coroutine]


@pytest.mark.parametrize("hook", HOOKS)
async def test_connect_hook_that_fails(running: RunningGateway, hook: object) -> None:
    """A connect hook that fails lets nobody in, is recorded, and harms nobody who is in."""
    ann = await running.client("ann", "lobby")
    running.gateway.on_connect(hook)  # type: ignore[arg-type]  # some of them are wrong
    client = await running.client()
    await ask(client, "auth", token=running.token("bob"))
    await settle()
    assert client.closed == (3507, "permission denied")
    assert running.events(Event.INTERNAL_ERROR) == 1
    await ask(ann, "message", roomId="lobby", content="x")
    assert contents(ann) == ["x"]


@pytest.mark.parametrize("hook", HOOKS)
async def test_message_hook_that_fails(running: RunningGateway, hook: object) -> None:
    """A message hook that fails lets nothing through, is recorded, and the connection lives."""
    running.gateway.on_message(hook)  # type: ignore[arg-type]  # some of them are wrong
    ann = await running.client("ann", "lobby")
    await ask(ann, "message", roomId="lobby", content="x")
    await settle()
    assert errors(ann) == ["Insufficient permissions"]
    assert contents(ann) == []
    assert running.events(Event.INTERNAL_ERROR) == 1
    assert ann.open


@pytest.mark.parametrize("hook", HOOKS)
async def test_disconnect_hook_that_fails(running: RunningGateway, hook: object) -> None:
    """A disconnect hook that fails keeps no connection from ending properly."""
    told = []

    running.gateway.on_disconnect(hook)  # type: ignore[arg-type]  # some of them are wrong

    @running.gateway.on_disconnect
    async def note(*_: object) -> None:
        told.append(True)

    ann, bob = await running.client("ann", "lobby"), await running.client("bob", "lobby")
    await running.gateway.disconnect("ann")
    await settle()
    assert ann.closed == (3503, "force disconnect")
    assert bob.last("user_disconnected")["userId"] == "ann"
    assert running.inside() == (1, 0, 1)
    assert (told, running.events(Event.INTERNAL_ERROR)) == ([True], 1)


async def test_hooks_over_a_slow_store() -> None:
    """Hooks have a Task of their own wherever the handler had to wait before."""
    async with slow_gateway() as (running, engine):
        tasks = []

        @running.gateway.on_message
        async def note(_: MessageInfo) -> None:
            async with asyncio.timeout(60):
                await asyncio.sleep(0)
                tasks.append(asyncio.current_task())

        ann = await arrive(running, engine, "ann", "lobby")
        await ask(ann, "message", roomId="lobby", content="x")
        await engine.run()
        assert contents(ann) == ["x"]
        assert session_of(ann).task is None
        assert tasks[0] is not None


async def test_hook_still_thinking_at_the_end() -> None:
    """A gateway that stops cuts off what a hook is thinking about."""
    cut = []

    async with run_gateway() as running:

        @running.gateway.on_message
        async def think(_: MessageInfo) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                cut.append(True)

        ann = await running.client("ann", "lobby")
        await ask(ann, "message", roomId="lobby", content="x")
    assert cut == [True]
    assert ann.closed == (3001, "shutdown")
