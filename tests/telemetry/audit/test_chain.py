import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from portward.telemetry.audit.chain import (
    START,
    AuditEntry,
    BadLine,
    ChainEnd,
    checkpoint_mac,
    read,
    sign_line,
)

KEY = b"k" * 32
ENTRY = AuditEntry(1, "2023-11-14T22:13:20.000Z", "auth.fail", {"client": "c1", "count": 2})


def test_a_line_reads_back() -> None:
    """What was recorded comes out, with the code the next line is tied to."""
    raw, link = sign_line(KEY, START, ENTRY)
    assert raw.endswith(b'"}\n')
    line = read(KEY, raw[:-1])
    assert line.entry == ENTRY
    assert line.prev == START.mac
    assert line.link == link


def test_a_line_is_json_with_the_fields_in_order() -> None:
    """Other programs can read it."""
    raw, link = sign_line(KEY, START, ENTRY)
    assert list(json.loads(raw)) == ["seq", "time", "event", "fields", "prev", "mac"]
    assert json.loads(raw)["mac"] == link.mac


def test_each_line_is_tied_to_the_one_before() -> None:
    """The same event after another line has another code."""
    raw, link = sign_line(KEY, START, ENTRY)
    again, _ = sign_line(KEY, link, ENTRY)
    assert json.loads(again)["prev"] == link.mac
    assert again != raw


@settings(deadline=None)
@given(st.data())
def test_any_flipped_bit_is_seen(data: st.DataObject) -> None:
    """Wherever it is, in the code itself as well."""
    raw, _ = sign_line(KEY, START, ENTRY)
    whole = raw[:-1]
    at = data.draw(st.integers(0, len(whole) * 8 - 1))
    flipped = bytearray(whole)
    flipped[at // 8] ^= 1 << at % 8
    with pytest.raises(BadLine):
        read(KEY, bytes(flipped))


@settings(deadline=None)
@given(
    st.binary(max_size=300)
    | st.text(max_size=300).map(lambda text: text.encode("utf-8", "replace"))
)
def test_anything_else_is_no_line(raw: bytes) -> None:
    """Arbitrary bytes raise the one error."""
    with pytest.raises(BadLine):
        read(KEY, raw)


def test_another_key_makes_no_sense_of_it() -> None:
    """A line proves who wrote it."""
    raw, _ = sign_line(KEY, START, ENTRY)
    with pytest.raises(BadLine, match="another key"):
        read(b"x" * 32, raw[:-1])


@settings(deadline=None)
@given(st.text())
def test_a_line_is_one_line(text: str) -> None:
    """Whatever a field holds, in ASCII."""
    raw, link = sign_line(KEY, START, AuditEntry(1, "", "x", {"user": text}))
    assert raw.count(b"\n") == 1
    assert raw.isascii()
    assert read(KEY, raw[:-1]).link == link


def test_a_checkpoint_is_not_to_be_made_from_the_file() -> None:
    """It differs from the line's code, by line and by key."""
    link = ChainEnd(7, "a" * 64)
    mac = checkpoint_mac(KEY, link)
    assert mac != link.mac
    assert mac != checkpoint_mac(KEY, ChainEnd(8, "a" * 64))
    assert mac != checkpoint_mac(b"x" * 32, link)
