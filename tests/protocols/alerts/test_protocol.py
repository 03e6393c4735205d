"""The alerts protocol, one message at a time: what clients send, as commands."""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portward.model import commands as ask
from portward.model import replies as say
from portward.model.channel import Channel
from portward.model.commands import Command
from portward.model.disconnects import Disconnect
from portward.model.errors import CommandError, ErrorKind
from portward.model.position import Position
from portward.protocols.alerts import call_ids
from portward.protocols.alerts.protocol import AlertsProtocol

PROTOCOL = AlertsProtocol("calls")
C1, C2 = Channel.parse("calls:c1"), Channel.parse("calls:c2")
ALL = Channel.combined("calls")


def decode(message: Any) -> Command:
    """Read one message."""
    return PROTOCOL.decode(json.dumps(message).encode(), binary=False)


def refused(payload: bytes) -> CommandError:
    """Why a message is refused."""
    with pytest.raises(CommandError) as caught:
        PROTOCOL.decode(payload, binary=False)
    return caught.value


def fault(message: Any) -> CommandError:
    """Why a message is refused."""
    return refused(json.dumps(message).encode())


def test_what_it_is() -> None:
    """Text only, no session tokens, and a close code of its own for shutdown."""
    assert (PROTOCOL.name, PROTOCOL.binary, PROTOCOL.resumable) == ("alerts", False, False)
    assert PROTOCOL.closes == {Disconnect.SHUTDOWN: (1001, "Server shutting down")}


COMMANDS: list[tuple[dict[str, Any], Command]] = [
    ({"type": "subscribe", "callIds": []}, ask.SubscribeMany(channels=())),
    ({"type": "subscribe", "callIds": ["c2", "c1"]}, ask.SubscribeMany(channels=(C2, C1))),
    ({"type": "subscribe", "callIds": ["c1", "c2", "c1"]}, ask.SubscribeMany(channels=(C1, C2))),
    ({"type": "subscribe", "callIds": ["*"]}, ask.SubscribeMany(channels=(ALL,))),
    (
        {"type": "subscribe", "callIds": ["%2A"]},
        ask.SubscribeMany(channels=(Channel.parse("calls:%252A"),)),
    ),
    (
        {"type": "subscribe", "callIds": ["hovor č. 1"]},
        ask.SubscribeMany(channels=(Channel.parse("calls:hovor%20%C4%8D.%201"),)),
    ),
    (
        {
            "type": "subscribe",
            "callIds": ["c1", 1, None, True, "", "a" * 65, ["c2"], {"c2": 1}, 2.5, "c2"],
        },
        ask.SubscribeMany(channels=(C1, C2)),
    ),
    (
        {
            "type": "subscribe",
            "callIds": ["c1", "*"],
            "since": {
                "c1": {"offset": 3, "epoch": "e"},
                "*": {"offset": 0, "epoch": ""},
                "c2": {"offset": 1, "epoch": "e"},
                "": {"offset": 1, "epoch": "e"},
            },
        },
        ask.SubscribeMany(channels=(C1, ALL), since={C1: Position(3, "e"), ALL: Position(0, "")}),
    ),
    (
        {"type": "subscribe", "callIds": ["c1"], "since": None},
        ask.SubscribeMany(channels=(C1,)),
    ),
    ({"type": "unsubscribe"}, ask.UnsubscribeMany()),
    ({"type": "unsubscribe", "callIds": []}, ask.UnsubscribeMany(channels=())),
    ({"type": "unsubscribe", "callIds": ["c1", 7, "*"]}, ask.UnsubscribeMany(channels=(C1, ALL))),
    ({"type": "getHistory"}, ask.ReadHistories()),
    ({"type": "getHistory", "callId": None, "limit": None}, ask.ReadHistories(limit=50)),
    ({"type": "getHistory", "callId": "c1", "limit": 7}, ask.ReadHistories(channel=C1, limit=7)),
    ({"type": "getHistory", "callId": "*"}, ask.ReadHistories(channel=ALL)),
    ({"type": "ping"}, ask.Ping()),
    ({"type": "refresh", "token": "t"}, ask.Refresh(token="t")),
]


@pytest.mark.parametrize(("message", "command"), COMMANDS, ids=lambda each: repr(each)[:50])
def test_commands(message: dict[str, Any], command: Command) -> None:
    """Each message becomes its command, with the client's own id, a text or a whole number."""
    assert decode(message) == command
    for identifier in ("i", "", "a" * 64, 0, -7, 2**53 - 1):
        found = decode(message | {"id": identifier})
        assert (found.id, type(found.id)) == (identifier, type(identifier))


@pytest.mark.parametrize(
    ("limit", "meant"),
    [
        (1, 1),
        (100, 100),
        (101, 100),
        (2**53 - 1, 100),
        (2.9, 2),
        (1e300, 100),
        ("20", 20),
        (" 20 ", 20),
        ("007", 7),
        ("2.9", 2),
        ("1000", 100),
        ("9" * 500, 100),
        (0, 0),
        (0.0, 0),
        (-1, 50),
        (0.5, 50),
        ("0", 0),
        ("-5", 50),
        ("", 50),
        ("many", 50),
        ("0x10", 50),
        ("1_0", 50),
        ("٣", 50),
        ("NaN", 50),
        ("Infinity", 50),
        (True, 50),
        (False, 50),
        (None, 50),
        ([], 50),
        ([20], 50),
        ({"limit": 20}, 50),
    ],
    ids=lambda each: repr(each)[:20],
)
def test_limits(limit: Any, meant: int) -> None:
    """A limit is a number or a numeric text, at most 100; anything else means 50, and 0 the position."""
    assert decode({"type": "getHistory", "limit": limit}) == ask.ReadHistories(limit=meant)


VALUES: list[Any] = [None, True, 1, 1.5, "text", [], [1], {}, {"a": 1}]
TAKES: dict[tuple[str, str], tuple[type, ...]] = {
    ("subscribe", "callIds"): (list,),
    ("unsubscribe", "callIds"): (list,),
    ("getHistory", "callId"): (str, type(None)),
    ("refresh", "token"): (str,),
}


@pytest.mark.parametrize(("kind", "name"), list(TAKES))
@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_other_types_are_refused(kind: str, name: str, value: Any) -> None:
    """A field of another type than its own is refused, never converted."""
    if type(value) in TAKES[kind, name]:
        return
    found = fault({"type": kind, name: value, "id": 7})
    assert (found.kind, found.command_id) == (ErrorKind.INVALID_STRUCTURE, 7)


@pytest.mark.parametrize(
    "since",
    [
        1,
        "x",
        [],
        True,
        {"c1": None},
        {"c1": 1},
        {"c1": {}},
        {"c1": {"offset": 1}},
        {"c1": {"epoch": "e"}},
        {"c1": {"offset": -1, "epoch": "e"}},
        {"c1": {"offset": 1.5, "epoch": "e"}},
        {"c1": {"offset": True, "epoch": "e"}},
        {"c1": {"offset": "1", "epoch": "e"}},
        {"c1": {"offset": 1, "epoch": 1}},
        {"c1": {"offset": 1, "epoch": "e" * 65}},
        {"c1": {"offset": 1, "epoch": "e", "more": 1}},
        {"other": {"offset": -1, "epoch": "e"}},
    ],
    ids=repr,
)
def test_since(since: Any) -> None:
    """A position of another shape refuses the message."""
    found = fault({"type": "subscribe", "callIds": ["c1"], "since": since})
    assert found.kind is ErrorKind.INVALID_STRUCTURE


@pytest.mark.parametrize(
    "message",
    [
        *VALUES,
        {"type": None},
        {"type": 1},
        {"type": ["ping"]},
        {"callIds": []},
        {"type": "subscribe"},
        {"type": "refresh"},
        {"type": "ping", "more": 1},
        {"type": "ping", "payload": {}},
        {"type": "subscribe", "callIds": [], "callId": "c1"},
        {"type": "unsubscribe", "since": {}},
        {"type": "getHistory", "callId": ""},
        {"type": "getHistory", "callId": "a" * 65},
        {"type": "getHistory", "callId": "ž" * 65},
    ],
    ids=lambda each: repr(each)[:50],
)
def test_other_messages_are_refused(message: Any) -> None:
    """No object, no type, a missing or unknown key, or a call that cannot be: an invalid message."""
    assert fault(message).kind is ErrorKind.INVALID_STRUCTURE


@pytest.mark.parametrize("identifier", [None, True, 1.5, "a" * 65, [], {}], ids=repr)
def test_other_ids_are_refused(identifier: Any) -> None:
    """An id of another kind is refused, and not repeated; also beside a type nobody knows."""
    for kind in ("ping", "nothing"):
        found = fault({"type": kind, "id": identifier})
        assert (found.kind, found.command_id) == (ErrorKind.INVALID_STRUCTURE, None)


@pytest.mark.parametrize("kind", ["", "Ping", "auth", "publish", "x" * 100, "č\n", "__class__"])
def test_unknown_types(kind: str) -> None:
    """A type nobody knows is named in the fault, cut to 64 characters, whatever else is there."""
    found = fault({"type": kind, "id": "i", "more": 1})
    assert (found.kind, found.about, found.command_id) == (
        ErrorKind.UNKNOWN_TYPE,
        kind[:64],
        "i",
    )


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"ping",
        b"{",
        b'{"type":"ping"}{"type":"ping"}',
        b'{"type":"ping","type":"ping"}',
        b'{"type":"ping","id":NaN}',
        b'{"type":"ping","id":1e999}',
        b'{"type":"ping","id":9007199254740993}',
        b'{"type":"subscribe","callIds":["\\ud800"]}',
        b'{"type":"subscribe","callIds":["\\u0000"]}',
        b'{"type":"ping","__proto__":1}',
        b"\xff",
        b"[" * 40 + b"]" * 40,
    ],
)
def test_no_json(payload: bytes) -> None:
    """What is no JSON by the strict rules is an invalid format."""
    found = refused(payload)
    assert (found.kind, found.command_id) == (ErrorKind.INVALID_FORMAT, None)


def test_an_empty_token() -> None:
    """A refresh with an empty token lacks one."""
    found = fault({"type": "refresh", "token": "", "id": 1})
    assert (found.kind, found.command_id) == (ErrorKind.TOKEN_REQUIRED, 1)


@pytest.mark.parametrize(("kind", "most"), [("subscribe", 100), ("unsubscribe", 1000)])
def test_many_calls(monkeypatch: pytest.MonkeyPatch, kind: str, most: int) -> None:
    """Of ten thousand ids the first ones are read, in the order given and each once; no other."""
    read: list[Any] = []

    def counted(namespace: str, call: Any) -> Channel | None:
        read.append(call)
        return encode(namespace, call)

    encode = call_ids.encode
    monkeypatch.setattr(call_ids, "encode", counted)
    ids = [f"{number // 2}" for number in range(10_000)]
    junk: list[Any] = [None, "", 7, "x" * 65]
    message: dict[str, Any] = {"type": kind, "callIds": [*junk, *["0"] * 500, *ids]}
    if kind == "subscribe":
        message["since"] = {each: {"offset": 1, "epoch": "e"} for each in ids}
    found = decode(message)
    assert isinstance(found, ask.SubscribeMany | ask.UnsubscribeMany)
    assert found.channels is not None
    assert [each.name for each in found.channels] == ids[: 2 * most : 2]
    assert read == ids[: 2 * most : 2]
    if isinstance(found, ask.SubscribeMany):
        assert set(found.since) == set(found.channels)


def test_ids_that_channels_do_not_tell() -> None:
    """Such an id is read back in every answer that names it."""
    long, other = "ž" * 64, "📞" * 64
    found = decode({"type": "subscribe", "callIds": [long, "c1", other]})
    assert isinstance(found, ask.SubscribeMany)
    first, c1, last = found.channels
    reply = say.SubscribedMany(channels=(first, c1), denied=(last,), recovered={first: True})
    payload = json.loads(PROTOCOL.reply(found, reply, 0) or b"")["payload"]
    assert payload == {"callIds": [long, "c1"], "denied": [other], "recovered": {long: True}}
    left = json.loads(PROTOCOL.reply(found, say.UnsubscribedMany(channels=(last,)), 0) or b"")
    assert left["payload"] == {"callIds": [other]}
    removed = json.loads(PROTOCOL.push(say.Removed(channel=last, reason="x"), 0) or b"")
    assert removed["payload"]["callId"] == other
    nobody = json.loads(AlertsProtocol("calls").reply(found, reply, 0) or b"")
    assert nobody["payload"]["callIds"] == [first.name, "c1"]


@given(
    st.dictionaries(
        st.sampled_from(["type", "id", "callIds", "callId", "limit", "since", "token"]),
        st.recursive(
            st.sampled_from(["subscribe", "getHistory", "*", "c1"])
            | st.none()
            | st.booleans()
            | st.integers()
            | st.floats()
            | st.text(),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        ),
    )
)
def test_nothing_else_is_raised(message: dict[str, Any]) -> None:
    """Whatever comes is a command or a fault."""
    with suppress(CommandError):
        assert isinstance(decode(message), Command)
