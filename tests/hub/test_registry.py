"""Open connections by id and by user."""

from hypothesis import given
from hypothesis import strategies as st

from portward.hub.registry import Registry


class Connection:
    """Something with an id."""

    def __init__(self, number: int) -> None:
        self.id = str(number)


def test_connections_by_id() -> None:
    """A connection is found by its id until it is removed."""
    registry: Registry[Connection] = Registry()
    first, second = Connection(1), Connection(2)
    registry.add(first)
    registry.add(second)
    assert registry.get("1") is first
    assert list(registry) == [first, second]
    registry.remove(first, None)
    registry.remove(first, None)
    assert registry.get("1") is None
    assert len(registry) == 1


def test_connections_by_user() -> None:
    """The connections of a user are found in the order in which they were bound."""
    registry: Registry[Connection] = Registry()
    connections = [Connection(n) for n in range(3)]
    for connection in connections:
        registry.add(connection)
    for connection in reversed(connections):
        registry.bind(connection, "ann")
    assert registry.of_user("ann") == tuple(reversed(connections))
    assert (registry.count_of_user("ann"), registry.count_of_user("bob")) == (3, 0)
    assert registry.of_user("bob") == ()
    registry.remove(connections[0], "ann")
    assert registry.count_of_user("ann") == 2
    registry.remove(connections[0], "bob")
    assert registry.users() == 1


def test_going_through_while_it_changes() -> None:
    """Whoever is removed while all are gone through disturbs nobody."""
    registry: Registry[Connection] = Registry()
    for number in range(5):
        registry.add(Connection(number))
    for connection in registry:
        registry.remove(connection, None)
    assert len(registry) == 0


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 4), st.sampled_from("ab")), max_size=60))
def test_nothing_is_left(moves: list[tuple[bool, int, str]]) -> None:
    """However connections come and go, in the end nothing of them is kept."""
    registry: Registry[Connection] = Registry()
    bound: dict[int, tuple[Connection, str]] = {}
    for coming, number, user in moves:
        if coming and number not in bound:
            bound[number] = Connection(number), user
            registry.add(bound[number][0])
            registry.bind(*bound[number])
        elif not coming and number in bound:
            registry.remove(*bound.pop(number))
        users = [user for _, user in bound.values()]
        assert len(registry) == len(bound)
        assert registry.users() == len(set(users))
        assert registry.count_of_user("a") == users.count("a")
    for connection, user in bound.values():
        registry.remove(connection, user)
    assert (registry._by_id, registry._by_user) == ({}, {})
