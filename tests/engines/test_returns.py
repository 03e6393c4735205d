"""What engines of one process remember of who may come back."""

import pytest

from portward.engines import returns
from portward.engines.returns import Returns
from portward.model.channel import Channel
from portward.testing import FakeClock

A, B, C = (Channel.parse(f"rooms:{name}") for name in "abc")


def test_each_once() -> None:
    """A channel is taken once, and only by its user."""
    kept = Returns(FakeClock())
    kept.put("ann", (A, B), 120.0)
    kept.put("ann", (A,), 120.0)
    assert kept.take("bob", (A,)) == frozenset()
    assert kept.take("ann", (A, C, A)) == {A}
    assert kept.take("ann", (A, B)) == {B}
    assert kept.dump() == {}


def test_time() -> None:
    """After its time a channel is forgotten; one that is put again has the new time."""
    clock = FakeClock()
    kept = Returns(clock)
    kept.put("ann", (A, B), 120.0)
    clock.advance(100)
    kept.put("ann", (B,), 120.0)
    clock.advance(30)
    kept.sweep()
    assert kept.take("ann", (A, B)) == {B}
    kept.put("ann", (A,), 120.0)
    clock.advance(121)
    assert kept.take("ann", (A,)) == frozenset()


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of too many channels those of the user noted longest ago are forgotten."""
    monkeypatch.setattr(returns, "MAX_RETURNS", 10)
    kept = Returns(FakeClock())
    for number in range(100):
        kept.put(f"u{number}", (A, B, C), 120.0)
        assert sum(map(len, kept.dump().values())) <= 10
    assert kept.take("u99", (A,)) == {A}
    assert kept.take("u0", (A,)) == frozenset()
