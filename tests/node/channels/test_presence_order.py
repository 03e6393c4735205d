from itertools import permutations

import pytest

from portward.model.channel import Channel
from portward.model.events import BusEvent, UserJoined, UserLeft
from portward.node.channels.presence_order import CAPACITY, WINDOW, PresenceOrder
from portward.testing import FakeClock
from tests.node.cluster.test_bus_events import sink_of
from tests.node.simulated_cluster import simulated_cluster
from tests.running_gateway import LOBBY, forget, kinds, settle


def joined(order: int, user: str = "bob", channel: Channel = LOBBY) -> UserJoined:
    """A coming."""
    return UserJoined(channel=channel, user=user, client=f"c{order}", order=order)


def left(order: int, user: str = "bob", channel: Channel = LOBBY) -> UserLeft:
    """A going."""
    return UserLeft(channel=channel, user=user, client=f"c{order}", order=order)


def told(order: PresenceOrder, *events: UserJoined | UserLeft) -> list[bool]:
    """What is told of these: True for a coming, False for a going."""
    return [isinstance(each, UserJoined) for each in events if order.is_news(each)]


def test_events_in_order_are_all_told() -> None:
    """A coming and a going in turn are news each time."""
    order = PresenceOrder(FakeClock())
    assert told(order, joined(1), left(2), joined(3), left(4)) == [True, False, True, False]


@pytest.mark.parametrize("last", [3, 4, 5])
def test_any_order_alternates_and_ends_with_the_truth(last: int) -> None:
    """However the events of one user overtake each other, the last that is told is what is so."""
    events: list[UserJoined | UserLeft] = [
        joined(n) if n % 2 else left(n) for n in range(1, last + 1)
    ]
    for mixed in permutations(events[1:]):
        found = told(PresenceOrder(FakeClock()), events[0], *mixed)
        assert found == [n % 2 == 0 for n in range(len(found))]
        assert found[-1] is (last % 2 == 1)


def test_users_and_channels_count_apart() -> None:
    """What is known of one user in one channel says nothing of others."""
    order, other = PresenceOrder(FakeClock()), Channel.parse("rooms:other")
    assert told(order, joined(9), joined(1, "ann")) == [True, True]
    assert told(order, joined(2, channel=other), left(3, channel=other)) == [True, False]


def test_events_without_a_number_are_told() -> None:
    """A node of an older version gives none."""
    order = PresenceOrder(FakeClock())
    assert told(order, joined(5), left(0), joined(0), joined(0)) == [True, False, True, True]


def test_a_number_is_remembered_for_a_while() -> None:
    """A clock of the store that was set back holds nothing back for longer."""
    clock = FakeClock()
    order = PresenceOrder(clock)
    assert told(order, joined(500), left(1)) == [True]
    clock.advance(WINDOW)
    assert told(order, left(2), joined(3)) == [False, True]


def test_the_table_is_bounded() -> None:
    """Those that moved longest ago are forgotten."""
    order = PresenceOrder(FakeClock())
    for number in range(CAPACITY + 100):
        assert order.is_news(joined(7, f"u{number}"))
    assert len(order) == CAPACITY
    assert told(order, left(6, "u0"), left(6, f"u{CAPACITY}")) == [False]


async def test_others_hear_coming_and_going_in_turn() -> None:
    """A going that was overtaken by the next coming is not told, nor is that coming."""
    async with simulated_cluster() as net:
        running = net.gateways[0]
        ann = await running.client("ann", "lobby")
        forget(ann)
        events: list[BusEvent] = [joined(1_000), joined(1_003), left(1_002), left(1_004)]
        for event in events:
            sink_of(net).on_control(event)
        await settle()
        assert kinds(ann) == ["user_joined", "user_left"]
