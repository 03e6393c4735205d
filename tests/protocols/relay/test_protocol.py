"""The relay protocol, one message at a time, before and beside the events of the upstream."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portward.model import commands as ask
from portward.model import replies as say
from portward.model.commands import Command
from portward.model.disconnects import Disconnect
from portward.model.errors import RATE_FAULTS, CommandError, ErrorKind
from portward.model.identity import Identity
from portward.model.replies import Push, Reply
from portward.protocols.relay.protocol import (
    ConnectUpstream,
    RelayProtocol,
    UpstreamConnected,
    aside,
)

NOW = 1234
PROTOCOL = RelayProtocol()


def decode(message: object) -> Command:
    """Read one message."""
    return PROTOCOL.decode(json.dumps(message).encode(), binary=False)


def refusal(payload: bytes, *, binary: bool = False) -> CommandError:
    """The fault a message is answered with."""
    with pytest.raises(CommandError) as caught:
        PROTOCOL.decode(payload, binary=binary)
    return caught.value


def read(payload: bytes | None) -> Any:
    """What a client reads."""
    assert payload is not None
    return json.loads(payload)


def test_its_properties() -> None:
    """It takes binary messages, hands out no session tokens, and closes late clients by its own code."""
    assert (PROTOCOL.name, PROTOCOL.binary, PROTOCOL.resumable) == ("relay", True, False)
    assert PROTOCOL.closes == {Disconnect.AUTH_TIMEOUT: (1008, "Authentication timeout")}


COMMANDS: list[tuple[dict[str, Any], Command]] = [
    ({"type": "authenticate", "token": "t"}, ask.Authenticate(token="t")),
    ({"type": "refresh", "token": "t"}, ask.Refresh(token="t")),
    ({"type": "connect_realtime"}, ConnectUpstream()),
    ({"type": "connect_realtime", "model": "m"}, ConnectUpstream(model="m")),
    ({"type": "connect_realtime", "model": ""}, ConnectUpstream(model="")),
    ({"type": "ping"}, ask.Ping(charged=False)),
]


@pytest.mark.parametrize(("message", "command"), COMMANDS)
def test_commands(message: dict[str, Any], command: Command) -> None:
    """Each message becomes its command, with the client's own id."""
    assert decode(message) == command
    for identifier in ("i", "", "x" * 64, 7, 0, -1):
        assert decode(message | {"id": identifier}).id == identifier


@pytest.mark.p0
@pytest.mark.parametrize("kind", ["authenticate", "refresh"])
@pytest.mark.parametrize("token", [None, "", 1, True, ["t"], {"token": "t"}], ids=repr)
def test_no_token_is_a_wrong_one(kind: str, token: object) -> None:
    """A missing, empty or odd token is answered as a bad one, under the client's id."""
    fault = refusal(json.dumps({"type": kind, "token": token, "id": 5}).encode())
    assert (fault.kind, fault.command_id) == (ErrorKind.AUTHENTICATION_FAILED, 5)
    missing = refusal(json.dumps({"type": kind}).encode())
    assert (missing.kind, missing.command_id) == (ErrorKind.AUTHENTICATION_FAILED, None)


@pytest.mark.parametrize("model", [None, 1, True, ["m"], {"id": "m"}], ids=repr)
def test_a_model_is_text(model: object) -> None:
    """A model of another type is none that is allowed."""
    fault = refusal(json.dumps({"type": "connect_realtime", "model": model, "id": "i"}).encode())
    assert (fault.kind, fault.command_id) == (ErrorKind.MODEL_REFUSED, "i")


OTHERS = {
    "an event of the upstream": b'{"type":"session.update","session":{}}',
    "another case": b'{"type":"Authenticate","token":"t"}',
    "no type": b'{"token":"t"}',
    "a number for a type": b'{"type":1}',
    "a list for a type": b'{"type":["authenticate"],"token":"t"}',
    "an object for a type": b'{"type":{},"token":"t"}',
    "an unknown key": b'{"type":"authenticate","token":"t","x":1}',
    "the key of another message": b'{"type":"authenticate","token":"t","model":"m"}',
    "two tokens": b'{"type":"authenticate","token":"t","token":"u"}',
    "two types": b'{"type":"connect_realtime","type":"authenticate","token":"t"}',
    "a list": b'[{"type":"authenticate","token":"t"}]',
    "a string": b'"authenticate"',
    "null": b"null",
    "nothing": b"",
    "no JSON": b"authenticate",
    "half an object": b'{"type":"authenticate","token":"t"',
    "a byte order mark": b'\xef\xbb\xbf{"type":"connect_realtime"}',
    "bad UTF-8": b'{"type":"authenticate","token":"\xff"}',
    "deep": b'{"type":"connect_realtime","model":' + b"[" * 99 + b"]" * 99 + b"}",
}


@pytest.mark.parametrize("payload", OTHERS.values(), ids=OTHERS)
def test_anything_else_was_meant_for_the_upstream(payload: bytes) -> None:
    """What is none of this protocol's is told that nothing is connected yet."""
    assert refusal(payload).kind is ErrorKind.NOT_CONNECTED


ASIDE: list[tuple[bytes, Command | None]] = [
    (b'{"type":"ping"}', ask.Ping(charged=False)),
    (b'{"type":"ping","id":1}', ask.Ping(charged=False, id=1)),
    (b'{"type":"authenticate","token":"t"}', ask.Authenticate(token="t")),
    (b'{"type":"refresh","token":"t","id":"i"}', ask.Refresh(token="t", id="i")),
    (b'{"type":"connect_realtime"}', None),
    (b'{"type":"ping","event_id":"e"}', None),
    (b'{"type":"ping","id":null}', None),
    (b'{"type":"authenticate"}', None),
    (b'{"type":"x","text":"\\u0061"}', None),
    (b'["ping"]', None),
    (b'{"type":"ping"', None),
    (b'{"type":"ping","x":"' + b"x" * 65536 + b'"}', None),
    (b"", None),
]


@pytest.mark.parametrize(("payload", "command"), ASIDE)
def test_what_is_the_gateways_during_a_conversation(
    payload: bytes, command: Command | None
) -> None:
    """Pings and tokens in exactly their shape; everything else is the upstream's."""
    assert aside(payload) == command


@pytest.mark.parametrize(
    ("payload", "kind"),
    [
        (b'{"type":"authenticate","token":""}', ErrorKind.AUTHENTICATION_FAILED),
        (b'{"type":"refresh","token":5}', ErrorKind.AUTHENTICATION_FAILED),
        (b'{"type":"refresh","token":"t","x":1}', ErrorKind.EVENT_REFUSED),
        (b'{"type":"refresh","token":"t","id":1.5}', ErrorKind.EVENT_REFUSED),
        (b'{"type":"refresh","token":"t"}{}', ErrorKind.EVENT_REFUSED),
    ],
)
def test_what_is_refused_during_a_conversation(payload: bytes, kind: ErrorKind) -> None:
    """A token that cannot be one, and a token in another shape, which no upstream may get."""
    with pytest.raises(CommandError) as caught:
        aside(payload)
    assert caught.value.kind is kind


def test_binary_messages_were_meant_for_the_upstream() -> None:
    """A binary message is no command, whatever it holds."""
    fault = refusal(b'{"type":"authenticate","token":"t","id":"i"}', binary=True)
    assert (fault.kind, fault.command_id) == (ErrorKind.NOT_CONNECTED, None)


def test_a_refused_message_keeps_its_id() -> None:
    """Where an id could be read it comes back, also with a message that means nothing."""
    assert refusal(b'{"type":"x","id":"i"}').command_id == "i"
    assert refusal(b'{"id":9}').command_id == 9


@pytest.mark.parametrize("identifier", [None, True, 1.5, "x" * 65, [], {}], ids=repr)
def test_other_ids_are_refused(identifier: object) -> None:
    """An id is a short string or an integer; a message with another is not obeyed."""
    fault = refusal(json.dumps({"type": "connect_realtime", "id": identifier}).encode())
    assert (fault.kind, fault.command_id) == (ErrorKind.NOT_CONNECTED, None)


@given(st.binary(), st.booleans())
def test_any_bytes_are_answered(payload: bytes, binary: bool) -> None:
    """Nothing but a command or a fault comes of any message."""
    try:
        assert isinstance(PROTOCOL.decode(payload, binary), Command)
    except CommandError as fault:
        assert read(PROTOCOL.reply_error(fault, NOW))["type"] == "error"  # noqa: PT017 - either is possible


WHO = Identity(subject="u1", email="u1@example.org", roles=frozenset({"admin"}))
REPLIES: list[tuple[Reply, dict[str, Any]]] = [
    (
        say.Authenticated(identity=WHO, session_token="s3cret", expires_at=9.0),
        {"type": "auth_success", "userId": "u1"},
    ),
    (UpstreamConnected(model="m"), {"type": "realtime_connected", "model": "m"}),
    (
        say.Refreshed(session_token="s3cret", expires_at=12.5),
        {"type": "refresh_success", "expiresAt": 12_500},
    ),
    (
        say.Refreshed(session_token="s3cret", expires_at=None),
        {"type": "refresh_success", "expiresAt": None},
    ),
]


@pytest.mark.parametrize(("reply", "message"), REPLIES)
def test_replies(reply: Reply, message: dict[str, Any]) -> None:
    """Each answer has its words and no others, and the id of the question."""
    assert read(PROTOCOL.reply(ask.Ping(), reply, NOW)) == message
    assert read(PROTOCOL.reply(ask.Ping(id="i"), reply, NOW)) == {**message, "id": "i"}
    assert read(PROTOCOL.reply(ask.Ping(id=0), reply, NOW)) == {**message, "id": 0}


@pytest.mark.parametrize("reply", [say.HistoriesRead(deliveries=()), say.Done()])
def test_other_replies_are_silent(reply: Reply) -> None:
    """What is no word of this protocol is not said."""
    assert PROTOCOL.reply(ask.Ping(id="i"), reply, NOW) is None


WORDS = {
    ErrorKind.AUTHENTICATION_FAILED: ("invalid_token", "Invalid token"),
    ErrorKind.TOKEN_REVOKED: ("invalid_token", "Invalid token"),
    ErrorKind.TOKEN_REQUIRED: ("invalid_token", "Invalid token"),
    ErrorKind.NOT_AUTHENTICATED: ("not_authenticated", "Authentication required"),
    ErrorKind.NOT_CONNECTED: ("not_connected", "Not connected"),
    ErrorKind.RATE_LIMITED: ("rate_limited", "Too many requests"),
    ErrorKind.AUTH_RATE_LIMITED: ("rate_limited", "Too many requests"),
    ErrorKind.SUBSCRIBE_RATE_LIMITED: ("rate_limited", "Too many requests"),
    ErrorKind.EVENT_REFUSED: ("event_refused", "Event refused"),
    ErrorKind.MODEL_REFUSED: ("model_not_allowed", "Model not allowed"),
    ErrorKind.UNAVAILABLE: ("unavailable", "Temporarily unavailable"),
}


@pytest.mark.parametrize("kind", ErrorKind)
def test_faults(kind: ErrorKind) -> None:
    """Every fault has a code and a text; those of a bad credential are all one."""
    code, text = WORDS.get(kind, (kind.code, kind.text))
    error = {"type": "error", "code": code, "message": text}
    assert read(PROTOCOL.reply_error(CommandError(kind), NOW)) == error
    addressed = CommandError(kind, command_id=0, detail="s3cret")
    assert read(PROTOCOL.reply_error(addressed, NOW)) == {**error, "id": 0}


def test_limits_say_how_long() -> None:
    """A refusal by a limit says when to try again, in milliseconds."""
    for kind in RATE_FAULTS:
        answer = read(PROTOCOL.reply_error(CommandError(kind, retry_after=0), NOW))
        assert answer["retryAfterMs"] == 0


def test_a_refused_event_is_named() -> None:
    """The answer says which type was refused; other faults repeat nothing of the client's."""
    refused = CommandError(ErrorKind.EVENT_REFUSED, about='session."update"')
    assert read(PROTOCOL.reply_error(refused, NOW))["event"] == 'session."update"'
    assert "event" not in read(
        PROTOCOL.reply_error(CommandError(ErrorKind.NOT_CONNECTED, about="x"), NOW)
    )


PARTINGS = {
    Disconnect.AUTH_TIMEOUT: ("auth_timeout", "Authentication timeout"),
    Disconnect.BAD_GATEWAY: ("upstream_unavailable", "Upstream unavailable"),
    Disconnect.QUOTA: ("quota_exceeded", "Quota exceeded"),
    Disconnect.EXPIRED: ("token_expired", "Token expired"),
    Disconnect.REVOKED: ("revoked", "Session revoked"),
}


@pytest.mark.parametrize("ending", Disconnect)
def test_partings(ending: Disconnect) -> None:
    """Five endings are told by an error before the close; of the others, when to come back."""
    said = PROTOCOL.push(say.Parting(ending=ending), NOW)
    if ending not in PARTINGS:
        assert said is None
        closing = PROTOCOL.push(say.Parting(ending=ending, retry=250), NOW)
        reason = ending.name.lower()
        assert read(closing) == {"type": "closing", "reason": reason, "retryMs": 250}
        assert PROTOCOL.push(say.Parting(ending=ending, retry=250, told=True), NOW) is None
        return
    code, text = PARTINGS[ending]
    assert read(said) == {"type": "error", "code": code, "message": text}
    later = PROTOCOL.push(say.Parting(ending=ending, retry=250), NOW)
    assert read(later) == {"type": "error", "code": code, "message": text, "retryMs": 250}


def test_warnings() -> None:
    """The gateway says beforehand that a token runs out, and that it goes away."""
    expiring = PROTOCOL.push(say.Expiring(expires_at=12.5), NOW)
    assert read(expiring) == {"type": "token_expiring", "expiresAt": 12_500}
    leaving = PROTOCOL.push(say.ShuttingDown(retry=250, address="wss://other"), NOW)
    assert read(leaving) == {"type": "shutdown", "retryMs": 250}


@pytest.mark.parametrize("push", [say.Welcome(connection_id="c"), say.Told(data={"x": 1})])
def test_other_pushes_are_silent(push: Push) -> None:
    """Nothing else is said: clients of an upstream expect its first event first."""
    assert PROTOCOL.push(push, NOW) is None
