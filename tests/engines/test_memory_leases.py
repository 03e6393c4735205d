"""Leases of engines of one process: each once, for a time, and within bounds."""

import pytest

from portward.engines.memory import leases
from portward.engines.memory.leases import MemoryLeases
from portward.engines.port import Key
from portward.testing import FakeClock

ANN, BOB = Key("returns:ann"), Key("returns:bob")


def test_each_once() -> None:
    """A member is released once, and only under its key."""
    kept = MemoryLeases(FakeClock())
    kept.lease(ANN, {"a": b"", "b": b""}, 120.0, 0)
    kept.lease(ANN, {"a": b"1"}, 120.0, 0)
    assert kept.leased(ANN) == {"a": b"1", "b": b""}
    assert kept.release(BOB, ("a",)) == frozenset()
    assert kept.release(ANN, ("a", "c", "a")) == {"a"}
    assert kept.release(ANN, ("a", "b")) == {"b"}
    assert kept.dump() == []


def test_time() -> None:
    """After its time a member is absent; one that is leased again has the new time."""
    clock = FakeClock()
    kept = MemoryLeases(clock)
    kept.lease(ANN, {"a": b"", "b": b""}, 120.0, 0)
    clock.advance(100)
    kept.lease(ANN, {"b": b""}, 120.0, 0)
    clock.advance(30)
    kept.sweep()
    assert kept.release(ANN, ("a", "b")) == {"b"}
    kept.lease(ANN, {"a": b""}, 120.0, 0)
    clock.advance(121)
    assert kept.release(ANN, ("a",)) == frozenset()


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of too many members those of the key leased longest ago are removed."""
    monkeypatch.setattr(leases, "MAX_LEASED", 10)
    kept = MemoryLeases(FakeClock())
    for number in range(100):
        kept.lease(Key(f"returns:u{number}"), dict.fromkeys("abc", b""), 120.0, 0)
        assert sum(len(members) for _, members in kept.dump()) <= 10
    assert kept.release(Key("returns:u99"), ("a",)) == {"a"}
    assert kept.release(Key("returns:u0"), ("a",)) == frozenset()


def test_a_dump_is_loaded() -> None:
    """What another run dumped is valid for the rest of its time."""
    clock = FakeClock()
    before, kept = MemoryLeases(clock), MemoryLeases(clock)
    before.lease(ANN, {"a": b"1"}, 120.0, 0)
    before.lease(BOB, {"a": b""}, 10.0, 0)
    clock.advance(60)
    kept.load(before.dump())
    assert (kept.leased(ANN), kept.leased(BOB)) == ({"a": b"1"}, {})
