"""`gateway.workspaces`: handlers, namespaces, rooms and requests, as the application has them."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from portward.model.errors import CommandError, ErrorKind
from portward.protocols.socketio.server import Socket
from portward.protocols.workspaces.api import BUILT_IN
from portward.protocols.workspaces.events import WorkspaceEvents
from tests.running_gateway import RunningGateway, run_gateway, settle
from tests.socketio_peer import SocketPeer, member, workspaces_settings

DASHBOARD = "workspace:w1:dashboard"


@pytest.fixture
async def running() -> AsyncIterator[RunningGateway]:
    """A gateway."""
    async with run_gateway(workspaces_settings()) as running:
        yield running


async def visitor(running: RunningGateway, user: str, *nsps: str) -> SocketPeer:
    """A client in these namespaces, which has heard nothing yet."""
    client = await member(running, user)
    for nsp in nsps:
        await client.enter(nsp=nsp)
    client.forget()
    return client


def socket_of(running: RunningGateway, user: str, nsp: str = "/x") -> Socket:
    """The client of a user in a namespace."""
    (socket,) = [each for each in running.gateway.workspaces.sockets(nsp) if each.user == user]
    return socket


# -- handlers


def handle(_: Socket, *__: object) -> None:
    """Do nothing."""


async def test_registering(running: RunningGateway) -> None:
    """Handlers are set by decorators or by calls, which leave them as they are."""
    workspaces = running.gateway.workspaces
    space = workspaces.namespace("/x")
    assert repr(space) == "SocketNamespace('/x')"
    assert space.name == "/x"
    assert space.on("a", handle) is handle
    assert space.on("b")(handle) is handle
    assert workspaces.event("a")(handle) is handle
    assert workspaces.on_action(handle) is handle
    ann = await visitor(running, "ann", "/x")
    assert await ann.call("a", nsp="/x") == ()
    assert await ann.call("b", nsp="/x") == ()
    assert await ann.call("a") == ()


async def test_the_last_one_counts(running: RunningGateway) -> None:
    """A handler set again takes the place of the one before, also for who is there already."""
    ann = await visitor(running, "ann")
    for number in range(2):

        @running.gateway.workspaces.event("a")
        def answer(_: Socket, number: int = number) -> int:
            return number

        assert await ann.call("a") == number


async def test_names_that_cannot_be_handled(running: RunningGateway) -> None:
    """Events of the gateway's own, reserved ones, and names of nothing are refused."""
    workspaces = running.gateway.workspaces
    assert WorkspaceEvents("workspaces", ()).names == BUILT_IN
    for name in BUILT_IN:
        with pytest.raises(ValueError, match=r"answers itself"):
            workspaces.event(name)(handle)
        with pytest.raises(ValueError, match=r"answers itself"):
            workspaces.namespace().on(name, handle)
        assert workspaces.namespace("/x").on(name, handle) is handle
    for name in ("", "connect_error", "disconnecting", "newListener"):
        with pytest.raises(ValueError, match=r"no name"):
            workspaces.event(name)(handle)


@pytest.mark.parametrize("name", ["", "x", "/a b", "/a,b", "/" + "x" * 120, "/ž", "/*"])
async def test_what_is_no_namespace(running: RunningGateway, name: str) -> None:
    """A namespace begins with a slash, and has no comma, and nothing a channel may not have."""
    with pytest.raises(ValueError, match=r"namespace|channel"):
        running.gateway.workspaces.namespace(name)


async def test_handlers_of_coming(running: RunningGateway) -> None:
    """Handlers of coming are registered like any other."""
    seen: list[Any] = []

    @running.gateway.workspaces.event("connect")
    def came(_: Socket, auth: dict[str, Any]) -> None:
        seen.append(sorted(auth))

    await member(running, "ann")
    assert seen == [["token"]]


# -- namespaces


async def test_emit_to_a_namespace(running: RunningGateway) -> None:
    """Everyone in a namespace hears it, with all its arguments, and nobody else."""
    space = running.gateway.workspaces.namespace("/x")
    running.gateway.workspaces.namespace("/y")
    ann, bob = await visitor(running, "ann", "/x"), await visitor(running, "bob", "/x", "/y")
    eve = await visitor(running, "eve", "/y")
    position = await space.emit("e", 1, {"a": 2})
    await space.emit("none")
    await settle()
    assert position.offset == 1
    assert ann.packets == bob.packets == ['2/x,["e",1,{"a":2}]', '2/x,["none"]']
    assert eve.packets == []


async def test_emit_to_a_room(running: RunningGateway) -> None:
    """Those in a room hear it, except the one that is left out."""
    space = running.gateway.workspaces.namespace("/x")
    clients = {name: await visitor(running, name, "/x") for name in ("ann", "bob", "carl")}
    for name in ("ann", "bob"):
        await space.join(socket_of(running, name), "r")
    await space.emit("all", room="r")
    await space.emit("others", room="r", exclude=socket_of(running, "ann"))
    await space.emit("everyone else", exclude=socket_of(running, "ann"))
    await settle()
    space.leave(socket_of(running, "bob"), "r")
    await space.emit("nobody", room="r", exclude=socket_of(running, "ann"))
    await settle()
    heard = {name: [each[6:-2] for each in client.packets] for name, client in clients.items()}
    assert heard == {
        "ann": ["all"],
        "bob": ["all", "others", "everyone else"],
        "carl": ["everyone else"],
    }


async def test_bytes_for_everyone(running: RunningGateway) -> None:
    """Bytes anywhere in the arguments arrive as bytes."""
    space = running.gateway.workspaces.namespace("/x")
    ann = await visitor(
        running,
        "ann",
        "/x",
    )
    await space.emit("e", b"1", {"a": [b"2"]})
    await settle()
    assert ann.packets == [
        '52-/x,["e",{"_placeholder":true,"num":0},{"a":[{"_placeholder":true,"num":1}]}]'
    ]
    assert ann.blobs == [b"1", b"2"]


async def test_clients_of_elsewhere(running: RunningGateway) -> None:
    """A client of another namespace is not put into a room of this one; the root has none."""
    workspaces = running.gateway.workspaces
    x, y = workspaces.namespace("/x"), workspaces.namespace("/y")
    await visitor(running, "ann", "/x")
    socket = socket_of(running, "ann")
    with pytest.raises(ValueError, match=r"client of '/x'"):
        await y.join(socket, "r")
    root = socket_of(running, "ann", "/")
    with pytest.raises(ValueError, match=r"root"):
        await workspaces.namespace().join(root, "r")
    with pytest.raises(ValueError, match=r"root"):
        workspaces.namespace().leave(root, "r")
    with pytest.raises(ValueError, match=r"root"):
        await workspaces.namespace().emit("e")
    with pytest.raises(ValueError, match=r"channel"):
        await x.join(socket, "a room")


# -- rooms


async def test_emit_to_a_workspace(running: RunningGateway) -> None:
    """What the backend emits to a room of a workspace is one argument, lists included."""
    ann = await member(running, "ann", DASHBOARD)
    ann.forget()
    position = await running.gateway.workspaces.emit(DASHBOARD, "e", [1, 2])
    await running.gateway.workspaces.emit(DASHBOARD, "b", {"x": b"1"})
    await running.gateway.publish("workspaces:w1:dashboard", {"a": 1}, type="p")
    await running.gateway.publish("workspaces:w1:dashboard", "plain")
    await settle()
    assert position.offset == 1
    assert ann.packets == [
        '2["e",[1,2]]',
        '51-["b",{"x":{"_placeholder":true,"num":0}}]',
        '2["p",{"a":1}]',
        '2["message","plain"]',
    ]
    assert ann.blobs == [b"1"]


@pytest.mark.parametrize(
    "room",
    [
        "", "w1:dashboard", "workspace:", "workspace:w1", "workspace::dashboard",
        "workspace:/x:dashboard", "workspace:a:b:c", "workspace:w 1:dashboard", "workspace:w1:",
    ],
)  # fmt: skip
async def test_what_is_no_room(running: RunningGateway, room: str) -> None:
    """A room is written `workspace:{id}:{kind}`."""
    with pytest.raises(ValueError, match=r"room|channel"):
        await running.gateway.workspaces.emit(room, "e", 1)


@pytest.mark.parametrize(
    ("event", "data", "error"),
    [
        ("", 1, ValueError),
        ("disconnect", 1, ValueError),
        ("e", [b""] * 11, ValueError),
        ("e", [b"", {"_placeholder": True}], ValueError),
        ("e", object(), CommandError),
        ("e", "x" * 65537, CommandError),
        ("e", b"x" * 65537, CommandError),
    ],
)
async def test_what_cannot_be_emitted(
    running: RunningGateway, event: str, data: Any, error: type[Exception]
) -> None:
    """Reserved events, too many attachments, and what is no JSON or too large are refused."""
    with pytest.raises(error):
        await running.gateway.workspaces.emit(DASHBOARD, event, data)


# -- approvals


async def test_approvals(running: RunningGateway) -> None:
    """A request is made for a workspace, waits for its people, and can be read."""
    workspaces = running.gateway.workspaces
    asked = await workspaces.request_approval("w1", "T", {"a": 1}, expires_in=60, id="r")
    assert asked.channel == "workspaces:w1:approvals"
    assert asked.expires_at == running.clock.time() + 60
    assert await workspaces.approval("r") == asked
    assert await workspaces.approval("other") is None
    with pytest.raises(CommandError) as caught:
        await workspaces.request_approval("w1", "another", id="r")
    assert caught.value.kind is ErrorKind.INVALID_STRUCTURE


@pytest.mark.p1
@pytest.mark.parametrize("workspace", ["", "a:b", "/x", "w 1", "w*", ":"])
async def test_what_is_no_workspace(running: RunningGateway, workspace: str) -> None:
    """What cannot be a workspace is asked nothing: its people could be another's."""
    with pytest.raises(ValueError, match=r"room|channel"):
        await running.gateway.workspaces.request_approval(workspace, "T")
