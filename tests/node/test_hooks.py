"""The application has a say: in who connects and what is said; and it hears who left."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from portward.node.ports import ConnectionInfo, MessageInfo
from portward.settings.sections import GateSettings
from portward.telemetry.events import Event
from portward.testing import connect
from tests.house import (
    CREDENTIALS,
    House,
    ask,
    contents,
    errors,
    kinds,
    running,
    session_of,
    settings,
    settle,
)
from tests.slow_engine import arrive, slow_house


@pytest.fixture
async def house() -> AsyncIterator[House]:
    """A gateway that takes credentials from anywhere."""
    async with running(settings(rooms={"credentials": CREDENTIALS}, gate=GateSettings())) as house:
        yield house


async def test_connect_hook_sees_who_comes(house: House) -> None:
    """A connect hook is told of each authenticated connection, with a masked address."""
    seen: list[ConnectionInfo] = []

    @house.gateway.on_connect
    async def note(connection: ConnectionInfo) -> None:
        seen.append(connection)

    client = await house.client()
    assert seen == []
    await house.authenticate(client, "ann")
    [info] = seen
    assert (info.user, info.endpoint, info.address) == ("ann", "rooms", "127.0.0.xxx")
    assert info.id == client.last("handshake")["connectionId"]
    assert info.opened_at == house.clock.time()


@pytest.mark.parametrize("way", ["message", "header"])
async def test_connect_hook_refuses(house: House, way: str) -> None:
    """A connection that a hook refuses is closed with 3507, told nothing else, and gone."""

    @house.gateway.on_connect
    async def refuse(connection: ConnectionInfo) -> bool:
        return connection.user != "eve"

    token = house.token("eve")
    if way == "header":
        client = await connect(house.gateway, authorization=f"Bearer {token}")
    else:
        client = await house.client()
        await ask(client, "auth", token=token)
    await settle()
    assert client.closed == (3507, "permission denied")
    assert kinds(client) == ["handshake"]
    assert house.inside() == (0, 0, 0)
    await house.client("ann")


async def test_every_connect_hook_is_asked(house: House) -> None:
    """One hook that refuses is enough, and saying nothing is no refusal."""
    asked = []

    @house.gateway.on_connect
    async def silent(_: ConnectionInfo) -> None:
        asked.append("silent")

    @house.gateway.on_connect
    async def refuse(_: ConnectionInfo) -> bool:
        asked.append("refuse")
        return False

    client = await house.client()
    await ask(client, "auth", token=house.token("ann"))
    await settle()
    assert asked == ["silent", "refuse"]
    assert client.closed == (3507, "permission denied")


async def test_connect_hook_takes_its_time(house: House) -> None:
    """While a hook thinks, the client's messages wait, and its revocation does not."""
    thinking = asyncio.Event()

    @house.gateway.on_connect
    async def think(_: ConnectionInfo) -> None:
        async with asyncio.timeout(60):
            await thinking.wait()

    client, other = await house.client(), await house.client()
    for each, user in ((client, "ann"), (other, "bob")):
        each.send({"type": "auth", "data": {"token": house.token(user)}})
        each.send({"type": "join", "data": {"roomId": "lobby"}})
    await settle()
    assert kinds(client) == ["handshake"]
    await house.gateway.revoke(user="bob")
    assert other.closed == (3503, "force disconnect")
    thinking.set()
    for _ in range(3):
        await settle()
    assert kinds(client) == ["handshake", "auth_success", "room_joined"]
    assert kinds(other) == ["handshake"]


async def test_message_hook_sees_what_is_said(house: House) -> None:
    """A message hook is told who wants to say what where, before it is stored."""
    seen: list[MessageInfo] = []

    @house.gateway.on_message
    async def note(message: MessageInfo) -> None:
        seen.append(message)

    ann = await house.client("ann", "lobby")
    await ask(ann, "message", roomId="lobby", content="hello")
    await settle()
    [info] = seen
    assert (info.channel, info.data, info.connection.user) == ("rooms:lobby", "hello", "ann")
    assert info.connection.channels == ("rooms:lobby",)
    assert contents(ann) == ["hello"]


async def test_message_hook_refuses(house: House) -> None:
    """A message that a hook refuses is not stored, and its sender is told as of any refusal."""

    @house.gateway.on_message
    async def refuse(message: MessageInfo) -> bool:
        return "rude" not in message.data

    ann, bob = await house.client("ann", "lobby"), await house.client("bob", "lobby")
    for text in ("rude", "kind"):
        await ask(ann, "message", roomId="lobby", content=text)
        await settle()
    assert errors(ann) == ["Insufficient permissions"]
    assert contents(bob) == ["kind"]


async def test_message_hook_is_not_asked_about_what_is_forbidden(house: House) -> None:
    """What policy refuses no hook is bothered with."""
    asked = []

    @house.gateway.on_message
    async def note(message: MessageInfo) -> None:
        asked.append(message)

    await house.room(permissions={"read": ["user"], "write": ["author"], "admin": []})
    ann = await house.client("ann", "lobby")
    await ask(ann, "message", roomId="lobby", content="x")
    await settle()
    assert asked == []


@pytest.mark.parametrize("how", ["kicked", "forbidden"])
async def test_right_lost_while_a_hook_thinks(house: House, how: str) -> None:
    """Who loses the right to write while a hook thinks has not written."""
    thinking = asyncio.Event()

    @house.gateway.on_message
    async def think(_: MessageInfo) -> None:
        await thinking.wait()

    await house.room()
    ann, bob = await house.client("ann", "lobby"), await house.client("bob", "lobby")
    await ask(ann, "message", roomId="lobby", content="x")
    if how == "kicked":
        await house.gateway.unsubscribe("ann", "rooms:lobby")
    else:
        await house.room(permissions={"read": ["user"], "write": ["author"], "admin": []})
    thinking.set()
    await settle()
    await settle()
    assert errors(ann) in (["Room not found"], ["Insufficient permissions"])
    assert contents(bob) == []


async def test_disconnect_hook(house: House) -> None:
    """A disconnect hook is told who left, from where, and how it ended."""
    seen: list[tuple[str | None, tuple[str, ...], str]] = []

    @house.gateway.on_disconnect
    async def note(connection: ConnectionInfo, ending: str) -> None:
        seen.append((connection.user, connection.channels, ending))

    ann = await house.client("ann", "lobby")
    bob = await house.client("bob")
    anonymous = await house.client()
    ann.leave(None)
    await house.gateway.disconnect("bob")
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
async def test_connect_hook_that_fails(house: House, hook: object) -> None:
    """A connect hook that fails lets nobody in, is recorded, and harms nobody who is in."""
    ann = await house.client("ann", "lobby")
    house.gateway.on_connect(hook)  # type: ignore[arg-type]  # some of them are wrong
    client = await house.client()
    await ask(client, "auth", token=house.token("bob"))
    await settle()
    assert client.closed == (3507, "permission denied")
    assert house.events(Event.INTERNAL_ERROR) == 1
    await ask(ann, "message", roomId="lobby", content="x")
    assert contents(ann) == ["x"]


@pytest.mark.parametrize("hook", HOOKS)
async def test_message_hook_that_fails(house: House, hook: object) -> None:
    """A message hook that fails lets nothing through, is recorded, and the connection lives."""
    house.gateway.on_message(hook)  # type: ignore[arg-type]  # some of them are wrong
    ann = await house.client("ann", "lobby")
    await ask(ann, "message", roomId="lobby", content="x")
    await settle()
    assert errors(ann) == ["Insufficient permissions"]
    assert contents(ann) == []
    assert house.events(Event.INTERNAL_ERROR) == 1
    assert ann.open


@pytest.mark.parametrize("hook", HOOKS)
async def test_disconnect_hook_that_fails(house: House, hook: object) -> None:
    """A disconnect hook that fails keeps no connection from ending properly."""
    told = []

    house.gateway.on_disconnect(hook)  # type: ignore[arg-type]  # some of them are wrong

    @house.gateway.on_disconnect
    async def note(*_: object) -> None:
        told.append(True)

    ann, bob = await house.client("ann", "lobby"), await house.client("bob", "lobby")
    await house.gateway.disconnect("ann")
    await settle()
    assert ann.closed == (3503, "force disconnect")
    assert bob.last("user_disconnected")["userId"] == "ann"
    assert house.inside() == (1, 0, 1)
    assert (told, house.events(Event.INTERNAL_ERROR)) == ([True], 1)


async def test_hooks_over_a_slow_store() -> None:
    """Hooks have a Task of their own wherever the handler had to wait before."""
    async with slow_house() as (house, engine):
        tasks = []

        @house.gateway.on_message
        async def note(_: MessageInfo) -> None:
            async with asyncio.timeout(60):
                await asyncio.sleep(0)
                tasks.append(asyncio.current_task())

        ann = await arrive(house, engine, "ann", "lobby")
        await ask(ann, "message", roomId="lobby", content="x")
        await engine.run()
        assert contents(ann) == ["x"]
        assert session_of(ann).task is None
        assert tasks[0] is not None


async def test_hook_still_thinking_at_the_end() -> None:
    """A gateway that stops cuts off what a hook is thinking about."""
    cut = []

    async with running() as house:

        @house.gateway.on_message
        async def think(_: MessageInfo) -> None:
            try:
                await asyncio.Event().wait()
            finally:
                cut.append(True)

        ann = await house.client("ann", "lobby")
        await ask(ann, "message", roomId="lobby", content="x")
    assert cut == [True]
    assert ann.closed == (3001, "shutdown")
