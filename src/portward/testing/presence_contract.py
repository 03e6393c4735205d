"""The parts of the engine's contract about presence, and about counters."""

from collections.abc import Callable

from portward.engines.port import Engine, Member
from portward.model.channel import Channel

ROOM = Channel.parse("rooms:general")


class PresenceContract:
    """Inherited by :class:`EngineContract`."""

    async def test_presence_counts_users(self, engine: Engine) -> None:
        """Only a user's first entry and last departure are news."""
        enter, leave = engine.presence.enter, engine.presence.leave
        assert await enter(ROOM, Member("c1", "ann"))
        assert await enter(ROOM, Member("c2", "ann")) == 0
        assert await enter(ROOM, Member("c2", "ann")) == 0
        assert await leave(ROOM, "c1", "ann") == 0
        assert await leave(ROOM, "c1", "ann") == 0
        assert await leave(ROOM, "c2", "ann")
        assert await engine.presence.members(ROOM) == ()

    async def test_presence_numbers_what_happens(self, engine: Engine) -> None:
        """A later coming or going of a user has the larger number."""
        numbers = []
        for number in range(10):
            numbers.append(await engine.presence.enter(ROOM, Member(f"c{number}", "ann")) or 0)
            numbers.append(await engine.presence.leave(ROOM, f"c{number}", "ann"))
        assert numbers[0] > 0
        assert numbers == sorted(set(numbers))

    async def test_presence_lists_connections(self, engine: Engine) -> None:
        """Members are connections with their users, in the order of entering."""
        members = (Member("c1", "ann", "ann@example.com"), Member("c2", "bob"))
        for member in members:
            await engine.presence.enter(ROOM, member)
        await engine.presence.renew([(ROOM, member) for member in members])
        assert await engine.presence.members(ROOM) == members

    async def test_presence_limit_counts_users(self, engine: Engine) -> None:
        """A full channel refuses another user, not another connection of one who is there."""
        await engine.presence.enter(ROOM, Member("c1", "ann"), 1)
        assert await engine.presence.enter(ROOM, Member("c2", "bob"), 1) is None
        assert await engine.presence.enter(ROOM, Member("c3", "ann"), 1) == 0


class CountersContract:
    """Inherited by :class:`EngineContract`."""

    async def test_a_counter_adds_up(self, engine: Engine) -> None:
        """Every addition returns the sum; adding nothing reads it, and makes no counter."""
        assert await engine.counters.add("a", 0, 60.0) == 0
        assert await engine.counters.add("a", 5, 60.0) == 5
        assert await engine.counters.add("a", 7, 60.0) == 12
        assert await engine.counters.add("a", 0, 60.0) == 12
        assert await engine.counters.add("b", 1, 60.0) == 1

    async def test_a_counter_is_forgotten(
        self, engine: Engine, leap: Callable[[float], None]
    ) -> None:
        """Its time runs from the first addition, whatever is added later."""
        await engine.counters.add("a", 5, 60.0)
        leap(59.0)
        assert await engine.counters.add("a", 1, 60.0) == 6
        leap(2.0)
        assert await engine.counters.add("a", 0, 60.0) == 0
        assert await engine.counters.add("a", 2, 60.0) == 2
