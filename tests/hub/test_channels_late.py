"""Fan-out with a cooldown whose last publication is sent late: to whom, and when not."""

import pytest

from portward.hub.channel_state import DeliveryOptions
from portward.hub.cooldown import Cooldown
from portward.hub.encoder import Encoder
from portward.model.channel import Channel
from portward.wire import message as wire
from tests.hub.subscribers import OTHER, ROOM, FakeSubscriber, HubBench, Payload

LEVELS = {"low": 0, "medium": 1, "high": 2}


@pytest.fixture
def hub() -> HubBench:
    """A hub with a cooldown of two seconds, in which data begins with its level."""
    made: list[HubBench] = []
    cooldown = Cooldown(
        2.0,
        lambda: made[0].time,
        8,
        lambda each: LEVELS.get(str(each.data).partition(" ")[0], 0),
    )
    made.append(HubBench(DeliveryOptions(cooldown=cooldown), late=True))
    return made[0]


def publish(hub: HubBench, *data: str, kind: str = "k", channel: Channel = ROOM) -> None:
    """Publish one after the other, each in a turn of its own."""
    for each in data:
        hub.publish(each, channel, kind=kind)
        hub.turn()


def test_the_last_comes_late(hub: HubBench) -> None:
    """When the cooldown ends, once, with the number of the others; then the cooldown runs again."""
    subscriber = hub.listener()
    publish(hub, "low 1", "low 2", "low 3", "low 4")
    hub.leap(1.9)
    assert subscriber.heard == ["low 1"]
    hub.leap(2.0)
    assert subscriber.heard == ["low 1", "low 4+2 late"]
    publish(hub, "low 5")
    hub.leap(3.9)
    assert len(subscriber.heard) == 2
    hub.leap(4.0)
    assert subscriber.heard[2:] == ["low 5 late"]
    hub.leap(99.0)
    assert len(subscriber.heard) == 3


def test_what_rises_comes_at_once(hub: HubBench) -> None:
    """Each level above the last sent passes; what falls waits, and the last of it comes late."""
    subscriber = hub.listener()
    publish(hub, "low 1", "medium 2", "high 3", "medium 4", "low 5")
    assert subscriber.heard == ["low 1", "medium 2", "high 3"]
    hub.leap(2.0)
    assert subscriber.heard[3:] == ["low 5+1 late"]


def test_one_encoding_for_many(hub: HubBench) -> None:
    """Listeners of the same voice that are owed the same are written the same bytes."""
    ears = [hub.listener() for _ in range(3)]
    publish(hub, "low 1", "low 2")
    hub.leap(2.0)
    assert len({id(subscriber.writes[-1]) for subscriber in ears}) == 1
    assert hub.watch.fan_outs[-1][:3] == (ROOM, 0, 3)


def test_each_listener_has_its_own_time(hub: HubBench) -> None:
    """One that came later is owed later."""
    ann = hub.listener()
    publish(hub, "low 1", "low 2")
    hub.leap(1.0)
    bob = hub.listener()
    publish(hub, "low 3", "low 4")
    hub.leap(2.0)
    assert (ann.heard, bob.heard) == (["low 1", "low 4+2 late"], ["low 3"])
    hub.leap(3.0)
    assert bob.heard == ["low 3", "low 4 late"]


def test_who_left_is_sent_nothing_late(hub: HubBench) -> None:
    """Neither after leaving, nor after coming back; nor is one that is closed."""
    gone, back, closed, stays = (hub.listener() for _ in range(4))
    publish(hub, "low 1", "low 2")
    hub.channels.leave(ROOM, gone)
    hub.channels.leave(ROOM, back)
    hub.channels.join(ROOM, back)
    hub.channels.go_live(ROOM, back, hub.encoder)
    closed.open = False
    hub.leap(9.0)
    heard = [subscriber.heard for subscriber in (gone, back, closed, stays)]
    assert heard == [["low 1"], ["low 1"], ["low 1"], ["low 1", "low 2 late"]]


def test_the_last_listener_leaves(hub: HubBench) -> None:
    """With the channel forgotten nothing of it is sent, and nothing breaks."""
    subscriber = hub.listener()
    publish(hub, "low 1", "low 2")
    hub.channels.leave(ROOM, subscriber)
    again = hub.listener()
    hub.leap(9.0)
    assert (subscriber.heard, again.heard) == (["low 1"], [])


def test_one_that_is_on_its_way_in_is_sent_it_after(hub: HubBench) -> None:
    """Who subscribes again is not written to before its answer."""
    subscriber = hub.listener()
    publish(hub, "low 1", "low 2")
    hub.channels.leave(ROOM, subscriber, returning=True)
    hub.channels.join(ROOM, subscriber)
    hub.leap(2.1)
    assert subscriber.heard == ["low 1"]
    hub.channels.go_live(ROOM, subscriber, hub.encoder)
    hub.leap(3.0)
    assert subscriber.heard == ["low 1", "low 2 late"]


def test_what_was_recovered_is_not_sent_late(hub: HubBench) -> None:
    """The answer with what was missed is newer than what was kept of the same kind."""
    subscriber = hub.listener()
    publish(hub, "low 1", "low 2")
    delivered = hub.words.said[0]
    assert hub.channels.apply_cooldown(ROOM, subscriber, [delivered], []) == ()
    hub.leap(9.0)
    assert subscriber.heard == ["low 1"]


def test_what_came_while_it_joined_is_kept_too(hub: HubBench) -> None:
    """A cooldown begins with the answer; what it leaves out of the rest comes late."""
    subscriber = hub.listener()
    publish(hub, "low 1")
    first = hub.words.said[0]
    assert hub.channels.apply_cooldown(ROOM, subscriber, [first], [first]) == ()
    hub.leap(2.0)
    assert subscriber.heard == ["low 1", "low 1 late"]


def test_a_dialect_without_a_word_for_it_is_sent_nothing_late(hub: HubBench) -> None:
    """Its listeners are told the number with the next one, as before."""
    plain = Encoder("plain", Payload(), wire.PLAIN.text, lambda: 0.007)
    subscriber = hub.listener(encoder=plain)
    publish(hub, "low 1", "low 2")
    hub.leap(9.0)
    assert subscriber.heard == ["low 1"]
    publish(hub, "low 3")
    assert subscriber.heard == ["low 1", "low 3+1"]
    assert len(hub.channels.late) == 0


def test_what_cannot_be_said_late_stops_nothing(hub: HubBench) -> None:
    """The others are sent theirs."""
    breaks = Encoder("breaks", Payload(" late"), wire.PLAIN.text, lambda: 0.007, late=True)
    ann, bob = hub.listener(encoder=breaks), hub.listener(OTHER)
    publish(hub, "low 1", "poison")
    publish(hub, "low 1", "low 2", channel=OTHER)
    hub.leap(2.0)
    assert (ann.heard, bob.heard) == ([" latelow 1"], ["low 1", "low 2 late"])
    assert len(hub.watch.errors) == 1


def test_thousands_are_sent_by_one_deadline(hub: HubBench) -> None:
    """However many wait, the wheel is asked for a moment, and holds nothing of them."""
    ears: list[FakeSubscriber] = [hub.listener() for _ in range(200)]
    for kind in "abcdefgh":
        publish(hub, "low 1", "low 2", kind=kind)
    assert len(hub.channels.late) == 1600
    hub.leap(2.0)
    assert {len(subscriber.heard) for subscriber in ears} == {16}
    assert len(hub.channels.late) == 0


def test_one_that_is_judged_again_is_sent_it_after(hub: HubBench) -> None:
    """While rights are judged again nothing is sent late either; afterwards the cooldown still counts."""
    subscriber, other = hub.listener(), hub.listener()
    publish(hub, "low 1", "low 2")
    hub.channels.withhold(ROOM, subscriber)
    hub.leap(2.1)
    assert (subscriber.heard, other.heard) == (["low 1"], ["low 1", "low 2 late"])
    assert hub.channels.release(ROOM, subscriber)
    hub.leap(3.0)
    assert subscriber.heard == ["low 1", "low 2 late"]


def test_what_was_kept_back_is_subject_to_the_cooldown(hub: HubBench) -> None:
    """Of what came while rights were judged again the cooldown lets through what it would have."""
    subscriber, other = hub.listener(), hub.listener()
    hub.channels.withhold(ROOM, subscriber)
    publish(hub, "low 1", "low 2", "high 3", "low 4")
    assert hub.channels.release(ROOM, subscriber)
    assert subscriber.heard == other.heard == ["low 1", "high 3+1"]
