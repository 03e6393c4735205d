"""The memory engine keeps the engine contract."""

from collections.abc import AsyncIterator, Callable

import pytest

from portward.engines.memory import MemoryEngine, kv
from portward.engines.memory import counters as counters_module
from portward.engines.port import Engine, EngineUnavailable
from portward.model.identity import Identity
from portward.model.revocation import Revocation, RevocationKind
from portward.node.stores import (
    Revocations,
    RevocationsFull,
    SessionRecord,
    Sessions,
    UserState,
)
from portward.testing.clock import FakeClock
from portward.testing.engine_contract import EngineContract, Recorder
from portward.testing.rooms_contract import ROOMS_BOUND


class TestMemoryEngine(EngineContract):
    """Everything the contract says, in memory."""

    @pytest.fixture
    def clock(self) -> FakeClock:
        """The engine's time."""
        return FakeClock()

    @pytest.fixture
    def leap(self, clock: FakeClock) -> Callable[[float], None]:
        """Move the engine's time."""
        return clock.advance

    @pytest.fixture
    def unix(self, clock: FakeClock) -> Callable[[], float]:
        """The engine's Unix time."""
        return clock.time

    @pytest.fixture
    async def engine(self, clock: FakeClock, sink: Recorder) -> AsyncIterator[Engine]:
        """A started engine."""
        engine = MemoryEngine(clock, max_rooms=ROOMS_BOUND)
        await engine.start(sink)
        yield engine
        await engine.stop()

    async def test_counters_are_bounded_and_swept(
        self, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Of too many the one begun longest ago goes; those that ran out are swept."""
        monkeypatch.setattr(counters_module, "MAX_COUNTERS", 3)
        counters = counters_module.MemoryCounters(clock)
        for key in "abcd":
            await counters.add(key, 1, 10.0)
        assert [await counters.add(key, 0, 10.0) for key in "abcd"] == [0, 1, 1, 1]
        clock.advance(10)
        counters.sweep()
        assert counters._counters == {}

    async def test_revocations_are_bounded(
        self, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Of too many the new one is refused, until one has run out; one that is there may be renewed."""
        monkeypatch.setattr(kv, "MAX_RECORDS", 3)
        kept = Revocations(kv.MemoryKeyValue(clock), clock, exclusive=True)
        await kept.load()
        now = clock.time()

        def made(value: str, seconds: float) -> Revocation:
            return Revocation(RevocationKind.SUBJECT, value, at=now, until=now + seconds)

        for value, seconds in (("a", 10.0), ("b", 99.0), ("c", 99.0), ("b", 200.0)):
            await kept.add(made(value, seconds))
        for _ in range(2):
            with pytest.raises(RevocationsFull):
                await kept.add(made("d", 99.0))
        assert {each.value for each in await kept.since(0.0)} == {"a", "b", "c"}
        clock.advance(11)
        kept.sweep()
        await kept.add(made("d", 99.0))
        assert {each.value for each in await kept.since(0.0)} == {"b", "c", "d"}

    async def test_sessions_are_bounded(
        self, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """For one more session the store is away for now; those that are there can be resumed."""
        monkeypatch.setattr(kv, "MAX_RECORDS", 1)
        sessions = Sessions(kv.MemoryKeyValue(clock))

        def made(name: str) -> SessionRecord:
            return SessionRecord(id=name, identity=Identity(subject="ann"), nonce="n1", client="c1")

        await sessions.save(made("s1"), 60.0)
        with pytest.raises(EngineUnavailable):
            await sessions.save(made("s2"), 60.0)
        assert await sessions.swap("s1", "n1", "n2", "c2") is not None
        clock.advance(60)
        await sessions.save(made("s2"), 60.0)

    async def test_shared_values_are_bounded_in_bytes(
        self, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Of too many bytes the owner begun longest ago is forgotten, never the one who sets."""
        monkeypatch.setattr(kv, "MAX_CACHED_BYTES", 1000)
        entries = kv.MemoryKeyValue(clock)
        kept = UserState(entries)
        for owner in ("ann", "bob"):
            await kept.put(owner, "k", "x" * 400, None, 60.0)
        assert (await kept.put("ann", "k", "y" * 400, 1, 60.0))[1]
        await kept.put("cyd", "k", "x" * 400, None, 60.0)
        assert _owners(entries) == {"bob", "cyd"}
        await kept.put("cyd", "l", "x" * 4000, None, 60.0)
        assert _owners(entries) == {"cyd"}
        clock.advance(61)
        entries.sweep()
        assert (entries._records, entries._caches, entries._cached) == ({}, {}, 0)
        assert (entries._indexes, entries._families.total()) == ({}, 0)

    async def test_owners_are_bounded(
        self, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Of too many owners the one begun longest ago is forgotten."""
        monkeypatch.setattr(kv, "MAX_CACHES", 2)
        entries = kv.MemoryKeyValue(clock)
        kept = UserState(entries)
        for owner in ("ann", "bob", "cyd"):
            await kept.put(owner, "k", 1, None, 60.0)
        assert _owners(entries) == {"bob", "cyd"}


def _owners(entries: kv.MemoryKeyValue) -> set[str]:
    return {key.group.partition(":")[2] for key in entries._records}
