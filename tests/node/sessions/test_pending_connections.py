"""The pool of connections that have not proved anything: who makes room, and who is never touched."""

import pytest

from portward.node.sessions.pending_connections import RETRY, PendingConnections
from portward.testing import FakeClock

CAPACITY = 80
PROTECTED = CAPACITY // 8


class Connection:
    """A connection as a test wants it."""

    def __init__(self, *, silent: bool = True, verifying: bool = False) -> None:
        self.silent = silent
        self.verifying = verifying
        self.displaced: list[float] = []

    def displace(self, retry: float) -> None:
        """Note it."""
        self.displaced.append(retry)


@pytest.fixture
def clock() -> FakeClock:
    """The time."""
    return FakeClock()


@pytest.fixture
def pool(clock: FakeClock) -> PendingConnections:
    """A pool of eighty."""
    return PendingConnections(CAPACITY, clock)


def fill(pool: PendingConnections, address: str, count: int, **options: bool) -> list[Connection]:
    """So many connections of one address."""
    made = [Connection(**options) for _ in range(count)]
    for each in made:
        pool.add(each, each, ("own", address))
    return made


def gone(connections: list[Connection]) -> list[int]:
    """Which of them were displaced."""
    return [place for place, each in enumerate(connections) if each.displaced]


def test_half_empty(pool: PendingConnections, clock: FakeClock) -> None:
    """Up to half of its capacity nobody makes room, however crowded one address is."""
    crowd = fill(pool, "crowd", CAPACITY // 2)
    clock.advance(10)
    pool.make_room()
    assert gone(crowd) == []
    fill(pool, "other", 1)
    pool.make_room()
    assert gone(crowd) == [0]
    assert len(pool) == CAPACITY // 2


def test_the_oldest_of_the_most_crowded(pool: PendingConnections, clock: FakeClock) -> None:
    """Each newcomer displaces one: the oldest of the address that holds most at that moment."""
    less, most = fill(pool, "less", 30), []
    clock.advance(1)
    most = fill(pool, "most", 32)
    clock.advance(1)
    for _ in range(4):
        pool.make_room()
    assert (gone(most), len(gone(less))) in [([0, 1, 2], 1), ([0, 1], 2)]
    assert gone(less) == list(range(len(gone(less))))
    assert all(RETRY[0] <= wait <= RETRY[1] for each in most for wait in each.displaced)


def test_an_eighth_is_protected(pool: PendingConnections, clock: FakeClock) -> None:
    """An address keeps an eighth of the pool whatever happens; a full pool of such is left alone."""
    offices = [fill(pool, f"office{number}", PROTECTED) for number in range(8)]
    clock.advance(10)
    pool.make_room()
    assert [gone(each) for each in offices] == [[]] * 8
    crowd = fill(pool, "crowd", PROTECTED + 3)
    clock.advance(10)
    for _ in range(10):
        pool.make_room()
    assert gone(crowd) == [0, 1, 2]
    assert [gone(each) for each in offices] == [[]] * 8


def test_the_young_are_left_alone(pool: PendingConnections, clock: FakeClock) -> None:
    """Before a second is over nobody is silent."""
    crowd = fill(pool, "crowd", CAPACITY)
    clock.advance(0.9)
    pool.make_room()
    assert gone(crowd) == []
    clock.advance(0.1)
    pool.make_room()
    assert gone(crowd) == [0]


@pytest.mark.parametrize("option", ["silent", "verifying"])
def test_those_at_work_are_left_alone(
    pool: PendingConnections, clock: FakeClock, option: str
) -> None:
    """One that has spoken, or whose credential is being judged, is passed over."""
    crowd = fill(pool, "crowd", 60)
    for each in crowd[:5]:
        setattr(each, option, option == "verifying")
    clock.advance(2)
    pool.make_room()
    assert gone(crowd) == [5]
    for each in crowd[:5]:
        each.verifying = False
    pool.make_room()
    assert gone(crowd) == [[0, 5], [5, 6]][option == "silent"]


def test_a_full_pool_of_talkers(pool: PendingConnections, clock: FakeClock) -> None:
    """A word does not keep a place for ever: when the pool is full those make room that have spoken."""
    crowd = fill(pool, "crowd", CAPACITY - 1, silent=False)
    crowd[0].verifying = True
    clock.advance(2)
    pool.make_room()
    assert gone(crowd) == []
    fill(pool, "other", 1)
    pool.make_room()
    assert gone(crowd) == [1]
    assert len(pool) == CAPACITY - 1


def test_the_wider_key_counts(pool: PendingConnections, clock: FakeClock) -> None:
    """All /64s of one /48 are one crowd; an IPv4 address is its own."""
    spread = [Connection() for _ in range(60)]
    for number, each in enumerate(spread):
        pool.add(each, each, (f"2001:db8:0:{number:x}::/64", "2001:db8::/48"))
    singles = [Connection() for _ in range(20)]
    for number, each in enumerate(singles):
        pool.add(each, each, (f"192.0.2.{number}",))
    clock.advance(2)
    for _ in range(30):
        pool.make_room()
    assert gone(spread) == list(range(80 - 40))[: len(gone(spread))]
    assert (len(gone(spread)), gone(singles)) == (30, [])


def test_nothing_is_left_behind(pool: PendingConnections, clock: FakeClock) -> None:
    """Connections that leave, in any order and more than once, leave an empty pool."""
    crowd = fill(pool, "crowd", 60) + fill(pool, "other", 5)
    for each in crowd[::3]:
        each.silent = False
    clock.advance(2)
    for _ in range(10):
        pool.make_room()
    for each in crowd[::2] + crowd:
        pool.remove(each)
    assert len(pool) == 0
    assert (pool._groups, pool._crowded, pool._group_of) == ({}, set(), {})
