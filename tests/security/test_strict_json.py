"""JSON from strangers: exactly what every reader would read the same, and nothing else."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portward.model.errors import CommandError, ErrorKind
from portward.model.limits import INTEGER, JSON_DEPTH
from portward.security import strict_json

pytestmark = pytest.mark.p0


def refused(payload: bytes) -> bool:
    """Whether a payload is refused, and if so as having an invalid format."""
    try:
        strict_json.parse(payload)
    except CommandError as fault:
        assert fault.kind is ErrorKind.INVALID_FORMAT  # noqa: PT017 - either outcome is possible
        return True
    return False


REFUSED = {
    "nothing": b"",
    "blanks": b" \n",
    "a word": b"hello",
    "half an object": b'{"a":',
    "two values": b"1 2",
    "a value and more": b'{"a":1}x',
    "a comma too much": b"[1,]",
    "a comment": b"/* */ 1",
    "single quotes": b"{'a':1}",
    "a bare key": b"{a:1}",
    "a leading zero": b"01",
    "a plus": b"+1",
    "hexadecimal": b"0x10",
    "a bare point": b".5",
    "NaN": b"NaN",
    "NaN inside": b'{"a":[NaN]}',
    "infinity": b"Infinity",
    "minus infinity": b"-Infinity",
    "a number too large": b"1e400",
    "a long integer": b"1" * 5000,
    "one more than a double holds": str(INTEGER + 1).encode(),
    "one less than a double holds": str(-INTEGER - 1).encode(),
    "eighteen digits": b"100000000000000000",
    "a repeated key": b'{"type":"ping","type":"publish"}',
    "a repeated key inside": b'{"a":{"b":1,"b":1}}',
    "a repeated key in escapes": b'{"a":1,"\\u0061":2}',
    "__proto__": b'{"__proto__":{}}',
    "constructor inside": b'{"a":[{"constructor":1}]}',
    "prototype": b'{"prototype":1}',
    "__proto__ in escapes": b'{"\\u005f_proto__":1}',
    "a lone surrogate": b'"\\ud800"',
    "a lone low surrogate": b'{"a":"\\udfff"}',
    "a lone surrogate as a key": b'{"\\ud83d":1}',
    "surrogates in the wrong order": b'"\\udc00\\ud800"',
    "NUL": b'"\\u0000"',
    "NUL in a key": b'{"a\\u0000b":1}',
    "a raw control character": b'"a\x01b"',
    "a raw line feed in a string": b'"a\nb"',
    "a bad escape": b'"\\x41"',
    "half an escape": b'"\\u00"',
    "Latin-1": b'"\xe9"',
    "an overlong encoding": b'"\xc0\xaf"',
    "an encoded surrogate": b'"\xed\xa0\x80"',
    "beyond Unicode": b'"\xf4\x90\x80\x80"',
    "a byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": "{}".encode("utf-16"),
    "one bracket too deep": b"[" * 33 + b"]" * 33,
    "objects too deep": b'{"a":' * 33 + b"1" + b"}" * 33,
    "brackets without end": b"[" * 50_000,
    "closing brackets without end": b"]" * 50_000,
    "brackets of both kinds": b'[{"a":' * 17 + b"1" + b"}]" * 17,
}


@pytest.mark.parametrize("payload", REFUSED.values(), ids=REFUSED)
def test_refused(payload: bytes) -> None:
    """What readers could take differently, or cannot hold, is refused."""
    assert refused(payload)


TAKEN: dict[bytes, Any] = {
    b"{}": {},
    b" \t\r\n[1] \n": [1],
    b'"text"': "text",
    b"null": None,
    b"-0": 0,
    b"1.5e3": 1500.0,
    str(INTEGER).encode(): INTEGER,
    str(-INTEGER).encode(): -INTEGER,
    b'{"a":{"b":1},"b":{"a":1}}': {"a": {"b": 1}, "b": {"a": 1}},
    b'"\\ud83d\\ude00"': "\U0001f600",
    b'"\\u0041\\t\\n"': "A\t\n",
    b'"\\\\u0000"': "\\u0000",
    b'"\\\\ud800"': "\\ud800",
    b'"\\u007f"': "\x7f",
    b"[" * JSON_DEPTH + b"]" * JSON_DEPTH: None,
    json.dumps("[" * 5000).encode(): "[" * 5000,
    json.dumps('"' * 50 + "{" * 50).encode(): '"' * 50 + "{" * 50,
    json.dumps(["[", "]", "\\", '\\"[' * 20]).encode(): ["[", "]", "\\", '\\"[' * 20],
    b'{"__proto":1,"Constructor":2}': {"__proto": 1, "Constructor": 2},
    '"é ž 漢 🐎"'.encode(): "é ž 漢 🐎",
}


@pytest.mark.parametrize("payload", TAKEN)
def test_taken(payload: bytes) -> None:
    """What every reader reads the same is taken, brackets and escapes in strings included."""
    expected = TAKEN[payload]
    found = strict_json.parse(payload)
    if expected is not None or payload == b"null":
        assert found == expected
        assert type(found) is type(expected)


VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-INTEGER, INTEGER)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)


@given(VALUES, st.booleans())
def test_sound_values_come_back(value: Any, ascii_only: bool) -> None:
    """Any sound value, written with or without escapes, is read as it was."""
    text = json.dumps(value, ensure_ascii=ascii_only).encode()
    if any(word in text for word in (b"__proto__", b"constructor", b"prototype")):
        return
    assert strict_json.parse(text) == value


@given(st.binary(max_size=200))
def test_nothing_but_a_fault(payload: bytes) -> None:
    """Whatever comes is a value or a fault, never another error."""
    refused(payload)


@given(st.text('[]{}",:\\u0d8 1eN-', max_size=200))
def test_nothing_but_a_fault_near_json(text: str) -> None:
    """Text made of JSON's own characters is a value or a fault, and read as the library reads it."""
    payload = text.encode()
    try:
        value = strict_json.parse(payload)
    except CommandError:
        return
    assert json.loads(payload) == value


@given(st.text('[]{}"\\ax', max_size=60))
def test_depth(text: str) -> None:
    """The depth found without parsing is that of a slow walk over the text."""
    level = deepest = 0
    inside = escaped = False
    for character in text:
        if inside:
            inside = escaped or character != '"'
            escaped = not escaped and character == "\\"
        elif character == '"':
            inside = True
        elif character in "[{":
            level += 1
            deepest = max(deepest, level)
        elif character in "]}":
            level -= 1
    assert strict_json.depth(text) == deepest


LONG = 30_000


@pytest.mark.parametrize(
    "payload",
    [
        b"[" * 33 + b'"' + b'\\"' * LONG,
        b"[" * 33 + b'"' + b"\\" * LONG,
        b"[" * 33 + b'""' * LONG,
        b"[" * 33 + b'"a' * LONG,
        b'{"a":' * 33 + b'"' + b"\\u0041" * (LONG // 3),
        b"[{" * LONG,
        b'["' * LONG,
        b"-" * LONG,
        b'"' + b"\\u0000" * (LONG // 3) + b'"',
    ],
    ids=lambda payload: payload[30:44].decode(),
)
@pytest.mark.timeout(3)
def test_work_is_linear(payload: bytes) -> None:
    """No message of the largest size makes the reader work for long: quadratic work takes minutes."""
    for _ in range(20):
        assert refused(payload)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a\tb\nc\rd", False),
        ("", False),
        ("é漢🐎", False),
        ("a\0b", True),
        ("\x1b[31m", True),
        ("\x7f", True),
        ("\x85", True),
        ("\x9f", True),
        ("\xa0", False),
    ],
)
def test_control_characters(text: str, expected: bool) -> None:
    """C0 and C1 are control characters, tab and the ends of lines excepted."""
    assert strict_json.has_control(text) is expected


@pytest.mark.parametrize(
    ("message", "identifier"),
    [
        ({"id": "a"}, "a"),
        ({"id": "x" * 64}, "x" * 64),
        ({"id": "x" * 65}, None),
        ({"id": ""}, ""),
        ({"id": 7}, 7),
        ({"id": -1}, -1),
        ({"id": True}, None),
        ({"id": 1.0}, None),
        ({"id": None}, None),
        ({"id": ["a"]}, None),
        ({}, None),
        ([], None),
        ("id", None),
        (None, None),
    ],
)
def test_identifier(message: object, identifier: object) -> None:
    """A client's own id is a short text or a whole number; anything else is none."""
    found = strict_json.identifier(message)
    assert (found, type(found)) == (identifier, type(identifier))
