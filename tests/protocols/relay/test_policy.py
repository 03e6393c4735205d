"""What may go to the upstream: whatever is forwarded must read the same to every reader."""

import base64
import json
import zlib
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from portward.model.errors import CommandError, ErrorKind
from portward.protocols.relay.policy import RelayPolicy, opening
from portward.security import strict_json
from tests.examples import examples

pytestmark = pytest.mark.p0

MODEL = "gpt-realtime"
APPEND = "input_audio_buffer.append"
OPEN = RelayPolicy(models=(MODEL, "gpt-other"))
LISTED = RelayPolicy(allow=frozenset({APPEND, "session.update"}))
PINNED = RelayPolicy(pin={"instructions": "be kind", "voice": "marin", "max_output_tokens": 4096})


def refusal(policy: RelayPolicy, payload: bytes, *, binary: bool = False) -> CommandError | None:
    """The fault with which a message is refused; None when it may go upstream."""
    try:
        policy.judge(payload, binary=binary, model=MODEL)
    except CommandError as fault:
        assert fault.kind is ErrorKind.EVENT_REFUSED  # noqa: PT017 - either outcome is possible
        return fault
    return None


def event(kind: object = "session.update", **members: object) -> bytes:
    """One client event."""
    return json.dumps({"type": kind, **members}).encode()


def unread(payload: bytes) -> Any:
    """A reader that must not be needed."""
    pytest.fail(f"{len(payload)} bytes were parsed")


# Without a guard


AUDIO = event(APPEND, audio=base64.b64encode(bytes(range(256)) * 400).decode())


@pytest.mark.parametrize(
    ("payload", "binary"),
    [
        (AUDIO, False),
        (b"hello", False),
        (b"", False),
        (b'{"a":1,"a":2}', False),
        (rb'{"type":"x","text":"caf\u00e9 \u0000"}', False),
        (rb'{"type":"x","text":"a \"quoted\" \\ mo\\del \n"}', False),
    ],
)
def test_what_cannot_name_a_model_is_not_parsed(payload: bytes, binary: bool) -> None:
    """Without a guard audio and other text go through as they came."""
    OPEN.judge(payload, binary=binary, model=MODEL)


@pytest.mark.parametrize(
    "payload",
    [
        event("conversation.item.create", item={"content": "which model are you?"}),
        event(session={"model": MODEL, "voice": "x"}),
        event(session={"audio": {"input": {"transcription": {"model": "whisper-1"}}}}),
        event("response.create", response={"model": MODEL}),
        event("response.create", response=None, text="model"),
        event(model=MODEL),
        event(7, text="model"),
        b'{"text":"model"}',
        rb'{"type":"session.update","session":{"\u006dodel":"gpt-realtime"}}',
    ],
)
def test_the_connections_own_model_may_be_named(payload: bytes) -> None:
    """The word itself is not refused, nor the model the connection has, nor one of another purpose."""
    assert refusal(OPEN, payload) is None


OTHER_MODEL = {
    "in a session": event(session={"model": "gpt-other"}),
    "in a response": event("response.create", response={"model": "gpt-other"}),
    "in a transcription session": event("transcription_session.update", session={"model": "x"}),
    "in an event of another type": event(APPEND, session={"model": "gpt-other"}),
    "in an event without a type": b'{"session":{"model":"gpt-other"}}',
    "beside the session": event(model="gpt-other"),
    "null": event(session={"model": None}),
    "a list": event(session={"model": [MODEL]}),
    "an object": event(session={"model": {}}),
    "in another case": event(session={"model": "GPT-Realtime"}),
    "with a blank": event(session={"model": MODEL + " "}),
    "in a list of sections": event(session=[{"model": "gpt-other"}]),
    "in a string": event(session='{"model":"gpt-other"}'),
    "in a list of events": b'[{"type":"session.update","session":{"model":"gpt-other"}}]',
    "an escaped m": rb'{"type":"session.update","session":{"\u006dodel":"gpt-other"}}',
    "an escaped d": rb'{"type":"session.update","session":{"mo\u0064el":"gpt-other"}}',
    "all in escapes": rb'{"session":{"\u006d\u006F\u0064\u0065\u006C":"gpt-other"}}',
    "an escaped capital": rb'{"session":{"\u004Dodel":"gpt-other"}}',
    "an escaped section": rb'{"\u0073ession":{"model":"gpt-other"}}',
    "twice, own last": b'{"session":{"model":"gpt-other","model":"gpt-realtime"}}',
    "twice, own first": b'{"session":{"model":"gpt-realtime","model":"gpt-other"}}',
    "two sections": b'{"session":{"model":"gpt-other"},"session":{"model":"gpt-realtime"}}',
    "twice, one in escapes": rb'{"session":{"model":"gpt-realtime","\u006dodel":"gpt-other"}}',
    "as Model": event(session={"Model": "gpt-other"}),
    "as MODEL": event(session={"MODEL": "gpt-other"}),
    "beside Model": event(session={"model": MODEL, "Model": "gpt-other"}),
    "in Session": event(Session={"model": "gpt-other"}),
    "in RESPONSE": event(RESPONSE={"model": "gpt-other"}),
    "with a long s": '{"type":"x","\u017fession":{"model":"gpt-other"}}'.encode(),
    "with a long s in escapes": rb'{"type":"x","\u017fession":{"model":"gpt-other"}}',
    "after a byte order mark": b"\xef\xbb\xbf" + event(session={"model": "gpt-other"}),
    "before another value": event(session={"model": "gpt-other"}) + b"{}",
    "before a comma": b'{"session":{"model":"gpt-other",}}',
    "with a bare key": b'{"session":{model:"gpt-other"}}',
    "after a comment": b'/**/{"session":{"model":"gpt-other"}}',
    "beside NaN": b'{"session":{"model":"gpt-other","speed":NaN}}',
    "not closed": b'{"session":{"model":"gpt-other"',
    "in UTF-16": '{"session":{"model":"gpt-other"}}'.encode("utf-16-le"),
    "in UTF-16, big end first": '{"session":{"model":"gpt-other"}}'.encode("utf-16-be"),
    "in UTF-32": '{"session":{"model":"gpt-other"}}'.encode("utf-32-le"),
    "bad UTF-8": b'{"session":{"model":"gpt-other","x":"\xff"}}',
    "deep": b'{"session":{"model":"gpt-other","x":' + b"[" * 99 + b"]" * 99 + b"}}",
    "huge": event(audio="A" * (1 << 20), session={"model": "gpt-other"}),
    "a hexadecimal escape": rb'{"session":{"\x6dodel":"gpt-other"}}',
    "an escape without a meaning": rb'{"session":{"\model":"gpt-other"}}',
    "an octal escape": rb'{"session":{"\155odel":"gpt-other"}}',
    "an escape in braces": rb'{"session":{"\u{6d}odel":"gpt-other"}}',
    "a line that goes on": b'{"session":{"mo\\\ndel":"gpt-other"}}',
}
NO_ESCAPES = {
    "a hexadecimal escape",
    "an escape without a meaning",
    "an octal escape",
    "an escape in braces",
    "a line that goes on",
}
"""Escapes that are none in JSON; raw bytes have countless of them."""
BINARY = RelayPolicy(models=(MODEL, "gpt-other"), allow_binary=True)


@pytest.mark.parametrize("binary", [False, True], ids=["text", "binary"])
@pytest.mark.parametrize("payload", OTHER_MODEL.values(), ids=OTHER_MODEL)
@pytest.mark.parametrize("policy", [OPEN, LISTED, PINNED], ids=["open", "listed", "pinned"])
def test_the_model_cannot_be_changed(policy: RelayPolicy, payload: bytes, binary: bool) -> None:
    """No spelling of another model goes upstream, in text or binary, with a guard or without."""
    assert refusal(policy, payload, binary=binary) is not None


@pytest.mark.parametrize("name", [name for name in OTHER_MODEL if name not in NO_ESCAPES])
def test_allowed_binary_messages_cannot_change_the_model(name: str) -> None:
    """Where binary messages may be anything, one in which a reader could find a model is refused."""
    assert refusal(BINARY, OTHER_MODEL[name], binary=True) is not None


NO_JSON = {
    "sound": bytes(range(256)) * 40,
    "nothing": b"",
    "UTF-16": '{"type":"response.create"}'.encode("utf-16"),
    "UTF-16 without a mark": '{"type":"response.create"}'.encode("utf-16-le"),
    "UTF-32": '{"type":"response.create"}'.encode("utf-32"),
    "a byte order mark": b"\xef\xbb\xbf" + event("response.create"),
    "UTF-7": b'+AHs-"type":"response.create"+AH0-',
    "compressed": zlib.compress(event("response.create")),
    "base64": base64.b64encode(event("response.create")),
    "MessagePack": b"\x81\xa4type\xafresponse.create",
    "two events": event("response.create") * 2,
}


@pytest.mark.parametrize("payload", NO_JSON.values(), ids=NO_JSON)
def test_binary_messages_are_events_or_refused(payload: bytes) -> None:
    """What is no JSON by the strict reader goes upstream only where that is allowed, and never guarded."""
    assert refusal(OPEN, payload, binary=True) is not None
    assert refusal(BINARY, payload, binary=True) is None
    for guarded in (
        RelayPolicy(strict=True, allow_binary=True),
        RelayPolicy(allow=frozenset({APPEND}), allow_binary=True),
        RelayPolicy(pin={"voice": "marin"}, allow_binary=True),
    ):
        assert refusal(guarded, payload, binary=True) is not None


STRANGE = {
    "two equal keys": b'{"type":"x","a":1,"a":2}',
    "a number beyond 2^53": b'{"type":"x","a":9007199254740993}',
    "a list": b"[]",
    "a text": b'"response.create"',
    "deep": b'{"a":' + b"[" * 99 + b"]" * 99 + b"}",
}


@pytest.mark.parametrize("payload", STRANGE.values(), ids=STRANGE)
def test_binary_json_is_read_strictly(payload: bytes) -> None:
    """JSON that two readers may understand differently is refused in a binary message."""
    assert refusal(OPEN, payload, binary=True) is not None


@pytest.mark.parametrize("policy", [OPEN, BINARY, LISTED, PINNED])
def test_an_event_may_come_in_a_binary_message(policy: RelayPolicy) -> None:
    """A binary message with an event in it is judged as the same text."""
    assert refusal(policy, event("session.update", session={"model": MODEL}), binary=True) is None
    assert refusal(policy, event("session.update", session={"model": "x"}), binary=True) is not None


# The list of types


@pytest.mark.parametrize(
    ("policy", "kind", "passes"),
    [
        (LISTED, APPEND, True),
        (LISTED, "session.update", True),
        (LISTED, "response.create", False),
        (LISTED, "Session.Update", False),
        (LISTED, "session.update ", False),
        (LISTED, "", False),
        (RelayPolicy(strict=True), APPEND, False),
        (RelayPolicy(strict=True, allow=frozenset({APPEND})), APPEND, True),
        (RelayPolicy(strict=True, allow=frozenset({APPEND})), "response.create", False),
        (PINNED, "anything.else", True),
    ],
)
def test_types_are_listed(policy: RelayPolicy, kind: str, passes: bool) -> None:
    """With a list, or strictly, only its types pass; with pins alone any type does."""
    assert (refusal(policy, event(kind)) is None) is passes


UNCLEAR = {
    "no type": b"{}",
    "a number for a type": event(1),
    "null for a type": event(None),
    "a list for a type": event(["session.update"]),
    "an object for a type": event({}),
    "a list of events": b'[{"type":"session.update"}]',
    "a string": b'"session.update"',
    "null": b"null",
    "nothing": b"",
    "no JSON": b"session.update",
    "two events": b'{"type":"session.update"}{"type":"response.create"}',
    "two types": b'{"type":"session.update","type":"response.create"}',
    "two types, the other first": b'{"type":"response.create","type":"session.update"}',
    "two types, one in escapes": rb'{"type":"session.update","t\u0079pe":"response.create"}',
    "type and Type": b'{"type":"session.update","Type":"response.create"}',
    "TYPE alone": b'{"TYPE":"session.update"}',
    "a byte order mark": b"\xef\xbb\xbf" + event(),
    "UTF-16": event().decode().encode("utf-16"),
    "a comma too much": b'{"type":"session.update",}',
    "NaN": b'{"type":"session.update","x":NaN}',
    "a NUL in the type": rb'{"type":"session.update\u0000"}',
    "a lone surrogate": rb'{"type":"session.update","x":"\ud800"}',
    "a section that is a list": event(session=[]),
    "a section that is a string": event(response="{}"),
    "a section that is a number": event(session=0),
}


@pytest.mark.parametrize("payload", UNCLEAR.values(), ids=UNCLEAR)
@pytest.mark.parametrize("policy", [LISTED, PINNED], ids=["listed", "pinned"])
def test_what_readers_could_differ_about_is_refused(policy: RelayPolicy, payload: bytes) -> None:
    """Behind a guard only an object with one type goes upstream."""
    assert refusal(policy, payload) is not None


@pytest.mark.parametrize("policy", [LISTED, PINNED], ids=["listed", "pinned"])
def test_binary_messages_are_judged_behind_a_guard(policy: RelayPolicy) -> None:
    """A binary message passes a guard when it is an event that would pass as text."""
    assert refusal(policy, event(APPEND), binary=True) is None
    assert refusal(policy, b"\x00\xff", binary=True) is not None


# Pinned fields


HARMLESS = {
    "nothing pinned": {"turn_detection": None, "tools": []},
    "the pinned values": {"instructions": "be kind", "max_output_tokens": 4096},
    "an equal number": {"max_output_tokens": 4096.0},
    "the beta's spelling": {"max_response_output_tokens": 4096, "voice": "marin"},
    "the current spelling": {"audio": {"output": {"voice": "marin", "speed": 1.1}}},
    "other audio": {"audio": {"input": {"turn_detection": None}}},
    "no audio": {"audio": {}},
    "the session's type": {"type": "realtime"},
    "names further down": {"metadata": {"Voice": "x", "été": 1, "instructions": "y"}},
}


@pytest.mark.parametrize("fields", HARMLESS.values(), ids=HARMLESS)
@pytest.mark.parametrize("section", ["session", "response"])
def test_pinned_fields_may_be_repeated(section: str, fields: dict[str, object]) -> None:
    """A field may be sent with its pinned value, in either spelling, and other fields freely."""
    assert refusal(PINNED, event(**{section: fields})) is None


CHANGED: dict[str, Any] = {
    "another text": {"instructions": "be rude"},
    "an empty text": {"instructions": ""},
    "null": {"instructions": None},
    "a list of it": {"instructions": ["be kind"]},
    "another case": {"instructions": "Be kind"},
    "another key": {"Instructions": "be kind"},
    "both keys": {"instructions": "be kind", "INSTRUCTIONS": "be rude"},
    "one token more": {"max_output_tokens": 4097},
    "a fraction more": {"max_output_tokens": 4096.5},
    "no bound": {"max_output_tokens": "inf"},
    "a number in a string": {"max_output_tokens": "4096"},
    "true": {"max_output_tokens": True},
    "the beta's spelling": {"max_response_output_tokens": 5000},
    "one spelling of two": {"max_output_tokens": 4096, "max_response_output_tokens": "inf"},
    "voice": {"voice": "echo"},
    "voice in its group": {"audio": {"output": {"voice": "echo"}}},
    "voice in a group in capitals": {"audio": {"Output": {"voice": "marin"}}},
    "Voice in its group": {"audio": {"output": {"Voice": "marin"}}},
    "voice in two places": {"voice": "marin", "audio": {"output": {"voice": "echo"}}},
    "a group that is null": {"audio": None},
    "a group that is a list": {"audio": {"output": ["voice"]}},
    "a group that is a string": {"audio": "echo"},
    "a long s": {"in\u017ftructions": "be rude"},
    "another session type": {"type": "transcription"},
    "a stored prompt": {"prompt": {"id": "pmpt_1"}},
}


@pytest.mark.parametrize("fields", CHANGED.values(), ids=CHANGED)
@pytest.mark.parametrize(
    ("kind", "section"),
    [
        ("session.update", "session"),
        ("transcription_session.update", "session"),
        ("response.create", "response"),
        ("input_audio_buffer.append", "session"),
        ("conversation.item.create", "response"),
    ],
)
def test_pinned_fields_cannot_be_changed(kind: str, section: str, fields: dict[str, Any]) -> None:
    """No spelling, type or place gives a pinned field another value, for a session or one answer."""
    fault = refusal(PINNED, event(kind, **{section: fields}))
    assert fault is not None
    assert fault.about == kind


@pytest.mark.parametrize(
    "payload",
    [
        b'{"type":"x","session":{"voice":"marin","voice":"echo"}}',
        b'{"type":"x","session":{"voice":"echo","voice":"marin"}}',
        b'{"type":"x","session":{"voice":"marin"},"session":{"voice":"echo"}}',
        rb'{"type":"x","session":{"voice":"marin","v\u006fice":"echo"}}',
        rb'{"type":"x","session":{"v\u006fice":"echo"}}',
        b'{"type":"x","session":{"max_output_tokens":1e999}}',
        b'{"type":"x","session":{"max_output_tokens":4096.0000001}}',
        b'{"type":"x","session":{"max_output_tokens":-4096}}',
    ],
)
def test_pinned_fields_cannot_be_changed_by_grammar(payload: bytes) -> None:
    """Repeated keys, escapes and odd numbers do not help."""
    assert refusal(PINNED, payload) is not None


NESTED: list[tuple[Mapping[str, Any], Mapping[str, Any], bool]] = [
    ({"max_response_output_tokens": 9}, {"max_output_tokens": 9}, True),
    ({"max_response_output_tokens": 9}, {"max_output_tokens": 8}, False),
    ({"audio": {"output": {"voice": "a"}}}, {"voice": "a"}, True),
    ({"audio": {"output": {"voice": "a"}}}, {"voice": "b"}, False),
    ({"audio": {"output": {"voice": "a"}}}, {"audio": {"output": {"voice": "b"}}}, False),
    ({"audio": {"output": {"voice": "a"}}}, {"audio": {"input": {"format": "x"}}}, True),
    ({"audio": {"output": None}}, {"audio": {"output": None}}, True),
    ({"audio": {"output": None}}, {"audio": {"output": {"voice": "b"}}}, True),
    ({"modalities": ["text"]}, {"output_modalities": ["text"]}, True),
    ({"modalities": ["text"]}, {"output_modalities": ["audio"]}, False),
    ({"modalities": ("text",)}, {"modalities": ["text", "audio"]}, False),
    ({"modalities": ["text"]}, {"modalities": {"0": "text"}}, False),
    ({"voice": "a", "audio": {"output": {"voice": "b"}}}, {"voice": "a"}, True),
    ({"voice": "a", "audio": {"output": {"voice": "b"}}}, {"voice": "b"}, False),
    ({"tools": [{"name": "t", "strict": True}]}, {"tools": [{"strict": True, "name": "t"}]}, True),
    ({"tools": [{"name": "t", "strict": True}]}, {"tools": [{"name": "t", "strict": 1}]}, False),
    ({"tools": [{"name": "t"}]}, {"tools": [{"name": "t", "Name": "u"}]}, False),
    ({"tools": [{"name": "t"}]}, {"tools": ["t"]}, False),
    ({"tools": []}, {"tools": None}, False),
    ({"speed": 1}, {"speed": True}, False),
    ({"parallel": True}, {"parallel": 1}, False),
    ({"parallel": True}, {"parallel": True}, True),
    ({"tracing": None}, {"tracing": None}, True),
    ({"tracing": None}, {"tracing": False}, False),
    ({"Odd": 1}, {"odd": 1}, False),
    ({"Odd": 1}, {"Odd": 1}, True),
    ({"prompt": {"id": "p"}}, {"prompt": {"id": "p"}}, True),
    ({"prompt": {"id": "p"}}, {"prompt": {"id": "q"}}, False),
    ({"type": "transcription"}, {"type": "transcription"}, True),
    ({"model": "pinned"}, {"model": "pinned"}, False),
    ({"model": "pinned"}, {"model": MODEL}, True),
]


@pytest.mark.parametrize(("pin", "fields", "passes"), NESTED)
def test_equal_is_equal_as_json(
    pin: Mapping[str, Any], fields: Mapping[str, Any], passes: bool
) -> None:
    """Values are compared as JSON, all the way down; both spellings of a field are one field."""
    assert (refusal(RelayPolicy(pin=pin), event(session=fields)) is None) is passes


# What a refusal says


def test_a_refusal_names_the_type_and_nothing_else() -> None:
    """It is about the event's type, cut to a length; its detail repeats nothing the client sent."""
    secret = "s3cret"
    fault = refusal(PINNED, event("x" * 500, session={"instructions": secret}))
    assert fault is not None
    assert fault.about == "x" * 64
    assert fault.detail == "another value of the pinned instructions"
    assert secret not in repr(fault.__dict__)
    unread_type = refusal(PINNED, b'{"type":"a","type":"b","x":"s3cret"}')
    assert unread_type is not None
    assert unread_type.about is None
    assert unread_type.detail == "duplicate key"
    no_json = refusal(PINNED, b"s3cret")
    assert no_json is not None
    assert no_json.detail == "not JSON"


def test_a_reader_without_detail_will_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault of the reader counts, whether it has words for it or not."""

    def nothing(payload: bytes) -> Any:
        raise CommandError(ErrorKind.INVALID_FORMAT)

    monkeypatch.setattr(strict_json, "parse", nothing)
    with pytest.raises(CommandError) as caught:
        PINNED.judge(b"{}", binary=False, model=MODEL)
    assert (caught.value.kind, caught.value.detail) == (ErrorKind.EVENT_REFUSED, "invalid_format")


def test_pins_stay_out_of_the_log() -> None:
    """Instructions are the operator's own: they are not part of the representation."""
    assert "be kind" not in repr(PINNED)


# Any reader


def _first(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return dict(reversed(pairs))


def _caseless(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return {key.replace("\u017f", "s").lower(): value for key, value in pairs}


READERS: list[Callable[[list[tuple[str, Any]]], dict[str, Any]]] = [dict, _first, _caseless]
"""The last of equal keys counts; the first; case does not count."""

OWN = [
    '"voice":"marin"',
    '"model":"gpt-realtime"',
    '"max_output_tokens":4096',
    '"max_response_output_tokens":4096.0',
    '"audio":{"output":{"voice":"marin"}}',
    '"audio":{"input":{},"output":{"other":1}}',
    '"other":[{"voice":"echo"}]',
]
"""Members that change nothing."""

KEYS = [
    '"type"',
    '"session"',
    '"response"',
    '"model"',
    '"voice"',
    '"max_output_tokens"',
    '"max_response_output_tokens"',
    '"audio"',
    '"output"',
    '"\\u006dodel"',
    '"v\\u006fice"',
    '"\\u0073ession"',
    '"Session"',
    '"Model"',
    '"VOICE"',
    '"Audio"',
    '"Output"',
    '"\u017fession"',
    '"other"',
]
ATOMS = [
    '"response.create"',
    '"gpt-other"',
    '"echo"',
    "4096.5",
    '"inf"',
    "null",
    "true",
    "1",
    "NaN",
    "[]",
    '{"voice":"echo"}',
    '{"model":"gpt-other"}',
]


def _member(key: str, value: str) -> str:
    return f"{key}:{value}"


def _object(members: list[str]) -> str:
    return "{" + ",".join(members) + "}"


def _mixed(own: list[str], odd: st.SearchStrategy[str]) -> st.SearchStrategy[list[str]]:
    """Some members that change nothing, among them at most one that may."""
    harmless = st.lists(st.sampled_from(own), max_size=2, unique=True)
    return st.builds(lambda *two: [*two[0], *two[1]], harmless, st.lists(odd, max_size=1)).flatmap(
        st.permutations
    )


KEY = st.sampled_from(KEYS)
ODD = st.builds(_member, KEY, st.sampled_from(ATOMS)) | st.sampled_from(
    ['"max_response_output_tokens":"inf"', '"audio":{"output":{"voice":"echo"}}']
)
TYPE = st.sampled_from(['"type":"session.update"', '"type":"response.create"'])
OUTPUT = _mixed(['"voice":"marin"', '"other":1'], ODD).map(_object)
GROUP = st.builds(_member, st.sampled_from(['"output"', '"Output"']), OUTPUT).map(
    lambda member: _object([member])
)
SECTION = _mixed(OWN, ODD | st.builds(_member, KEY, OUTPUT | GROUP)).map(_object)
EVENT = st.builds(
    lambda kind, members: _object([kind, *members]),
    TYPE,
    _mixed(
        ['"event_id":"e"', '"session":{"voice":"marin"}', '"model":"gpt-realtime"'],
        ODD | st.builds(_member, st.just('"session"') | st.just('"response"') | KEY, SECTION),
    ),
)
GUARD = RelayPolicy(
    allow=frozenset({"session.update"}), pin={"voice": "marin", "max_output_tokens": 4096}
)


def _assert_held(section: Any) -> None:
    assert isinstance(section, dict)
    assert section.get("model", MODEL) == MODEL
    assert section.get("voice", "marin") == "marin"
    for name in ("max_output_tokens", "max_response_output_tokens"):
        given = section.get(name, 4096)
        assert given == 4096
        assert not isinstance(given, bool)
    if "audio" in section:
        assert isinstance(section["audio"], dict)
        assert section["audio"].get("output", {}).get("voice", "marin") == "marin"


@settings(max_examples=examples(100))
@given(EVENT)
@example('{"type":"session.update","session":{"voice":"marin","max_output_tokens":4096.0}}')
@example('{"type":"session.update","session":{"audio":{"output":{"voice":"marin"}}},"response":{}}')
def test_what_is_forwarded_reads_the_same_everywhere(text: str) -> None:
    """To no reader does a forwarded event have another type, model, or value of a pinned field."""
    if refusal(GUARD, text.encode()) is not None:
        return
    for reader in READERS:
        found = json.loads(text, object_pairs_hook=reader)
        assert found["type"] == "session.update"
        for name in ("session", "response"):
            if found.get(name) is not None:
                _assert_held(found[name])


@settings(max_examples=examples(100))
@given(EVENT)
def test_without_a_guard_no_reader_finds_another_model(text: str) -> None:
    """To no reader does a forwarded event name another model than the connection's."""
    if refusal(OPEN, text.encode()) is not None:
        return
    for reader in READERS:
        found = json.loads(text, object_pairs_hook=reader)
        for section in (found, found.get("session"), found.get("response")):
            if isinstance(section, dict):
                assert section.get("model", MODEL) == MODEL


@given(st.binary(), st.booleans())
def test_any_bytes_are_judged(payload: bytes, binary: bool) -> None:
    """Nothing but a refusal comes of any message; behind a list nothing but events passes."""
    refusal(OPEN, payload, binary=binary)
    if refusal(LISTED, payload, binary=binary) is None:
        assert json.loads(payload)["type"] in LISTED.allow


# The first event


def test_the_gateway_opens_with_the_pins() -> None:
    """The first event puts the pinned values in force; without any there is none."""
    assert opening(OPEN, MODEL) is None
    assert opening(LISTED, MODEL) is None
    first = opening(PINNED, MODEL)
    assert first is not None
    assert json.loads(first) == {
        "type": "session.update",
        "session": {
            "type": "realtime",
            "instructions": "be kind",
            "voice": "marin",
            "max_output_tokens": 4096,
        },
    }
    assert refusal(PINNED, first) is None


def test_the_first_event_names_the_connections_model() -> None:
    """A pinned model gives way to the one the connection was made for."""
    first = opening(RelayPolicy(pin={"model": "gpt-other"}), MODEL)
    assert first is not None
    assert json.loads(first)["session"] == {"type": "realtime", "model": MODEL}
