"""The live protocol, one message at a time: to commands, and from answers and pushes word for word."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portward.model import commands as ask
from portward.model import replies as say
from portward.model.channel import MAX_LENGTH, Channel
from portward.model.commands import Command
from portward.model.disconnects import Disconnect
from portward.model.errors import CommandError, ErrorKind
from portward.model.identity import ANONYMOUS
from portward.model.position import Position
from portward.model.publication import Publication
from portward.model.replies import Push, Reply
from portward.protocols.live.protocol import HandOver, LiveProtocol

NOW = 1234
CHANNEL = Channel.parse("show:event:1")
VIOLATION = b'{"type":"error","code":"protocol-violation","message":"Invalid message envelope"}'


@pytest.fixture
def protocol() -> LiveProtocol:
    """The protocol over a family of another name."""
    return LiveProtocol("show")


def decode(protocol: LiveProtocol, **message: object) -> Command:
    """Read one message."""
    return protocol.decode(json.dumps(message).encode(), binary=False)


def refusal(protocol: LiveProtocol, payload: bytes) -> CommandError:
    """The fault with which a payload is refused."""
    with pytest.raises(CommandError) as caught:
        protocol.decode(payload, binary=False)
    return caught.value


def answer(protocol: LiveProtocol, payload: bytes) -> bytes | None:
    """What is said to a payload that is refused."""
    return protocol.reply_error(refusal(protocol, payload), NOW)


# -- what is heard


def test_the_port(protocol: LiveProtocol) -> None:
    """It is a protocol of text, whose clients are given nothing to come back with."""
    port = protocol
    assert (port.name, port.binary, port.resumable) == ("live", False, False)


def test_closes(protocol: LiveProtocol) -> None:
    """Two endings have words of their own; the others are those of the table."""
    assert protocol.closes == {
        Disconnect.SHUTDOWN: (1001, "server shutting down"),
        Disconnect.SLOW: (1008, "back-pressure threshold exceeded"),
    }


@pytest.mark.parametrize("identifier", ["", "i", "x" * 64, "ž" * 64, 0, -1, 2**53 - 1])
def test_commands(protocol: LiveProtocol, identifier: str | int) -> None:
    """A topic becomes a channel of the family, with the client's own id or none."""
    for kind, command in (("subscribe", ask.Subscribe), ("unsubscribe", ask.Unsubscribe)):
        assert decode(protocol, type=kind, topic="event:1") == command(channel=CHANNEL)
        found = decode(protocol, type=kind, topic="event:1", id=identifier)
        assert found == command(channel=CHANNEL, id=identifier)
        assert type(found.id) is type(identifier)


@pytest.mark.parametrize(
    "topic", ["%2A", ":", "a:b:c", "other:event", "../x", "event:1&fields=id", "'"]
)
def test_topics_stay_in_their_family(protocol: LiveProtocol, topic: str) -> None:
    """Whatever a topic looks like, its channel is one of the family."""
    command = decode(protocol, type="subscribe", topic=topic)
    assert isinstance(command, ask.Subscribe)
    assert (command.channel.namespace, command.channel.name) == ("show", topic)


def test_longest_topic(protocol: LiveProtocol) -> None:
    """A topic and its family have as many characters as a channel has."""
    longest = "x" * (MAX_LENGTH - len("show:"))
    assert isinstance(decode(protocol, type="subscribe", topic=longest), ask.Subscribe)
    with pytest.raises(CommandError):
        decode(protocol, type="subscribe", topic=longest + "x")


MALFORMED = {
    "nothing": b"",
    "a word": b"hello",
    "null": b"null",
    "a number": b"1",
    "a string": b'"subscribe"',
    "an array": b"[]",
    "an array of a message": b'[{"type":"subscribe","topic":"t"}]',
    "pairs": b'[["type","subscribe"],["topic","t"]]',
    "an empty object": b"{}",
    "half an object": b'{"type":"subscribe","topic":',
    "two messages": b'{"type":"subscribe","topic":"t"}{"type":"subscribe","topic":"t"}',
    "nested too deeply": b'{"type":"subscribe","topic":' + b"[" * 40 + b"]" * 40 + b"}",
    "brackets without end": b"[" * 60_000,
    "no type": b'{"topic":"t"}',
    "no topic": b'{"type":"subscribe"}',
    "another type": b'{"type":"publish","topic":"t"}',
    "a server's type": b'{"type":"subscribed","topic":"t"}',
    "a type in capitals": b'{"type":"Subscribe","topic":"t"}',
    "a type of null": b'{"type":null,"topic":"t"}',
    "a type in an array": b'{"type":["subscribe"],"topic":"t"}',
    "a type in an object": b'{"type":{"subscribe":1},"topic":"t"}',
    "a topic of null": b'{"type":"subscribe","topic":null}',
    "a numeric topic": b'{"type":"subscribe","topic":1}',
    "a boolean topic": b'{"type":"subscribe","topic":true}',
    "topics": b'{"type":"subscribe","topic":["t"]}',
    "a topic in an object": b'{"type":"subscribe","topic":{"id":1}}',
    "an unknown key": b'{"type":"subscribe","topic":"t","since":1}',
    "keys in capitals": b'{"type":"subscribe","Topic":"t"}',
    "a repeated topic": b'{"type":"subscribe","topic":"t","topic":"u"}',
    "a repeated type": b'{"type":"unsubscribe","type":"subscribe","topic":"t"}',
    "a repeated key in escapes": b'{"type":"subscribe","topic":"t","\\u0074opic":"u"}',
    "a repeated id": b'{"type":"subscribe","topic":"t","id":1,"id":2}',
    "a prototype": b'{"type":"subscribe","topic":"t","__proto__":{}}',
    "a lone surrogate": b'{"type":"subscribe","topic":"\\ud800"}',
    "a lone surrogate as id": b'{"type":"subscribe","topic":"t","id":"\\udfff"}',
    "NUL": b'{"type":"subscribe","topic":"t\\u0000"}',
    "an encoded surrogate": b'{"type":"subscribe","topic":"\xed\xa0\x80"}',
    "Latin-1": b'{"type":"subscribe","topic":"\xe9"}',
    "a byte order mark": b'\xef\xbb\xbf{"type":"subscribe","topic":"t"}',
    "an id of null": b'{"type":"subscribe","topic":"t","id":null}',
    "a boolean id": b'{"type":"subscribe","topic":"t","id":true}',
    "a fraction as id": b'{"type":"subscribe","topic":"t","id":1.5}',
    "a whole fraction as id": b'{"type":"subscribe","topic":"t","id":1.0}',
    "an array as id": b'{"type":"subscribe","topic":"t","id":[1]}',
    "an object as id": b'{"type":"subscribe","topic":"t","id":{}}',
    "NaN as id": b'{"type":"subscribe","topic":"t","id":NaN}',
    "an integer nobody can hold": b'{"type":"subscribe","topic":"t","id":9007199254740993}',
    "an id too long": b'{"type":"subscribe","topic":"t","id":"' + b"x" * 65 + b'"}',
}


@pytest.mark.p0
@pytest.mark.parametrize("payload", MALFORMED.values(), ids=MALFORMED)
def test_malformed(protocol: LiveProtocol, payload: bytes) -> None:
    """Whatever is no message of the protocol is told to be none; beside that a broken rule may be named."""
    assert violates(answer(protocol, payload))


def violates(said: bytes | None) -> bool:
    """Whether an answer is the one violation, with the rule of JSON that was broken or without."""
    message = json.loads(said or b"null")
    details = message.pop("details", {"rule": ""})
    expected: dict[str, str] = json.loads(VIOLATION)
    return bool(message == expected and details.keys() <= {"rule", "depth"})


def test_malformed_with_an_id(protocol: LiveProtocol) -> None:
    """The fault carries a usable id, for a limit that may be told instead; the violation does not say it."""
    fault = refusal(protocol, b'{"type":"publish","topic":"t","id":7}')
    assert fault.command_id == 7
    assert protocol.reply_error(fault, NOW) == VIOLATION


IMPOSSIBLE = {
    "nothing": "",
    "a wildcard": "event:*",
    "only a wildcard": "*",
    "another wildcard": "event:?",
    "braces": "event:{id}",
    "brackets": "event:[1]",
    "a backslash": "event:\\1",
    "a quote": 'event:"1"',
    "a space": "event 1",
    "a line feed at the end": "event:1\n",
    "a control character": "event:\x01",
    "other letters": "žatva",
    "letters that look alike": "еvent:1",  # noqa: RUF001 - the first letter is the Cyrillic one
    "an emoji": "🐎",
    "too long": "x" * 128,
    "64 KiB": "x" * 65536,
}


@pytest.mark.p0
@pytest.mark.parametrize("topic", IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_impossible_topics(protocol: LiveProtocol, topic: str) -> None:
    """What cannot be a topic is refused in the words for one that is not open, and left without a word."""
    for identifier in (None, "i", 0):
        about = {"topic": topic} | ({} if identifier is None else {"id": identifier})
        asked = json.dumps({"type": "subscribe", **about}).encode()
        assert refusal(protocol, asked).kind is ErrorKind.PERMISSION_DENIED
        known = CommandError(ErrorKind.PERMISSION_DENIED, about=topic, command_id=identifier)
        assert answer(protocol, asked) == protocol.reply_error(known, NOW)
        left = answer(protocol, json.dumps({"type": "unsubscribe", **about}).encode())
        assert json.loads(left or b"") == {"type": "unsubscribed", **about}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)
KEYS = st.sampled_from(["type", "topic", "id", "since"])
VALUES = JSON | st.sampled_from(["subscribe", "unsubscribe", "event:1", "*"])


def only_faults(protocol: LiveProtocol, payload: bytes, binary: bool) -> Command | None:
    """Read a payload; a fault is answered with JSON."""
    try:
        return protocol.decode(payload, binary)
    except CommandError as fault:
        said = json.loads(protocol.reply_error(fault, NOW))
        assert said["type"] in {"error", "unsubscribed"}
        return None


@pytest.mark.p0
@given(payload=st.binary(), binary=st.booleans(), handed=st.booleans())
def test_nothing_but_faults_from_bytes(payload: bytes, binary: bool, handed: bool) -> None:
    """Whatever bytes come, reading them gives a command or a fault that can be answered."""
    only_faults(LiveProtocol("show", lambda: handed), payload, binary)


@pytest.mark.p0
@given(st.dictionaries(KEYS, VALUES))
def test_nothing_but_faults_from_objects(message: dict[str, Any]) -> None:
    """Objects with the right keys and any values are a command of the two, or a fault."""
    payload = json.dumps(message).encode()
    command = only_faults(LiveProtocol("show"), payload, binary=False)
    if command is not None:
        assert isinstance(command, ask.Subscribe | ask.Unsubscribe)
        assert command.channel == f"show:{message['topic']}"
        assert message.keys() <= {"type", "topic", "id"}


# -- handed over


@pytest.mark.parametrize(
    "value", [None, True, 1, 1.5, "text", [], {}, {"type": "subscribe", "topic": "t"}, [{"a": 1}]]
)
def test_handed_over(value: object) -> None:
    """With a handler of the application every JSON value is for it."""
    protocol = LiveProtocol("show", lambda: True)
    payload = json.dumps(value).encode()
    assert protocol.decode(payload, binary=False) == HandOver(data=value)


@pytest.mark.parametrize(
    "payload", [b"", b"{", b'{"a":1,"a":2}', b'"\\ud800"', b"[" * 40, b"NaN", b"\xff"]
)
def test_handed_over_is_only_what_is_json(payload: bytes) -> None:
    """What does not parse strictly is not handed over."""
    assert violates(answer(LiveProtocol("show", lambda: True), payload))


def test_handing_over_is_asked_each_time() -> None:
    """A handler counts from the moment it is set, and no longer than it is."""
    handed = False
    protocol = LiveProtocol("show", lambda: handed)
    assert isinstance(decode(protocol, type="subscribe", topic="t"), ask.Subscribe)
    handed = True
    assert isinstance(decode(protocol, type="subscribe", topic="t"), HandOver)
    handed = False
    assert isinstance(decode(protocol, type="subscribe", topic="t"), ask.Subscribe)


# -- what is said

POSITION = Position(9, "e")
KEYED = Publication(
    id="p", offset=8, time=1000, data={"b": 1, "a": [None]}, key="k", user="u", email="e@x"
)
PLAIN = Publication(id="q", offset=9, time=1001, data="ž")
SUBSCRIBED = say.Subscribed(
    channel=CHANNEL, position=POSITION, snapshot=(KEYED,), participants=("u",)
)

REPLIES: list[tuple[Reply, str | int | None, bytes | None]] = [
    (
        SUBSCRIBED,
        "i",
        b'{"type":"subscribed","topic":"event:1","id":"i",'
        b'"snapshot":[{"key":"k","data":{"b":1,"a":[null]},"ts":1000,"offset":8}],'
        b'"position":{"offset":9,"epoch":"e"}}',
    ),
    (
        say.Subscribed(channel=CHANNEL, position=POSITION),
        None,
        b'{"type":"subscribed","topic":"event:1","snapshot":[],"position":{"offset":9,"epoch":"e"}}',
    ),
    (
        say.Subscribed(channel=CHANNEL, position=Position(0, ""), snapshot=()),
        0,
        b'{"type":"subscribed","topic":"event:1","id":0,"snapshot":[],'
        b'"position":{"offset":0,"epoch":""}}',
    ),
    (say.Unsubscribed(channel=CHANNEL), None, b'{"type":"unsubscribed","topic":"event:1"}'),
    (say.Unsubscribed(channel=CHANNEL), 7, b'{"type":"unsubscribed","topic":"event:1","id":7}'),
    (say.Unsubscribed(channel=CHANNEL), "", b'{"type":"unsubscribed","topic":"event:1","id":""}'),
    (say.Done(), "i", None),
    (say.Pong(), None, b'{"type":"pong"}'),
    (say.Pong(), 7, b'{"type":"pong","id":7}'),
    (say.Authenticated(identity=ANONYMOUS, session_token="s", expires_at=None), None, None),
]


@pytest.mark.parametrize(("reply", "identifier", "said"), REPLIES)
def test_replies(
    protocol: LiveProtocol, reply: Reply, identifier: str | int | None, said: bytes | None
) -> None:
    """Each answer has its words; others are silence."""
    assert protocol.reply(Command(id=identifier), reply, NOW) == said


PUSHES: list[tuple[Push, bytes | None]] = [
    (
        say.Delivery(channel=CHANNEL, publication=KEYED, epoch="e"),
        b'{"type":"data","topic":"event:1","key":"k","data":{"b":1,"a":[null]},"ts":1000,"offset":8}',
    ),
    (
        say.Delivery(channel=CHANNEL, publication=PLAIN, epoch="e", suppressed=3),
        '{"type":"data","topic":"event:1","data":"ž","ts":1001,"offset":9}'.encode(),
    ),
    (
        say.Removed(channel=CHANNEL, reason=ErrorKind.PERMISSION_DENIED.code),
        b'{"type":"error","code":"forbidden","message":"Subscription refused","topic":"event:1"}',
    ),
    (
        say.Removed(channel=CHANNEL, reason="unsubscribed"),
        b'{"type":"error","code":"forbidden","message":"Subscription refused","topic":"event:1"}',
    ),
    (
        say.Removed(channel=CHANNEL, reason=ErrorKind.UNAVAILABLE.code),
        b'{"type":"error","code":"unavailable","message":"Temporarily unavailable",'
        b'"topic":"event:1","retryMs":1000}',
    ),
    (
        say.Removed(channel=CHANNEL, reason=say.INSUFFICIENT_STATE),
        b'{"type":"error","code":"unavailable","message":"Temporarily unavailable",'
        b'"topic":"event:1","retryMs":1000}',
    ),
    (say.Told(data={"b": 1, "a": None}), b'{"b":1,"a":null}'),
    (say.Told(data=None), b"null"),
    (say.Told(data="x"), b'"x"'),
    (say.Welcome(connection_id="c"), None),
    (say.Expiring(expires_at=1.0), None),
    (say.ShuttingDown(retry=5), b'{"type":"shutdown","retryMs":5}'),
    (say.Parting(ending=Disconnect.SHUTDOWN, retry=5, told=True), None),
    (say.Parting(ending=Disconnect.REVOKED), None),
    (
        say.Parting(ending=Disconnect.SLOW, retry=7),
        b'{"type":"closing","reason":"slow","retryMs":7}',
    ),
    (say.Joined(channel=CHANNEL, user="u"), None),
    (say.Left(channel=CHANNEL, user="u"), None),
    (say.Signalled(channel=CHANNEL, user="u", name="typing", active=True), None),
]


@pytest.mark.parametrize(("push", "said"), PUSHES)
def test_pushes(protocol: LiveProtocol, push: Push, said: bytes | None) -> None:
    """Each push has its words, publications without who said them; others are silence."""
    assert protocol.push(push, NOW) == said
    assert protocol.push(push, NOW + 1) == said


MALFORMED_KINDS = {
    ErrorKind.INVALID_FORMAT,
    ErrorKind.INVALID_STRUCTURE,
    ErrorKind.UNKNOWN_TYPE,
}
UNAVAILABLE_KINDS = {ErrorKind.UNAVAILABLE, ErrorKind.INTERNAL}
LIMIT_TEXTS = {
    ErrorKind.RATE_LIMITED: b"Too many requests",
    ErrorKind.AUTH_RATE_LIMITED: b"Too many authentication attempts",
    ErrorKind.SUBSCRIBE_RATE_LIMITED: b"Too many subscriptions",
    ErrorKind.LIMIT_EXCEEDED: b"Limit exceeded",
    ErrorKind.CHANNEL_FULL: b"Channel is full",
    ErrorKind.TOO_LONG: b"Message too long",
}
FORBIDDEN_KINDS = (
    set(ErrorKind)
    - MALFORMED_KINDS
    - UNAVAILABLE_KINDS
    - set(LIMIT_TEXTS)
    - {ErrorKind.NOT_SUBSCRIBED}
)


def in_order(kinds: set[ErrorKind]) -> list[ErrorKind]:
    """Kinds of fault as they stand in their table."""
    return [kind for kind in ErrorKind if kind in kinds]


def full(kind: ErrorKind, retry_after: int | None = None) -> CommandError:
    """A fault with everything that can be said of one, and what must not."""
    return CommandError(
        kind, about="event:1", command_id="i", retry_after=retry_after, detail="for the operator"
    )


@pytest.mark.parametrize("kind", in_order(FORBIDDEN_KINDS))
def test_forbidden(protocol: LiveProtocol, kind: ErrorKind) -> None:
    """What is not open, not there, or anything else of that sort, is refused in the same words."""
    assert protocol.reply_error(full(kind), NOW) == (
        b'{"type":"error","code":"forbidden","message":"Subscription refused",'
        b'"topic":"event:1","id":"i"}'
    )
    assert protocol.reply_error(CommandError(kind), NOW) == (
        b'{"type":"error","code":"forbidden","message":"Subscription refused"}'
    )


def test_forbidden_has_the_expected_kinds() -> None:
    """The words for what is not open are those of rights and of channels."""
    assert {
        ErrorKind.PERMISSION_DENIED,
        ErrorKind.UNKNOWN_CHANNEL,
        ErrorKind.INVALID_CHANNEL,
        ErrorKind.NOT_AUTHENTICATED,
    } <= FORBIDDEN_KINDS


@pytest.mark.parametrize("kind", in_order(UNAVAILABLE_KINDS))
def test_unavailable(protocol: LiveProtocol, kind: ErrorKind) -> None:
    """What fails for now is told with when to try again, a defect in the same words."""
    assert protocol.reply_error(full(kind, 250), NOW) == (
        b'{"type":"error","code":"unavailable","message":"Temporarily unavailable",'
        b'"topic":"event:1","id":"i","retryMs":250}'
    )
    assert protocol.reply_error(CommandError(kind), NOW) == (
        b'{"type":"error","code":"unavailable","message":"Temporarily unavailable","retryMs":1000}'
    )


@pytest.mark.parametrize("kind", LIMIT_TEXTS)
def test_limits(protocol: LiveProtocol, kind: ErrorKind) -> None:
    """A limit is told by its own text, with when to try again if that is known."""
    text = LIMIT_TEXTS[kind]
    assert protocol.reply_error(full(kind, 250), NOW) == (
        b'{"type":"error","code":"limit","message":"%b","topic":"event:1","id":"i","retryMs":250}'
        % text
    )
    assert protocol.reply_error(CommandError(kind, command_id=0), NOW) == (
        b'{"type":"error","code":"limit","message":"%b","id":0}' % text
    )


@pytest.mark.parametrize("kind", in_order(MALFORMED_KINDS))
def test_violations(protocol: LiveProtocol, kind: ErrorKind) -> None:
    """What is no message is told so with three keys, whatever else is known of it."""
    assert protocol.reply_error(full(kind, 250), NOW) == VIOLATION


def test_not_subscribed(protocol: LiveProtocol) -> None:
    """To leave what one is not in is answered as to leave what one is in."""
    fault = full(ErrorKind.NOT_SUBSCRIBED)
    left = protocol.reply(Command(id="i"), say.Unsubscribed(channel=CHANNEL), NOW)
    assert protocol.reply_error(fault, NOW) == left
