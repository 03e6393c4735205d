"""Events of workspaces: what clients may emit in the root namespace, field by field."""

from typing import Any

import pytest

from portward.model import commands as ask
from portward.model.approval import Decision
from portward.model.channel import Channel
from portward.model.commands import Command
from portward.model.errors import CommandError, ErrorKind
from portward.protocols.socketio.commands import Call
from portward.protocols.socketio.namespaces import MAX_HINT
from portward.protocols.socketio.packets import SocketIoPacket, SocketIoPacketKind
from portward.protocols.workspaces.commands import Act, Decide, Share
from portward.protocols.workspaces.events import MAX_JSON, WorkspaceEvents
from portward.protocols.workspaces.protocol import WorkspacesProtocol

KINDS = ("dashboard", "approvals")
EVENTS = WorkspaceEvents("workspaces", KINDS)
PROTOCOL = WorkspacesProtocol("workspaces", KINDS)


def read(name: str, *arguments: Any, nsp: str = "/") -> Command:
    """The command behind an event with the acknowledgement id 7."""
    size = 1
    packet = SocketIoPacket(
        kind=SocketIoPacketKind.EVENT, nsp=nsp, size=size, id=7, name=name, data=list(arguments)
    )
    return PROTOCOL.read_event(packet)


def hint(name: str, *arguments: Any) -> str:
    """Why an event is refused."""
    with pytest.raises(CommandError) as caught:
        read(name, *arguments)
    assert caught.value.kind is ErrorKind.INVALID_STRUCTURE
    assert caught.value.hint
    return caught.value.hint


ROOM = Channel.parse("workspaces:w1:dashboard")


@pytest.mark.parametrize(
    ("name", "argument", "command"),
    [
        ("join_room", {"room": "workspace:w1:dashboard"}, ask.Subscribe(id="7", channel=ROOM)),
        ("leave_room", {"room": "workspace:w1:dashboard"}, ask.Unsubscribe(id="7", channel=ROOM)),
        ("dashboard_action", {"action": "a"}, Act(id="7", action="a")),
        ("dashboard_action", {"action": "a", "payload": None}, Act(id="7", action="a")),
        (
            "dashboard_action",
            {"action": "a" * 100, "payload": {"x": [1]}},
            Act(id="7", action="a" * 100, payload={"x": [1]}),
        ),
        (
            "approval_response",
            {"requestId": "r", "decision": "reject"},
            Decide(id="7", request="r", decision=Decision.REJECT),
        ),
        (
            "approval_response",
            {"requestId": "r" * 64, "decision": "approve", "comment": "c"},
            Decide(id="7", request="r" * 64, decision=Decision.APPROVE, comment="c"),
        ),
        ("state_sync", {"key": "k", "value": None}, Share(id="7", key="k", value=None)),
        (
            "state_sync",
            {"key": "k", "value": 1, "version": 0},
            Share(id="7", key="k", value=1, version=0),
        ),
        ("token_refresh", {"token": "t"}, ask.Refresh(id="7", token="t")),
    ],
)
def test_known_events(name: str, argument: Any, command: Command) -> None:
    """Each event of the table becomes its command, at the address of its acknowledgement."""
    assert read(name, argument) == command


def test_names() -> None:
    """The table has six events."""
    assert EVENTS.names == {
        "join_room", "leave_room", "dashboard_action", "approval_response", "state_sync",
        "token_refresh",
    }  # fmt: skip


def test_the_rest_is_for_the_application() -> None:
    """An event that is not in the table is a call, and in another namespace every event is."""
    assert read("hello", 1, b"x") == Call(id="7", nsp="/", event="hello", arguments=(1, b"x"))
    assert read("join_room", nsp="/x") == Call(id="/x,7", nsp="/x", event="join_room")


@pytest.mark.p0
@pytest.mark.parametrize(
    ("name", "argument", "where"),
    [
        ("join_room", {}, "room"),
        ("join_room", {"room": 1}, "$.room"),
        ("join_room", {"room": None}, "$.room"),
        ("join_room", {"room": "r" * 161}, "$.room"),
        ("join_room", [], "object"),
        ("join_room", "workspace:w1:dashboard", "object"),
        ("join_room", {"room": "workspace:w1:dashboard", "x": 1}, "`x`"),
        ("leave_room", {"room": "workspace:w1:dashboard", "reason": 1}, "`reason`"),
        ("dashboard_action", {"action": ""}, "$.action"),
        ("dashboard_action", {"action": "a" * 101}, "$.action"),
        ("dashboard_action", {"action": ["a"]}, "$.action"),
        ("dashboard_action", {"payload": 1}, "action"),
        ("dashboard_action", {"action": "a", "userId": "eve"}, "`userId`"),
        ("dashboard_action", {"action": "a", "payload": "p" * (MAX_JSON - 1)}, "$.payload"),
        ("dashboard_action", {"action": "a", "payload": {"x": b"bytes"}}, "$.payload"),
        ("approval_response", {"requestId": "r"}, "decision"),
        ("approval_response", {"requestId": "r", "decision": "maybe"}, "$.decision"),
        ("approval_response", {"requestId": "", "decision": "approve"}, "$.requestId"),
        ("approval_response", {"requestId": "r" * 65, "decision": "approve"}, "$.requestId"),
        ("approval_response", {"request_id": "r", "decision": "approve"}, "request"),
        (
            "approval_response",
            {"requestId": "r", "decision": "approve", "comment": "c" * 2001},
            "$.comment",
        ),
        ("approval_response", {"requestId": "r", "decision": "approve", "by": 1}, "`by`"),
        ("state_sync", {"key": "k"}, "value"),
        ("state_sync", {"key": "", "value": 1}, "$.key"),
        ("state_sync", {"key": "k" * 101, "value": 1}, "$.key"),
        ("state_sync", {"key": "k", "value": 1, "version": -1}, "$.version"),
        ("state_sync", {"key": "k", "value": 1, "version": "1"}, "$.version"),
        ("state_sync", {"key": "k", "value": 1, "version": True}, "$.version"),
        ("state_sync", {"key": "k", "value": ["v" * MAX_JSON]}, "$.value"),
        ("state_sync", {"key": "k", "value": b"bytes"}, "$.value"),
        ("token_refresh", {"token": None}, "$.token"),
        ("token_refresh", {"token": "t", "sub": "eve"}, "`sub`"),
    ],
)
def test_fields(name: str, argument: Any, where: str) -> None:
    """A field that is missing, of another type, too long or unknown is refused by its name."""
    assert where in hint(name, argument)


@pytest.mark.parametrize("arguments", [(), ({"room": "workspace:w1:dashboard"}, 1)])
def test_one_argument(arguments: tuple[Any, ...]) -> None:
    """Events of the table have one argument."""
    assert hint("join_room", *arguments) == "one argument is expected"


@pytest.mark.p1
@pytest.mark.parametrize(
    "room",
    [
        "", "workspace", "workspace:", "workspace:w1", "workspace:w1:", "workspace::dashboard",
        "workspace:w1:dashboard:x", "workspace:w1:dashboard\n", "workspace:w1:secrets",
        "workspaces:w1:dashboard", "Workspace:w1:dashboard", "rooms:w1:dashboard",
        "workspace:w 1:dashboard", "workspace:*:dashboard", "workspace:w\n1:dashboard",
        "workspace:ž:dashboard", "workspace:[1]:dashboard", 'workspace:"1:dashboard',
        "workspace:/x,room:dashboard", "workspace:/x:dashboard", f"workspace:{'w' * 65}:dashboard",
    ],
)  # fmt: skip
def test_what_is_no_room(room: str) -> None:
    """A room is `workspace:{id}:{kind}` of a known kind, and no channel of something else."""
    assert hint("join_room", {"room": room}).endswith("at `$.room`")


def test_kinds_are_settings() -> None:
    """Which kinds of rooms there are is for the operator to say."""
    events = WorkspaceEvents("family", ("notes",))
    packet = SocketIoPacket(
        kind=SocketIoPacketKind.EVENT,
        nsp="/",
        size=1,
        name="join_room",
        data=[{"room": "workspace:w1:notes"}],
    )
    assert events.read(packet) == ask.Subscribe(id="", channel=Channel.parse("family:w1:notes"))


def test_lengths_count_characters_of_json() -> None:
    """A payload may have 10,000 characters of JSON, whatever they take in bytes."""
    assert isinstance(read("dashboard_action", {"action": "a", "payload": "ž" * 9998}), Act)
    assert "longer" in hint("dashboard_action", {"action": "a", "payload": "ž" * 9999})


def test_a_hint_is_short() -> None:
    """What is said of a client's own mistake does not grow with it."""
    assert len(hint("join_room", {"x" * 5000: 1})) <= MAX_HINT


def test_a_token_is_not_shown() -> None:
    """The command that carries a token does not show it."""
    assert "canary" not in repr(read("token_refresh", {"token": "canary"}))
