"""Leases of engines of one process: each once, for a time, and within bounds."""

import pytest

from portward.engines.memory import leases
from portward.engines.memory.leases import MemoryLeases
from portward.engines.port import Key, LeaseKey
from portward.testing import FakeClock

ANN, BOB = LeaseKey(Key("returns:ann")), LeaseKey(Key("returns:bob"))


async def test_each_once() -> None:
    """A member is released once, and only under its key."""
    kept = MemoryLeases(FakeClock())
    await kept.lease(ANN, {"a": b"", "b": b""}, 120.0)
    await kept.lease(ANN, {"a": b"1"}, 120.0)
    assert await kept.leased(ANN) == {"a": b"1", "b": b""}
    assert await kept.release(BOB, ("a",)) == frozenset()
    assert await kept.release(ANN, ("a", "c", "a")) == {"a"}
    assert await kept.release(ANN, ("a", "b")) == {"b"}
    assert kept.dump_leases() == []


async def test_time() -> None:
    """After its time a member is absent; one that is leased again has the new time."""
    clock = FakeClock()
    kept = MemoryLeases(clock)
    await kept.lease(ANN, {"a": b"", "b": b""}, 120.0)
    clock.advance(100)
    await kept.lease(ANN, {"b": b""}, 120.0)
    clock.advance(30)
    kept.sweep_leases()
    assert await kept.release(ANN, ("a", "b")) == {"b"}
    await kept.lease(ANN, {"a": b""}, 120.0)
    clock.advance(121)
    assert await kept.release(ANN, ("a",)) == frozenset()


async def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of too many members those of the key leased longest ago are removed."""
    monkeypatch.setattr(leases, "MAX_LEASED", 10)
    kept = MemoryLeases(FakeClock())
    for number in range(100):
        await kept.lease(LeaseKey(Key(f"returns:u{number}")), dict.fromkeys("abc", b""), 120.0)
        assert sum(len(members) for _, members in kept.dump_leases()) <= 10
    assert await kept.release(LeaseKey(Key("returns:u99")), ("a",)) == {"a"}
    assert await kept.release(LeaseKey(Key("returns:u0")), ("a",)) == frozenset()


async def test_a_dump_is_loaded() -> None:
    """What another run dumped is valid for the rest of its time."""
    clock = FakeClock()
    before, kept = MemoryLeases(clock), MemoryLeases(clock)
    await before.lease(ANN, {"a": b"1"}, 120.0)
    await before.lease(BOB, {"a": b""}, 10.0)
    clock.advance(60)
    kept.load_leases(before.dump_leases())
    assert (await kept.leased(ANN), await kept.leased(BOB)) == ({"a": b"1"}, {})
