"""Socket.IO namespaces: who is let in and how a refusal sounds, handlers, rooms, and leaving."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest

from portward.engines.port import EngineUnavailable
from portward.model.limits import CLOSE_TIME
from portward.model.revocation import RevocationKind
from portward.protocols.socketio.connection import connection_of
from portward.protocols.socketio.server import EventError, Socket
from portward.protocols.workspaces.service import WorkspacesService
from portward.settings.endpoint import AuthMode, Refuse
from portward.settings.sections import GateSettings
from portward.telemetry.events import Event
from portward.testing import connect
from tests.running_gateway import RunningGateway, run_gateway, session_of, settle
from tests.socketio_peer import (
    UNLIMITED_LIMITS,
    SocketPeer,
    member,
    reach,
    rooms_of,
    until,
    workspaces_settings,
)

INVALID = (3500, "invalid token")


@pytest.fixture
async def running() -> AsyncIterator[RunningGateway]:
    """A gateway with a namespace `/x` that nobody handles events in."""
    async with run_gateway(workspaces_settings()) as running:
        running.gateway.workspaces.namespace("/x")
        yield running


async def refused(
    running: RunningGateway, auth: dict[str, Any] | None, **headers: str
) -> SocketPeer:
    """A client that asks to be let in."""
    eve = await reach(running.gateway, **headers)
    await eve.enter(auth)
    return eve


async def credential(running: RunningGateway, kind: str) -> dict[str, Any] | None:
    """What a client sends that is not let in."""
    match kind:
        case "none":
            return None
        case "empty":
            return {"token": ""}
        case "no text":
            return {"token": 7}
        case "expired":
            token = running.token("eve", ttl=10)
            running.clock.advance(100)
            return {"token": token}
        case "revoked":
            token = running.token("eve", jti="j1")
            await running.gateway.revoke(jti="j1")
            return {"token": token}
        case _:
            return {"token": "a.b.c"}


REFUSALS = [
    ("none", "AUTH_REQUIRED", "Authentication required"),
    ("empty", "AUTH_REQUIRED", "Authentication required"),
    ("no text", "AUTH_REQUIRED", "Authentication required"),
    ("invalid", "INVALID_TOKEN", "Invalid token"),
    ("expired", "INVALID_TOKEN", "Invalid token"),
    ("revoked", "INVALID_TOKEN", "Invalid token"),
]


@pytest.mark.p0
@pytest.mark.parametrize(("kind", "code", "_"), REFUSALS)
async def test_refused_by_an_event(running: RunningGateway, kind: str, code: str, _: str) -> None:
    """Who is not let in hears the event `error` with a code, and is sent out for good."""
    eve = await refused(running, await credential(running, kind))
    assert eve.packets[0].startswith('0{"sid":')
    assert eve.packets[1:] == [f'2["error",{{"code":"{code}"}}]', "1"]
    assert eve.closed == INVALID
    await settle()
    assert running.inside() == (0, 0, 0)


@pytest.mark.parametrize(("kind", "code", "message"), REFUSALS)
async def test_refused_by_a_connect_error(kind: str, code: str, message: str) -> None:
    """Where settings say so, the code is in the data of a `connect_error`."""
    given = workspaces_settings(endpoint={"refuse": Refuse.CONNECT_ERROR})
    async with run_gateway(given) as running:
        eve = await refused(running, await credential(running, kind))
        (told,) = eve.packets
        assert told.startswith("4{")
        assert json.loads(told[1:]) == {"message": message, "data": {"code": code}}
        assert eve.closed == INVALID


@pytest.mark.parametrize("refuse", [Refuse.EVENT, Refuse.CONNECT_ERROR])
async def test_too_many_connections(refuse: Refuse) -> None:
    """The eleventh connection of an address is told so; when one has gone there is room again."""
    async with run_gateway(workspaces_settings(endpoint={"refuse": refuse})) as running:
        first = await reach(running.gateway)
        for _ in range(9):
            await reach(running.gateway)
        auth = {"token": running.token("ann", workspaceId="w1")}
        eve = await refused(running, auth)
        if refuse is Refuse.EVENT:
            assert eve.packets[1:] == ['2["error",{"code":"TOO_MANY_CONNECTIONS"}]', "1"]
        else:
            assert json.loads(eve.packets[0][1:])["data"] == {"code": "TOO_MANY_CONNECTIONS"}
        assert eve.closed == (3504, "connection limit")
        assert running.events(Event.AUTH_OK) == 0
        first.leave()
        await settle()
        await member(running, "ann")


async def test_too_many_connections_of_a_user() -> None:
    """So is a user who has too many, wherever they come from."""
    async with run_gateway(workspaces_settings(gate=GateSettings(max_per_user=1))) as running:
        await member(running, "ann")
        eve = await refused(running, {"token": running.token("ann")}, peer="10.0.0.1")
        assert eve.events("error") == [{"code": "TOO_MANY_CONNECTIONS"}]


async def test_too_many_attempts(running: RunningGateway) -> None:
    """Who tries too many tokens is told to wait, and may come back; a good token is taken meanwhile."""
    for number in range(10):
        eve = await refused(running, {"token": f"x{number}"})
        assert eve.closed == (3500, "invalid token")
    eve = await refused(running, {"token": "x10"})
    (told,) = eve.packets[1:]
    assert told.startswith('2["error",{"code":"RATE_LIMITED"')
    assert eve.closed == (3013, "too many requests")
    ann = await refused(running, {"token": running.token("ann")})
    assert session_of(ann).user == "ann"


@pytest.mark.parametrize("auth", [None, {}, {"other": 1}, {"token": ""}])
async def test_token_in_the_header(running: RunningGateway, auth: dict[str, Any] | None) -> None:
    """Without a token in the CONNECT the one in the header counts."""
    ann = await refused(running, auth, authorization=f"Bearer {running.token('ann')}")
    assert len(ann.packets) == 1
    assert session_of(ann).user == "ann"


@pytest.mark.p0
async def test_token_in_the_connect_wins(running: RunningGateway) -> None:
    """With both, the CONNECT's counts, be it good or bad."""
    header = f"Bearer {running.token('ann')}"
    bob = await refused(running, {"token": running.token("bob")}, authorization=header)
    assert session_of(bob).user == "bob"
    eve = await refused(running, {"token": "x"}, authorization=header)
    assert eve.events("error") == [{"code": "INVALID_TOKEN"}]


async def test_connect_hook_refuses(running: RunningGateway) -> None:
    """An application that refuses a connection is told apart from a bad token."""

    @running.gateway.on_connect
    async def refuse(_: object) -> bool:
        return False

    eve = await refused(running, {"token": running.token("eve")})
    assert eve.events("error") == [{"code": "PERMISSION_LOST"}]
    assert eve.closed == (3507, "permission denied")


async def test_nobody_connects(running: RunningGateway) -> None:
    """Who opens a connection and never enters a namespace is closed after a while."""
    idle = await reach(running.gateway)
    await running.advance(44)
    assert idle.alive
    await running.advance(2)
    assert idle.closed == (3502, "stale")
    assert idle.packets == []


async def test_without_authentication() -> None:
    """Where nobody proves who they are everyone is let in, as nobody in no workspace."""
    async with run_gateway(workspaces_settings(endpoint={"auth": AuthMode.NONE})) as running:
        running.gateway.workspaces.namespace("/x")
        one = await refused(running, None)
        await one.enter(nsp="/x")
        assert [packet.partition("{")[0] for packet in one.packets] == ["0", "0/x,"]
        room = {"room": "workspace:w1:dashboard"}
        assert await one.call("join_room", room) == {"error": "ACCESS_DENIED"}
        assert await one.call("dashboard_action", {"action": "a"}) == {"error": "PERMISSION_DENIED"}
        (socket,) = running.gateway.workspaces.sockets("/x")
        assert (socket.user, socket.workspace) == ("anonymous", None)


# -- further namespaces


@pytest.mark.parametrize("nsp", ["/a b", "/é", "/" + "x" * 300, "/%00", "/a?b=c", "/../x"])
async def test_no_name_of_a_namespace(running: RunningGateway, nsp: str) -> None:
    """What cannot be the name of a namespace is refused as one that nobody made."""
    ann = await reach(running.gateway)
    await ann.enter({}, nsp)
    assert ann.forget() == [f'4{nsp},{{"message":"Invalid namespace"}}']
    assert ann.alive


async def test_unknown_namespace(running: RunningGateway) -> None:
    """A namespace nobody made is refused, before a token and after, and the connection lives."""
    ann = await reach(running.gateway)
    await ann.enter({"token": "whatever"}, "/nope")
    assert ann.forget() == ['4/nope,{"message":"Invalid namespace"}']
    await ann.enter({"token": running.token("ann")})
    await ann.enter(nsp="/nope")
    assert ann.packets[1:] == ['4/nope,{"message":"Invalid namespace"}']
    assert ann.alive


async def test_the_same_token_for_each_namespace(running: RunningGateway) -> None:
    """Clients send their token to each namespace; that is one attempt, and one proof."""
    for number in range(15):
        running.gateway.workspaces.namespace(f"/n{number}")
    ann = await reach(running.gateway)
    token = running.token("ann")
    for nsp in ("/", *(f"/n{number}" for number in range(15))):
        await ann.enter({"token": token}, nsp)
    assert len(ann.packets) == 16
    assert ann.alive
    assert running.events(Event.AUTH_REFRESH) == 0


async def test_a_newer_token_for_another_namespace(running: RunningGateway) -> None:
    """A newer token of the same user is put in force by the way."""
    ann = await member(running, "ann")
    newer = running.token("ann", ttl=7200, workspaceId="w1")
    await ann.enter({"token": newer}, "/x")
    assert running.events(Event.AUTH_REFRESH) == 1
    claims = session_of(ann).claims
    assert claims is not None
    assert claims.expires_at == running.clock.time() + 7200


@pytest.mark.p0
@pytest.mark.parametrize(("user", "workspace"), [("bob", "w1"), ("ann", "w2")])
async def test_somebody_elses_token_for_another_namespace(
    running: RunningGateway, user: str, workspace: str
) -> None:
    """A token of somebody else, or for another workspace, ends the connection."""
    ann = await member(running, "ann")
    await ann.enter({"token": running.token(user, workspaceId=workspace)}, "/x")
    assert ann.closed == INVALID
    assert ann.events("error") == [{"code": "INVALID_TOKEN"}]
    assert ann.events("error", "/x") == [{"code": "INVALID_TOKEN"}]


async def test_no_room_in_a_namespace() -> None:
    """Who hears too many channels already is told so, and may try again."""
    async with run_gateway(workspaces_settings(namespace={"max_subscriptions": 1})) as running:
        running.gateway.workspaces.namespace("/x")
        ann = await member(running, "ann", "workspace:w1:dashboard")
        await ann.enter(nsp="/x")
        told = json.loads(ann.packets[-1].removeprefix("4/x,"))
        assert told == {"message": "Limit exceeded", "data": {"code": "LIMIT_EXCEEDED"}}
        assert running.gateway.workspaces.sockets("/x") == []
        await ann.call("leave_room", {"room": "workspace:w1:dashboard"})
        await ann.enter(nsp="/x")
        assert ann.packets[-1].startswith('0/x,{"sid":')


async def test_other_protocols_have_no_namespaces(running: RunningGateway) -> None:
    """A session of another protocol is no Socket.IO session."""
    client = await connect(running.gateway, "/rooms")
    with pytest.raises(TypeError):
        connection_of(session_of(client))


# -- handlers of coming and going


async def test_coming_and_going(running: RunningGateway) -> None:
    """Handlers are told of each client that comes, with what it brought, and why it went."""
    told: list[Any] = []
    for nsp in ("/", "/x"):
        space = running.gateway.workspaces.namespace(nsp)

        @space.on("connect")
        async def came(socket: Socket, auth: dict[str, Any]) -> None:
            told.append((socket.nsp, auth.get("a"), socket.open))
            await socket.emit("welcome", socket.user)

        @space.on("disconnect")
        def went(socket: Socket, reason: str) -> None:
            told.append((socket.nsp, reason, socket.open))

    ann = await reach(running.gateway)
    await ann.enter({"token": running.token("ann"), "a": 1})
    await ann.enter({"a": 2}, "/x")
    assert [packet[:3] for packet in ann.packets] == ['0{"', '2["', "0/x", "2/x"]
    assert ann.events("welcome", "/x") == ["ann"]
    await ann.say("1/x,")
    await ann.enter({"a": 3}, "/x")
    running.gateway.workspaces.sockets("/x")[0].disconnect()
    await ann.say("1")
    await ann.enter({"token": running.token("ann")})
    ann.leave(None)
    await until(lambda: len(told) == 8)
    assert told == [
        ("/", 1, True), ("/x", 2, True), ("/x", "client", False), ("/x", 3, True),
        ("/x", "server", False), ("/", "client", False), ("/", None, True),
        ("/", "going_away", False),
    ]  # fmt: skip


@pytest.mark.parametrize("way", ["false", "raises"])
async def test_a_handler_refuses(running: RunningGateway, way: str) -> None:
    """A client is sent out again by a handler that returns False, or that fails."""
    space = running.gateway.workspaces.namespace("/x")

    @space.on("connect")
    def refuse(_: Socket, __: dict[str, Any]) -> bool:
        if way == "raises":
            raise RuntimeError("canary")
        return False

    ann = await member(running, "ann")
    await ann.enter(nsp="/x")
    assert ann.packets[-1] == "1/x,"
    assert running.events(Event.INTERNAL_ERROR) == (way == "raises")
    assert "canary" not in running.log.getvalue()
    assert rooms_of(ann) == []


async def test_a_disconnect_handler_fails(running: RunningGateway) -> None:
    """What a handler of the end raises is recorded, and changes nothing."""
    space = running.gateway.workspaces.namespace("/x")

    @space.on("disconnect")
    async def fail(_: Socket, __: str) -> None:
        raise RuntimeError

    ann = await member(running, "ann")
    await ann.enter(nsp="/x")
    await ann.say("1/x,")
    await settle()
    assert running.events(Event.INTERNAL_ERROR) == 1
    assert ann.alive


async def test_a_namespace_is_left_alone(running: RunningGateway) -> None:
    """To leave one namespace leaves its rooms, and no other's; to leave the root leaves its own."""
    space = running.gateway.workspaces.namespace("/x")
    ann = await member(running, "ann", "workspace:w1:dashboard")
    await ann.enter(nsp="/x")
    await space.join(running.gateway.workspaces.sockets("/x")[0], "r")
    assert rooms_of(ann) == ["workspaces:w1:dashboard", "workspaces:/x", "workspaces:/x,r"]
    await ann.say("1/x,")
    assert rooms_of(ann) == ["workspaces:w1:dashboard"]
    await ann.enter(nsp="/x")
    await ann.say("1")
    assert rooms_of(ann) == ["workspaces:/x"]
    assert ann.alive


async def test_rooms_come_to_nothing(running: RunningGateway) -> None:
    """After the last one has gone no book is kept: at once here, after a while in the engine."""
    space = running.gateway.workspaces.namespace("/x")
    people = []
    for way in range(4):
        ann = await member(running, f"u{way}", "workspace:w1:dashboard", "workspace:w1:approvals")
        await ann.enter(nsp="/x")
        people.append(ann)
    for socket in running.gateway.workspaces.sockets("/x"):
        await space.join(socket, "r")
    assert len(running.gateway.channels()) == 4
    assert running.count("connections", endpoint="workspaces") == 4
    assert len(await running.gateway.presence("workspaces:w1:dashboard")) == 4
    people[0].leave()
    people[1].leave(None)
    await people[2].say("x")
    await running.gateway.revoke(user="u3")
    await settle()
    assert running.gateway.channels() == {}
    for channel in ("workspaces:w1:dashboard", "workspaces:/x", "workspaces:/x,r"):
        assert await running.gateway.presence(channel) == ()
    assert running.inside() == (0, 0, 0)
    assert running.count("connections", endpoint="workspaces") == 0
    await running.advance(310)
    await running.advance(20)
    assert running.gateway.node.engine.streams.stream_counts() == {}
    assert running.gateway.workspaces.sockets() == []


# -- events


class Greeting(msgspec.Struct):
    """What the application wants to hear."""

    name: str
    times: int = 1


class Tagged(msgspec.Struct, tag_field="kind", tag="hello", rename="camel"):
    """One that says what it is."""

    first_name: str


async def test_events_with_a_schema(running: RunningGateway) -> None:
    """The argument is read into its type; what does not fit is refused, and the handler not called."""
    seen: list[object] = []

    @running.gateway.workspaces.event("greet", Greeting)
    async def greet(_: Socket, greeting: Greeting) -> dict[str, str]:
        seen.append(greeting)
        return {"hello": greeting.name}

    ann = await member(running, "ann")
    assert await ann.call("greet", {"name": "bob"}) == {"hello": "bob"}
    for arguments in (
        (), ({"name": "a"}, 1), ({"name": 1},), ({},), ("bob",), ({"name": "a", "x": 1},), (None,),
    ):  # fmt: skip
        answer = await ann.call("greet", *arguments)
        assert answer["error"] == "VALIDATION_ERROR"
        assert answer["details"]
    assert seen == [Greeting("bob")]


async def test_events_with_a_tagged_schema(running: RunningGateway) -> None:
    """The tag of a schema is one of its fields, and so are renamed ones."""

    @running.gateway.workspaces.event("greet", Tagged)
    def greet(_: Socket, greeting: Tagged) -> str:
        return greeting.first_name

    ann = await member(running, "ann")
    assert await ann.call("greet", {"kind": "hello", "firstName": "ann"}) == "ann"
    assert (await ann.call("greet", {"kind": "bye", "firstName": "ann"}))["error"]
    assert (await ann.call("greet", {"kind": "hello", "first_name": "ann"}))["error"]


async def test_unknown_events(running: RunningGateway) -> None:
    """An event nobody handles is refused, and so are events of the table elsewhere."""
    ann = await member(running, "ann")
    await ann.enter(nsp="/x")
    refusal = {"error": "VALIDATION_ERROR", "details": "unknown event"}
    assert await ann.call("nope", 1) == refusal
    assert await ann.call("") == refusal
    assert await ann.call("__class__") == refusal
    assert await ann.call("join_room", {"room": "workspace:w1:dashboard"}, nsp="/x") == refusal
    await ann.emit("nope")
    assert ann.events("error") == [{"code": "VALIDATION_ERROR"}]


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (None, "30[]"),
        (0, "30[0]"),
        ([1, 2], "30[[1,2]]"),
        ((1, 2), "30[1,2]"),
        ((), "30[]"),
        (b"x", '61-0[{"_placeholder":true,"num":0}]'),
    ],
)
async def test_what_handlers_return(running: RunningGateway, answer: Any, told: str) -> None:
    """What a handler returns is the acknowledgement, and nothing where none is waited for."""

    @running.gateway.workspaces.event("ask")
    def handle(_: Socket) -> Any:
        return answer

    ann = await member(running, "ann")
    ann.forget()
    await ann.emit("ask")
    assert ann.packets == []
    await ann.say('20["ask"]')
    assert ann.packets == [told]


@pytest.mark.parametrize("answer", [object(), [b""] * 11, {"a": {1, object()}}])
async def test_what_cannot_be_sent(running: RunningGateway, answer: Any) -> None:
    """An answer that cannot be sent is an error of the application, and the client is told."""

    @running.gateway.workspaces.event("ask")
    def handle(_: Socket) -> Any:
        return answer

    ann = await member(running, "ann")
    assert await ann.call("ask") == {"error": "INTERNAL_ERROR"}
    assert running.events(Event.INTERNAL_ERROR) == 1
    assert ann.alive


async def test_handlers_that_refuse_or_fail(running: RunningGateway) -> None:
    """An EventError is an answer; anything else is recorded by its name, and told as our failure."""

    @running.gateway.workspaces.event("ask")
    async def handle(_: Socket, what: str) -> None:
        if what == "plain":
            raise EventError("TAKEN")
        if what == "details":
            raise EventError("TAKEN", {"by": "bob"})
        raise RuntimeError("canary")

    ann = await member(running, "ann")
    assert await ann.call("ask", "plain") == {"error": "TAKEN"}
    assert await ann.call("ask", "details") == {"error": "TAKEN", "details": {"by": "bob"}}
    assert running.events(Event.INTERNAL_ERROR) == 0
    assert await ann.call("ask", "else") == {"error": "INTERNAL_ERROR"}
    assert running.events(Event.INTERNAL_ERROR) == 1
    assert "canary" not in running.log.getvalue()
    await ann.emit("ask", "else")
    assert ann.events("error") == [{"code": "INTERNAL_ERROR"}]


async def test_handlers_that_cannot_do_it_now(running: RunningGateway) -> None:
    """What a handler cannot do because the store is away may succeed later, and is nobody's error."""

    @running.gateway.workspaces.event("ask")
    async def handle(_: Socket) -> None:
        raise EngineUnavailable

    running.gateway.workspaces.on_action(handle)
    ann = await member(running, "ann")
    assert await ann.call("ask") == {"error": "UNAVAILABLE"}
    assert await ann.call("dashboard_action", {"action": "a"}) == {"error": "UNAVAILABLE"}
    assert running.events(Event.INTERNAL_ERROR) == 0


async def test_arguments_are_counted(running: RunningGateway) -> None:
    """More or fewer arguments than a handler takes are the client's mistake, not the handler's."""

    @running.gateway.workspaces.event("two")
    async def two(_: Socket, a: int, b: int = 0) -> list[int]:
        return [a, b]

    running.gateway.workspaces.namespace().on("any", max)
    ann = await member(running, "ann")
    assert await ann.call("two", 1) == [1, 0]
    assert await ann.call("two", 1, 2) == [1, 2]
    for arguments in ((), (1, 2, 3)):
        assert (await ann.call("two", *arguments))["error"] == "VALIDATION_ERROR"
    assert running.events(Event.INTERNAL_ERROR) == 0
    assert await ann.call("any", 1) == {"error": "INTERNAL_ERROR"}


async def test_one_at_a_time(running: RunningGateway) -> None:
    """Events of one client are handled one after the other, in the order they came."""
    running_now: list[int] = []
    seen: list[int] = []

    @running.gateway.workspaces.event("step")
    async def step(_: Socket, number: int) -> None:
        running_now.append(number)
        assert len(running_now) == 1
        await asyncio.sleep(0)
        seen.append(running_now.pop())

    ann = await member(running, "ann")
    for number in range(10):
        ann.put(f'2["step",{number}]')
    await until(lambda: len(seen) == 10)
    assert seen == list(range(10))


@pytest.mark.parametrize("way", ["leave", "cut", "revoke"])
async def test_a_handler_ends_with_its_connection(running: RunningGateway, way: str) -> None:
    """A handler still at work a while after its client has gone is cancelled, and nothing is left."""
    ended = asyncio.Event()
    began = asyncio.Event()

    @running.gateway.workspaces.event("work")
    async def work(_: Socket) -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    ann = await member(running, "ann")
    await ann.emit("work")
    await began.wait()
    if way == "revoke":
        await running.gateway.operations.revoke(RevocationKind.SUBJECT, "ann")
    else:
        ann.leave(1000 if way == "leave" else None)
        await running.advance(CLOSE_TIME + 0.2)
    await asyncio.wait_for(ended.wait(), 30)
    await settle()
    assert running.events(Event.INTERNAL_ERROR) == 0
    assert running.inside() == (0, 0, 0)


async def test_a_connect_handler_ends_with_its_connection(running: RunningGateway) -> None:
    """So is one that welcomes a client."""
    began, ended = asyncio.Event(), asyncio.Event()
    space = running.gateway.workspaces.namespace("/x")

    @space.on("connect")
    async def welcome(_: Socket, __: dict[str, Any]) -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    ann = await member(running, "ann")
    await ann.enter(nsp="/x")
    await began.wait()
    ann.leave(None)
    await running.advance(CLOSE_TIME + 0.2)
    await asyncio.wait_for(ended.wait(), 30)
    await settle()
    assert running.gateway.channels() == {}


async def test_who_is_where(running: RunningGateway) -> None:
    """Clients of other endpoints and other namespaces are not among those of this one."""
    ann = await member(running, "ann")
    await running.client("carl")
    assert [socket.user for socket in running.gateway.workspaces.sockets()] == ["ann"]
    assert running.gateway.workspaces.sockets("/x") == []
    other = running.gateway.node.protocols.of(WorkspacesService).namespaces
    assert other.present("elsewhere", "/") == []
    ann.leave()
    await settle()
    assert running.gateway.workspaces.sockets() == []


# -- secrets


@pytest.mark.p0
@pytest.mark.parametrize("way", ["good", "bad", "header", "event", "name", "key"])
async def test_no_token_leaks(way: str) -> None:
    """A token in a CONNECT, an event or a header is in no log, no audit, no metric and no answer."""
    async with run_gateway(workspaces_settings(endpoint={"limits": UNLIMITED_LIMITS})) as running:
        good = running.token("ann", workspaceId="w1")
        canary = {"good": good, "header": good}.get(way, "eyJcanary.canary.canary")
        header = {"authorization": f"Bearer {canary}"} if way == "header" else {}
        ann = await reach(running.gateway, **header)
        await ann.enter(None if way == "header" else {"token": canary if way == "bad" else good})
        if way == "event":
            await ann.call("token_refresh", {"token": canary})
        elif way == "name":
            await ann.say(f"0/{canary},")
        elif way == "key":
            await ann.emit("token_refresh", {canary: 1})
            await ann.say(f'2["{canary}"]x')
        for value in (session_of(ann), session_of(ann).handshake):
            assert canary not in repr(value)
        await settle()
        sinks = [running.log.getvalue(), running.gateway.telemetry.metrics.render().decode()]
        sinks += [repr(entry) for entry in running.gateway.telemetry.audit.recent(1000)]
        if way != "name":  # a namespace is the client's own word, and repeated to it alone
            sinks += ann.packets
        for sink in sinks:
            for part in canary.split("."):
                assert part not in sink


async def test_waiting_for_more_than_can_be_kept(running: RunningGateway) -> None:
    """While a handler waits, what else comes waits too, and then reading stops."""
    release = asyncio.Event()

    @running.gateway.workspaces.event("wait")
    async def wait(_: Socket) -> None:
        await release.wait()

    ann = await member(running, "ann")
    for _ in range(17):
        ann.put('2["wait"]')
    assert ann.paused
    release.set()
    await until(lambda: not ann.paused)
    assert ann.alive
