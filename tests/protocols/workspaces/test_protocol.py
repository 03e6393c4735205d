"""The protocol as a whole: packets to commands, replies and pushes to packets."""

import json
from typing import Any

import pytest

from portward.model import commands as ask
from portward.model import replies as say
from portward.model.approval import Approval, Decision
from portward.model.channel import Channel
from portward.model.disconnects import Disconnect
from portward.model.errors import CommandError, ErrorKind
from portward.model.payload import MultipartPayload
from portward.model.publication import Publication
from portward.model.replies import Push
from portward.protocols.socketio.commands import (
    Call,
    Called,
    CloseSocket,
    ConnectId,
    Emitted,
    Opened,
    OpenSocket,
)
from portward.protocols.socketio.packets import (
    PacketError,
    SocketIoPacket,
    SocketIoPacketKind,
    parse,
)
from portward.protocols.workspaces.commands import Asked, Decide, Decided
from portward.protocols.workspaces.protocol import WorkspacesProtocol

PROTOCOL = WorkspacesProtocol("workspaces", ("dashboard", "approvals"))
ROOM = Channel.parse("workspaces:w1:dashboard")


def delivered(
    channel: str, data: Any, kind: str | None = "e", *blobs: bytes
) -> str | MultipartPayload:
    """How a publication is told."""
    publication = Publication(id="p", offset=1, time=0, data=data, type=kind, attachments=blobs)
    push = say.Delivery(channel=Channel.parse(channel), publication=publication, epoch="e")
    told = PROTOCOL.push(push, 0)
    assert told is not None
    return told if isinstance(told, MultipartPayload) else told.decode()


# -- what is heard


@pytest.mark.parametrize(
    ("text", "command"),
    [
        (b'0{"token":"t"}', OpenSocket(id="/", nsp="/", auth={"token": "t"})),
        (b"0/x,", OpenSocket(id="/x", nsp="/x", auth={})),
        (b"1/x,", CloseSocket(id="/x,", nsp="/x")),
        (b'2/x,5["e",1]', Call(id="/x,5", nsp="/x", event="e", arguments=(1,))),
        (
            b'25["leave_room",{"room":"workspace:w1:dashboard"}]',
            ask.Unsubscribe(id="5", channel=ROOM),
        ),
    ],
)
def test_commands(text: bytes, command: ask.Command) -> None:
    """A packet in one piece is a command."""
    assert PROTOCOL.decode(parse(text), False) == command


def test_connects_do_not_show_their_token() -> None:
    """The command behind a CONNECT does not show what came with it."""
    assert "canary" not in repr(PROTOCOL.decode(parse(b'0{"token":"canary"}'), False))


@pytest.mark.parametrize(
    ("text", "address"),
    [(b'25["join_room",{}]', "5"), (b'2/x,5["e",{"a":1,"a":2}]', "/x,5"), (b'2["state_sync"]', "")],
)
def test_faults_know_where_they_go(text: bytes, address: str) -> None:
    """What is not taken is answered where an answer is waited for."""
    with pytest.raises(CommandError) as caught:
        PROTOCOL.decode(parse(text), False)
    assert caught.value.command_id == address


@pytest.mark.parametrize(
    "kind",
    [SocketIoPacketKind.ACK, SocketIoPacketKind.BINARY_ACK, SocketIoPacketKind.CONNECT_ERROR],
)
def test_what_is_no_command(kind: SocketIoPacketKind) -> None:
    """An acknowledgement asks for nothing, and no client refuses us."""
    with pytest.raises(PacketError):
        PROTOCOL.decode(SocketIoPacket(kind=kind, nsp="/", size=1), False)


# -- answers


def test_opened() -> None:
    """Who was let in is told its name there."""
    command = OpenSocket(id="/x,", nsp="/x", auth={})
    assert PROTOCOL.reply(command, Opened(nsp="/x", sid="s"), 0) == b'0/x,{"sid":"s"}'


@pytest.mark.parametrize(
    ("address", "told"),
    [("5", b'35[{"ok":true}]'), ("/x,5", b'3/x,5[{"ok":true}]'), ("", None), ("/x,", None)],
)
def test_acknowledged_where_it_is_waited_for(address: str, told: bytes | None) -> None:
    """Without an id success is silent."""
    command = Decide(id=address, request="r", decision=Decision.APPROVE)
    assert PROTOCOL.reply(command, Decided(), 0) == told


def test_results() -> None:
    """What a handler returned is the acknowledgement: none, one or several arguments, and bytes."""
    call = Call(id="5", nsp="/", event="e")
    assert PROTOCOL.reply(call, Called(), 0) == b"35[]"
    assert PROTOCOL.reply(call, Called(result=(1, [2])), 0) == b"35[1,[2]]"
    told = PROTOCOL.reply(call, Called(result=(b"x",)), 0)
    assert told == MultipartPayload(b'61-5[{"_placeholder":true,"num":0}]', (b"x",))
    assert PROTOCOL.reply(Call(nsp="/", event="e"), Called(result=(b"x",)), 0) is None


def test_done_is_not_told() -> None:
    """What has no words is not acknowledged."""
    assert PROTOCOL.reply(CloseSocket(id="5", nsp="/"), say.Done(), 0) is None


# -- refusals


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (
            CommandError(ErrorKind.PERMISSION_DENIED, command_id="/x,5"),
            [b'3/x,5[{"error":"PERMISSION_DENIED"}]'],
        ),
        (
            CommandError(ErrorKind.PERMISSION_DENIED, command_id="/x,"),
            [b'2/x,["error",{"code":"PERMISSION_DENIED"}]'],
        ),
        (CommandError(ErrorKind.UNAVAILABLE), [b'2["error",{"code":"UNAVAILABLE"}]']),
        (
            CommandError(ErrorKind.RATE_LIMITED, command_id="5", retry_after=9),
            [b'35[{"error":"RATE_LIMITED","retryMs":9}]', b'2["error",{"code":"RATE_LIMITED"}]'],
        ),
        (CommandError(ErrorKind.RATE_LIMITED), [b'2["error",{"code":"RATE_LIMITED"}]']),
        (
            CommandError(ErrorKind.UNKNOWN_NAMESPACE, command_id=ConnectId("/x")),
            [b'4/x,{"message":"Invalid namespace"}'],
        ),
        (
            CommandError(ErrorKind.RATE_LIMITED, command_id=ConnectId("/"), retry_after=9),
            [b'4{"message":"Too many requests","data":{"code":"RATE_LIMITED"}}'],
        ),
        (
            CommandError(ErrorKind.INTERNAL, command_id=ConnectId("/x")),
            [b'4/x,{"message":"Internal error","data":{"code":"INTERNAL_ERROR"}}'],
        ),
        (
            CommandError(ErrorKind.NOT_SUBSCRIBED, command_id="5", about="w1:dashboard"),
            [b'35[{"left":"workspace:w1:dashboard"}]'],
        ),
    ],
)
def test_refusals(fault: CommandError, told: list[bytes]) -> None:
    """A refusal is acknowledged, else told as an event; one by a limit both."""
    words = PROTOCOL.reply_error(fault, 0)
    said = [words.text, words.then] if isinstance(words, MultipartPayload) else [words]
    assert said == told


def test_leaving_where_one_is_not() -> None:
    """To leave a room one is not in is a success, and without an id a silent one."""
    fault = CommandError(ErrorKind.NOT_SUBSCRIBED, about="w1:dashboard")
    assert PROTOCOL.reply_error(fault, 0) is None


# -- pushes


@pytest.mark.parametrize(
    ("push", "told"),
    [
        (Emitted(nsp="/x", event="e", arguments=(1, 2)), b'2/x,["e",1,2]'),
        (Emitted(nsp="/", event="e", arguments=(), ack=0), b'20["e"]'),
        (say.ShuttingDown(retry=7), b'2["shutdown",{"retryMs":7}]'),
        (say.Told(data={"a": 1}), b'2["message",{"a":1}]'),
        (say.Welcome(connection_id="c"), None),
    ],
)
def test_pushes(push: Push, told: bytes | None) -> None:
    """What concerns the connection is told in the root, an event where it belongs."""
    assert PROTOCOL.push(push, 0) == told


def test_told_in_a_namespace() -> None:
    """What concerns the connection can be told in any namespace, or has no words in any."""
    assert PROTOCOL.connection_event("/x", say.Parting(ending=Disconnect.EXPIRED)) == (
        b'2/x,["error",{"code":"EXPIRED"}]'
    )
    assert PROTOCOL.connection_event("/x", say.Welcome(connection_id="c")) is None


def test_deep_data_is_told() -> None:
    """Data of the backend may be nested as deeply as JSON allows."""
    data: Any = 1
    for _ in range(60):
        data = [data]
    asked = Approval(id="r", channel=ROOM, title="T", data=data, created_at=1.0, expires_at=2.0)
    told = PROTOCOL.push(Asked(approval=asked), 0)
    assert isinstance(told, bytes)
    assert json.loads(told[1:])[1]["data"] == data


@pytest.mark.parametrize(
    ("channel", "data", "kind", "told"),
    [
        ("workspaces:w1:dashboard", {"a": 1}, "e", '2["e",{"a":1}]'),
        ("workspaces:w1:dashboard", [1, 2], "e", '2["e",[1,2]]'),
        ("workspaces:w1:dashboard", 1, None, '2["message",1]'),
        ("workspaces:/x", [1, 2], "e", '2/x,["e",1,2]'),
        ("workspaces:/x,room", {"a": 1}, "e", '2/x,["e",{"a":1}]'),
        # Clients break a connection off on which such an event comes.
        ("workspaces:w1:dashboard", 1, "disconnect", '2["message",1]'),
        ("workspaces:/x", [1], "connect", '2/x,["message",1]'),
    ],
)
def test_publications(channel: str, data: Any, kind: str | None, told: str) -> None:
    """A publication is an event of its type, its data the argument; in a namespace, the arguments."""
    assert delivered(channel, data, kind) == told


def test_publications_with_bytes() -> None:
    """Bytes of a publication follow its event."""
    place = {"_placeholder": True, "num": 0}
    told = delivered("workspaces:/x", [place], "e", b"x")
    assert told == MultipartPayload(b'51-/x,["e",{"_placeholder":true,"num":0}]', (b"x",))
