"""The rooms protocol, one message at a time: envelopes to commands, replies and pushes to envelopes."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portward.model import commands as ask
from portward.model import replies as say
from portward.model.approval import Approval
from portward.model.channel import Channel
from portward.model.commands import Command
from portward.model.disconnects import Disconnect
from portward.model.errors import CommandError, ErrorKind
from portward.model.position import Position
from portward.model.publication import Publication
from portward.model.replies import LeaveReason, Push
from portward.model.room import RoomPermissions
from portward.protocols.rooms.protocol import MAX_CONTENT, RoomsProtocol
from portward.protocols.socketio.commands import Emitted
from portward.protocols.workspaces.commands import Asked

ROOM = Channel.parse("talk:a")
NOW = 1234


@pytest.fixture
def protocol() -> RoomsProtocol:
    """The protocol over a family of another name."""
    return RoomsProtocol("talk", expose_email=True)


def decode(protocol: RoomsProtocol, kind: str, data: object, **more: object) -> Command:
    """Read one envelope."""
    envelope = {"type": kind, "data": data, "timestamp": 1} | more
    return protocol.decode(json.dumps(envelope).encode(), binary=False)


COMMANDS: list[tuple[str, dict[str, Any], Command]] = [
    ("auth", {"token": "t"}, ask.Authenticate(token="t")),
    ("auth", {"wsToken": "t"}, ask.Resume(session_token="t")),
    ("refresh", {"token": "t"}, ask.Refresh(token="t")),
    ("join", {"roomId": "a"}, ask.Subscribe(channel=ROOM)),
    ("join", {"roomId": "a", "since": None}, ask.Subscribe(channel=ROOM)),
    (
        "join",
        {"roomId": "a", "since": {"offset": 3, "epoch": "e"}},
        ask.Subscribe(channel=ROOM, since=Position(3, "e")),
    ),
    ("leave", {"roomId": "a"}, ask.Unsubscribe(channel=ROOM)),
    ("message", {"roomId": "a", "content": " hi "}, ask.Publish(channel=ROOM, data="hi")),
    ("history", {"roomId": "a"}, ask.ReadHistory(channel=ROOM, reverse=True)),
    (
        "history",
        {"roomId": "a", "limit": 5, "before": 9},
        ask.ReadHistory(channel=ROOM, limit=5, before=9, reverse=True),
    ),
    ("history", {"roomId": "a", "since": 4}, ask.ReadHistory(channel=ROOM, since=4)),
    (
        "history",
        {"roomId": "a", "since": {"offset": 4, "epoch": "e"}},
        ask.ReadHistory(channel=ROOM, since=4, epoch="e"),
    ),
    ("presence", {"roomId": "a"}, ask.ReadPresence(channel=ROOM)),
    ("heartbeat", {}, ask.Ping()),
    (
        "typing",
        {"roomId": "a", "active": False},
        ask.Signal(channel=ROOM, name="typing", active=False),
    ),
    ("kick", {"roomId": "a", "userId": "bob"}, ask.Kick(channel=ROOM, user="bob")),
    (
        "set_permissions",
        {"roomId": "a", "permissions": {"read": ["x"]}},
        ask.SetPermissions(channel=ROOM, permissions=RoomPermissions(read=("x",))),
    ),
]


@pytest.mark.parametrize(("kind", "data", "command"), COMMANDS)
def test_commands(
    protocol: RoomsProtocol, kind: str, data: dict[str, Any], command: Command
) -> None:
    """Each message becomes its command, with the client's own id."""
    assert decode(protocol, kind, data) == command
    assert decode(protocol, kind, data, id="i").id == "i"
    assert decode(protocol, kind, data, id="").id == ""
    assert decode(protocol, kind, data, timestamp=1.5) == command


JSON_VALUES: list[Any] = [None, True, 1, 1.5, "text", [], {}]
TAKES: dict[str, tuple[type, ...]] = {
    "token": (str,),
    "wsToken": (str,),
    "roomId": (str,),
    "content": (str,),
    "userId": (str,),
    "active": (bool,),
    "permissions": (dict,),
    "limit": (int, type(None)),
    "before": (int, type(None)),
    "since": (dict, int, type(None)),
}
"""The JSON types of each field."""


@pytest.mark.parametrize(("kind", "data", "_"), COMMANDS)
@pytest.mark.parametrize("other", JSON_VALUES, ids=repr)
def test_other_types_are_refused(
    protocol: RoomsProtocol, kind: str, data: dict[str, Any], _: Command, other: object
) -> None:
    """With any field of another type than its own a message is refused, never converted."""
    for name in data:
        if type(other) in TAKES[name] and (name, other, kind) != ("since", 1, "join"):
            continue
        with pytest.raises(CommandError) as caught:
            decode(protocol, kind, data | {name: other}, id="i")
        assert caught.value.command_id == "i"
        assert caught.value.kind is ErrorKind.INVALID_STRUCTURE


@pytest.mark.parametrize(("kind", "data", "_"), COMMANDS)
def test_unknown_keys_are_refused(
    protocol: RoomsProtocol, kind: str, data: dict[str, Any], _: Command
) -> None:
    """A key nobody asked for is refused, in the data and beside it."""
    for envelope in (data | {"role": "admin"}, data):
        more = {} if "role" in envelope else {"role": "admin"}
        with pytest.raises(CommandError) as caught:
            decode(protocol, kind, envelope, **more)
        assert caught.value.kind is ErrorKind.INVALID_STRUCTURE


@pytest.mark.parametrize(("length", "kind"), [(MAX_CONTENT, None), (MAX_CONTENT + 1, "too_long")])
def test_length_of_content(protocol: RoomsProtocol, length: int, kind: str | None) -> None:
    """Four thousand characters are the most, however many bytes they take."""
    for character in "xž🐎":
        data = {"roomId": "a", "content": character * length}
        if kind is None:
            assert isinstance(decode(protocol, "message", data), ask.Publish)
            continue
        with pytest.raises(CommandError) as caught:
            decode(protocol, "message", data)
        assert caught.value.kind.code == kind


@given(st.text(max_size=130))
def test_room_ids(room: str) -> None:
    """A room id names a channel of the family, or is refused as an invalid one."""
    protocol = RoomsProtocol("talk", expose_email=True)
    payload = json.dumps({"type": "leave", "data": {"roomId": room}, "timestamp": 1}).encode()
    try:
        command = protocol.decode(payload, binary=False)
    except CommandError as fault:
        kinds = {ErrorKind.INVALID_CHANNEL, ErrorKind.INVALID_FORMAT}
        assert fault.kind in kinds  # noqa: PT017 - either outcome is right
        return
    assert isinstance(command, ask.Unsubscribe)
    assert command.channel == f"talk:{room}"


@given(st.binary(max_size=100))
def test_nothing_but_a_fault(payload: bytes) -> None:
    """Whatever comes is a command or a fault."""
    try:
        RoomsProtocol("talk", expose_email=True).decode(payload, binary=False)
    except CommandError as fault:
        assert fault.kind is not ErrorKind.INTERNAL  # noqa: PT017 - either outcome is right


# -- saying


PUBLICATION = Publication(
    id="p", offset=3, time=99, data="x", user="ann", email="a@b", signature="s"
)
MESSAGE = {
    "id": "p",
    "type": "chat_message",
    "roomId": "a",
    "content": "x",
    "userId": "ann",
    "email": "a@b",
    "timestamp": 99,
    "offset": 3,
    "signature": "s",
}

PUSHES: list[tuple[Push, str, dict[str, Any]]] = [
    (say.Welcome(connection_id="c"), "handshake", {"connectionId": "c", "serverTime": NOW}),
    (
        say.Delivery(channel=ROOM, publication=PUBLICATION, epoch="e"),
        "message",
        MESSAGE,
    ),
    (
        say.Delivery(channel=ROOM, publication=PUBLICATION, epoch="e", suppressed=4),
        "message",
        MESSAGE | {"suppressed": 4},
    ),
    (
        say.Joined(channel=ROOM, user="ann", email="a@b"),
        "user_joined",
        {"userId": "ann", "email": "a@b", "roomId": "a"},
    ),
    (say.Left(channel=ROOM, user="ann"), "user_left", {"userId": "ann", "roomId": "a"}),
    (
        say.Left(channel=ROOM, user="ann", reason=LeaveReason.DISCONNECTED),
        "user_disconnected",
        {"userId": "ann", "roomId": "a"},
    ),
    (
        say.Signalled(channel=ROOM, user="ann", name="typing", active=True),
        "typing",
        {"roomId": "a", "userId": "ann", "active": True},
    ),
    (say.Expiring(expires_at=1.5), "token_expiring", {"expiresAt": 1500}),
    (say.Removed(channel=ROOM, reason="r"), "room_left", {"roomId": "a", "reason": "r"}),
    (say.ShuttingDown(retry=5), "shutdown", {"retryMs": 5}),
    (say.Parting(ending=Disconnect.IDLE, retry=7), "closing", {"reason": "idle", "retryMs": 7}),
]


@pytest.mark.parametrize(("push", "kind", "data"), PUSHES)
def test_pushes(protocol: RoomsProtocol, push: Push, kind: str, data: dict[str, Any]) -> None:
    """Each push has its envelope, with exactly these keys."""
    payload = protocol.push(push, NOW)
    assert payload is not None
    assert json.loads(payload) == {"type": kind, "data": data, "timestamp": NOW}


def test_every_push_has_a_word(protocol: RoomsProtocol) -> None:
    """There is no push this protocol would not know how to say, but those other dialects are for."""
    approval = Approval(
        id="a",
        channel=Channel.parse("talk:a"),
        title="t",
        data=None,
        created_at=1.0,
        expires_at=2.0,
    )
    others: list[Push] = [
        say.Told(data=1),
        Emitted(nsp="/", event="e", arguments=()),
        Asked(approval=approval),
        say.SharedChanged(key="k", value=1, version=1),
    ]
    silent = [
        say.Parting(ending=Disconnect.QUOTA),
        say.Parting(ending=Disconnect.SHUTDOWN, retry=1, told=True),
    ]
    assert [protocol.push(each, NOW) for each in silent] == [None, None]
    assert [protocol.push(each, NOW) for each in others] == [None] * len(others)
    derived = [kind for kind in vars(say).values() if isinstance(kind, type)]
    kinds = {kind for kind in derived if issubclass(kind, Push) and kind is not Push}
    assert {type(push) for push, _, _ in PUSHES} == kinds - {type(each) for each in others}


@pytest.mark.parametrize("push", [push for push, _, _ in PUSHES])
def test_addresses_stay_hidden(push: Push) -> None:
    """Without `expose_email` no push names an address."""
    payload = RoomsProtocol("talk", expose_email=False).push(push, NOW)
    assert payload is not None
    assert b"email" not in payload
    assert b"a@b" not in payload


def test_answer_without_recovery_or_snapshot(protocol: RoomsProtocol) -> None:
    """What was not asked for is not answered."""
    reply = say.Subscribed(channel=ROOM, position=Position(3, "e"), participants=("ann",))
    payload = protocol.reply(ask.Subscribe(channel=ROOM), reply, NOW)
    assert payload is not None
    assert json.loads(payload)["data"] == {
        "roomId": "a",
        "participants": ["ann"],
        "position": {"offset": 3, "epoch": "e"},
    }


def test_silence(protocol: RoomsProtocol) -> None:
    """Without an id a message and a signal are answered with nothing."""
    published = say.Published(publication_id="p", position=Position(3, "e"))
    publish = ask.Publish(channel=ROOM, data="x")
    assert protocol.reply(publish, published, NOW) is None
    assert protocol.reply(publish, say.Done(), NOW) is None


@pytest.mark.parametrize("kind", list(ErrorKind))
def test_every_fault_has_words(protocol: RoomsProtocol, kind: ErrorKind) -> None:
    """Every fault is an error with a text, a code in snake case, and a time where one is known."""
    payload = protocol.reply_error(
        CommandError(kind, retry_after=5, command_id="i", detail="secret"), NOW
    )
    assert payload is not None
    error = json.loads(payload)
    assert (error["type"], error["id"], error["timestamp"]) == ("error", "i", NOW)
    assert error["data"].keys() == {"message", "code", "retryAfterMs"}
    assert error["data"]["code"].replace("_", "").isalpha()
    assert b"secret" not in payload
    plain = protocol.reply_error(CommandError(kind), NOW)
    assert plain is not None
    assert json.loads(plain).keys() == {"type", "data", "timestamp"}
    assert "retryAfterMs" not in json.loads(plain)["data"]


def test_closes(protocol: RoomsProtocol) -> None:
    """Two endings are closed in this protocol's own words, the others as the table says."""
    assert dict(protocol.closes) == {
        Disconnect.AUTH_TIMEOUT: (1008, "Authentication timeout"),
        Disconnect.IDLE: (1008, "Connection timeout"),
    }
    assert (protocol.name, protocol.binary) == ("rooms", False)
