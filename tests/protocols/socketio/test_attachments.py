"""Bytes inside JSON: every placeholder has one attachment, and every attachment one placeholder."""

from typing import Any

import pytest
from hypothesis import given

from portward.protocols.socketio.attachments import has_bytes, pack, unpack
from tests.protocols.socketio.test_packets import BINARY, unhurried

PLACE = {"_placeholder": True, "num": 0}


@unhurried
@given(BINARY)
def test_round_trip(value: list[Any]) -> None:
    """What is packed and unpacked is the same again, and nothing is changed on the way."""
    try:
        packed, attachments = pack(value)
    except ValueError:
        return
    assert unpack(packed, list(attachments)) == value
    assert bool(attachments) is has_bytes(value)


@pytest.mark.parametrize("blob", [b"ab", bytearray(b"ab"), memoryview(b"ab")])
def test_every_kind_of_bytes(blob: Any) -> None:
    """Bytes of every kind are taken out, from tuples, too."""
    assert pack(({"a": blob},)) == ([{"a": PLACE}], (b"ab",))


def test_nothing_to_take_out() -> None:
    """A value without bytes is given back as it is, even where it looks like a placeholder."""
    value = {"a": PLACE}
    packed, attachments = pack(value)
    assert packed is value
    assert attachments == ()


def test_ten_and_no_more() -> None:
    """Ten attachments are sent, eleven are not."""
    assert len(pack([b""] * 10)[1]) == 10
    with pytest.raises(ValueError, match="more than 10"):
        pack([b""] * 11)


@pytest.mark.parametrize("mark", [True, False, None])
def test_a_placeholder_beside_bytes(mark: Any) -> None:
    """A value that would be taken for a placeholder is refused beside bytes."""
    with pytest.raises(ValueError, match="placeholder"):
        pack([b"", {"_placeholder": mark}])


def test_too_deep() -> None:
    """What holds itself, or nearly so, is refused, whether the bytes come before or within."""
    endless: list[Any] = []
    endless.append(endless)
    for value in (endless, [b"", endless], [{"a": b"", "b": endless}]):
        with pytest.raises(ValueError, match="deeply"):
            pack(value)


@pytest.mark.p1
@pytest.mark.parametrize(
    "placeholder",
    [
        {"_placeholder": True},
        {"_placeholder": True, "num": 1},
        {"_placeholder": True, "num": -1},
        {"_placeholder": True, "num": 0.0},
        {"_placeholder": True, "num": True},
        {"_placeholder": True, "num": False},
        {"_placeholder": True, "num": "0"},
        {"_placeholder": True, "num": None},
        {"_placeholder": True, "num": [0]},
        {"_placeholder": True, "num": {"_placeholder": True, "num": 0}},
        {"_placeholder": True, "num": 0, "x": 1},
        {"_placeholder": False, "num": 0},
        {"_placeholder": 1, "num": 0},
        {"_placeholder": "true", "num": 0},
    ],
)
def test_no_placeholder(placeholder: Any) -> None:
    """A placeholder that is none, or whose number is none, is refused."""
    with pytest.raises(ValueError, match="placeholder for nothing"):
        unpack([placeholder], [b"ab"])


def test_one_for_two() -> None:
    """No attachment stands in two places."""
    with pytest.raises(ValueError, match="placeholder for nothing"):
        unpack([PLACE, PLACE], [b"ab"])


def test_one_for_none() -> None:
    """And none stands nowhere."""
    with pytest.raises(ValueError, match="without a place"):
        unpack([PLACE, 1], [b"ab", b"cd"])
