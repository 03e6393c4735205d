"""The library as its users write it. Nothing here runs: the type checker reads it."""

from collections.abc import AsyncIterator
from typing import Any, assert_type

from portward import (
    Alert,
    Channel,
    CommandError,
    ConnectionHandle,
    EngineUnavailable,
    ErrorKind,
    Gateway,
    Position,
    Settings,
    Severity,
    __version__,
)
from portward.client import (
    Ack,
    CallAlert,
    Event,
    Message,
    Portward,
    Presence,
    Refused,
    RoomsClient,
    Stored,
    TopicData,
    Unknown,
)
from portward.client import Room as JoinedRoom
from portward.client.sync import Portward as BlockingPortward
from portward.engines.port import Engine, Member, Streams
from portward.model.namespace import AccessRule, Namespace, PublishRight
from portward.model.publication import HistoryPage, Publication
from portward.model.room import Room, RoomPermissions, RoomType
from portward.node.sessions import ConnectionInfo, MessageInfo
from portward.protocols.alerts.engine_connection import EngineConnection
from portward.protocols.rooms.api import RoomStats
from portward.settings.endpoint import EndpointSettings
from portward.testing import EngineContract, FakeClock, MemoryClient, connect, memory_gateway

assert_type(__version__, str)


async def publishing(gateway: Gateway) -> None:
    """Say something, and read it back."""
    position = await gateway.publish(
        "rooms:general", {"text": "hello"}, key="k", type="note", idempotency_key="once"
    )
    assert_type(position, Position)
    assert_type(position.offset, int)
    page = await gateway.history("rooms:general", 10, position, reverse=True)
    assert_type(page, HistoryPage)
    assert_type(page.publications, tuple[Publication, ...])
    assert_type(page.publications[0].data, Any)
    try:
        await gateway.publish("rooms:general", 1)
    except EngineUnavailable:
        return
    except CommandError as fault:
        assert_type(fault.kind, ErrorKind)
        assert_type(fault.kind.code, str)


async def looking(gateway: Gateway) -> None:
    """Who is here."""
    assert_type(await gateway.presence("rooms:general"), tuple[Member, ...])
    assert_type(gateway.channels(), dict[Channel, int])
    assert_type(gateway.connections("ann"), list[ConnectionInfo])
    assert_type(gateway.connections()[0].user, str | None)
    assert_type(gateway.rooms.stats(), RoomStats)


async def people(gateway: Gateway) -> None:
    """Let them in, and put them out."""
    assert_type(gateway.token("ann", ttl=60, roles=["user"]), str)
    assert_type(await gateway.ticket(gateway.token("ann")), str)
    assert_type(await gateway.revoke(user="ann"), int)
    await gateway.revoke(jti="id")
    await gateway.disconnect("ann", "connection")
    await gateway.unsubscribe("ann", "rooms:general")
    await gateway.set_roles("ann", {"user", "author"})


async def rooms(gateway: Gateway) -> None:
    """Make a room, and forget it."""
    record = Room(
        id="general",
        type=RoomType.DOCUMENT,
        permissions=RoomPermissions(read=("user",), write=("author",)),
        max_participants=5,
    )
    assert_type(await gateway.rooms.set("general", record), Room)
    assert_type(await gateway.rooms.get("general"), Room | None)
    assert_type(await gateway.rooms.remove("general"), bool)


def hooks(gateway: Gateway) -> None:
    """Have a say."""

    @gateway.on_connect
    async def welcome(connection: ConnectionInfo) -> bool:
        return connection.user != "eve"

    @gateway.on_connect
    async def note(connection: ConnectionInfo) -> None:
        print(connection.id)  # noqa: T201 - what an application might do

    @gateway.on_message
    async def moderate(message: MessageInfo) -> bool | None:
        return None if message.data else False

    @gateway.on_disconnect
    async def goodbye(connection: ConnectionInfo, ending: str) -> None:
        assert_type(connection.channels, tuple[Channel, ...])
        assert_type(ending, str)


async def life() -> None:
    """Run one, mount it, send everyone off."""
    settings = Settings(
        endpoints={"chat": EndpointSettings(path="/chat", dialect="rooms", namespace="chat")},
        namespaces={
            "chat": Namespace(name="chat", authorize=AccessRule.CLAIMS, publish=PublishRight.RIGHT)
        },
    )
    async with Gateway(settings) as gateway:
        assert_type(gateway, Gateway)
        assert_type(gateway.settings, Settings)
        gateway.reload(settings)
        await gateway.drain(5)


async def testing() -> None:
    """Test an application without sockets."""
    clock = FakeClock()
    async with memory_gateway(clock=clock) as gateway:
        client = await connect(gateway, "/rooms", peer="192.0.2.1", origin="http://localhost")
        assert_type(client, MemoryClient)
        client.send({"type": "heartbeat", "data": {}})
        await client.settle()
        assert_type(client.closed, tuple[int, str] | None)
        clock.advance(30)


async def talking() -> None:
    """Join, talk, and come back, as a client in another program."""
    async with Portward("ws://127.0.0.1:8080", get_token=lambda: "token") as client:
        room = client.room("lobby")
        await room.join()
        assert_type(room, JoinedRoom)
        result = await room.send("hello")
        assert_type(result, Stored | Refused | Unknown)
        if isinstance(result, Stored):
            assert_type(result.position, Position)
        await room.typing(active=False)
        assert_type(await room.participants(), tuple[Presence, ...])
        assert_type(room.position, Position | None)
        assert_type(room.presence.users, tuple[str, ...])
        async for message in room:
            assert_type(message, Message)
            await room.leave()
        alerts = client.alerts()
        assert_type(await alerts.subscribe(["call-7"]), tuple[str, ...])
        async for alert in alerts:
            assert_type(alert, CallAlert)
        async for data in client.live(cookie="name=value").topic("event:42"):
            assert_type(data, TopicData)
        relay = client.relay(model="gpt-realtime")
        await relay.connect()
        async for event in relay:
            assert_type(event, dict[str, Any] | str | bytes)


def talking_without_a_loop() -> None:
    """The same from a program without an event loop."""
    with BlockingPortward("ws://127.0.0.1:8080", get_token="token") as client:
        room = client.room("lobby")
        room.join(timeout=5)
        assert_type(room.send("hello"), Stored | Refused | Unknown)
        for message in room:
            assert_type(message, Message)


async def talking_as_before() -> None:
    """The older client, for one more release."""
    async with RoomsClient("ws://127.0.0.1:8080/rooms", token="token") as client:
        await client.join("lobby", Position(3, "epoch"))
        assert_type(await client.say("lobby", "hello"), Ack)
        await client.typing("lobby", active=False)
        assert_type(await client.presence("lobby"), tuple[Presence, ...])
        assert_type(client.positions, dict[str, Position])
        assert_type(client.user, str | None)
        async for event in client:
            assert_type(event, Event)
            if isinstance(event, Message):
                await client.leave("lobby")


def engines(engine: Engine) -> Gateway:
    """Bring an engine of one's own."""
    assert_type(engine.streams, Streams)
    return Gateway(engine=engine)


class TestMine(EngineContract):
    """Prove that it keeps the contract."""


async def alerting(gateway: Gateway, reports: AsyncIterator[tuple[str, Any]]) -> None:
    """Publish alerts, take them from an engine, and be told of them."""
    alert = await gateway.alerts.publish("call-1", "script_missed", "high", {"line": 3})
    assert_type(alert, Alert)
    assert_type(alert.severity, Severity)
    assert_type(await gateway.alerts.history(limit=10, call_id="call-1"), list[Alert])
    assert_type(await gateway.alerts.stats(), dict[str, int])
    connection = gateway.alerts.connect_engine(reports)
    assert_type(connection, EngineConnection)
    await connection.join()
    await connection.close()

    @gateway.alerts.on("alert_emitted")
    async def emitted(alert: Alert) -> None:
        assert_type(alert.data, dict[str, Any])

    gateway.alerts.on("subscriber_connected", print)


async def broadcasting(gateway: Gateway) -> None:
    """Broadcast, and take the messages of viewers in one's own hands."""
    position = await gateway.live.publish("event:42", {"home": 1}, key="score")
    assert_type(position, Position)
    assert_type(gateway.live.connections(), list[ConnectionHandle])

    async def handle(connection: ConnectionHandle, message: Any) -> None:
        await connection.send({"echo": message})
        connection.close()

    async def closed(connection: ConnectionHandle, reason: str) -> None:
        assert_type(connection.id, str)

    gateway.live.on_message = handle
    gateway.live.on_close = closed
