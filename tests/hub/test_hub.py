"""The fan-out: encoded once, written once, to everyone who listens and to nobody else."""

import pytest

from portward.hub.channel_state import BusMessage, DeliveryOptions
from portward.hub.cooldown import Cooldown
from portward.hub.encoder import Encoder
from portward.model.limits import OUTBOX_COUNT
from portward.model.position import Position
from portward.model.publication import Publication
from portward.model.replies import Delivery, Joined, Push
from portward.wire import message as wire
from tests.hub.subscribers import (
    OTHER,
    ROOM,
    EncodingBroke,
    FakeSubscriber,
    HubBench,
    Payload,
    spoken,
)


@pytest.fixture
def hub() -> HubBench:
    """Channels nobody listens to."""
    return HubBench()


def words(pushes: list[Push]) -> list[str]:
    """What was collected for a newcomer."""
    return [spoken(push) for push in pushes]


# -- telling


def test_one_encoding_for_all(hub: HubBench) -> None:
    """However many listen, a publication is put into words once, and all get the same object."""
    ears = [hub.listener() for _ in range(50)]
    hub.publish("x")
    hub.turn()
    assert len(hub.words.said) == 1
    assert {id(subscriber.writes[0]) for subscriber in ears} == {id(ears[0].writes[0])}
    assert all(subscriber.channels == [ROOM] for subscriber in ears)
    assert hub.watch.encoded == [(hub.encoder, 50)]


def test_one_encoding_per_voice(hub: HubBench) -> None:
    """Listeners of different endpoints are told in their own words, each encoded once."""
    loud = Payload("!")
    encoder = Encoder("loud", loud, wire.PLAIN.text, lambda: 0.007)
    first, second = hub.listener(), hub.listener(encoder=encoder)
    third = hub.listener(encoder=encoder)
    hub.publish("x")
    hub.turn()
    assert (first.heard, second.heard, third.heard) == (["x"], ["!x"], ["!x"])
    assert len(hub.words.said) == len(loud.said) == 1


def test_one_write_per_turn(hub: HubBench) -> None:
    """What comes within one turn leaves in one write per listener, in order."""
    subscriber = hub.listener()
    for number in range(5):
        hub.publish(number)
    assert subscriber.writes == []
    assert len(hub.scheduled) == 1
    hub.turn()
    assert len(subscriber.writes) == 1
    assert subscriber.heard == ["0", "1", "2", "3", "4"]
    hub.publish("next")
    hub.turn()
    assert len(subscriber.writes) == 2


def test_one_turn_for_all_channels(hub: HubBench) -> None:
    """One scheduled call serves every channel that has something to say."""
    first, second = hub.listener(), hub.listener(OTHER)
    hub.publish("a")
    hub.publish("b", OTHER)
    assert len(hub.scheduled) == 1
    hub.turn()
    assert (first.heard, second.heard) == (["a"], ["b"])
    hub.turn()
    assert hub.scheduled == []


def test_nobody_listens(hub: HubBench) -> None:
    """What nobody listens to costs nothing."""
    hub.publish("x")
    hub.signal("ann", active=True)
    assert hub.scheduled == []
    assert hub.channels.position(ROOM) is None


def test_closed_outlets_are_skipped(hub: HubBench) -> None:
    """An outlet whose close has begun is written nothing more."""
    ears = [hub.listener() for _ in range(3)]
    ears[1].open = False
    hub.publish("x")
    hub.turn()
    assert [subscriber.heard for subscriber in ears] == [["x"], [], ["x"]]


def test_exclusion(hub: HubBench) -> None:
    """The one left out hears everything else of the turn, and the others hear it all together."""
    ann, bob = hub.listener(), hub.listener()
    hub.publish("a")
    hub.publish("b", exclude=ann)
    hub.publish("c", exclude=bob)
    hub.turn()
    assert (ann.heard, bob.heard) == (["a", "c"], ["a", "b"])


def test_excluding_somebody_who_does_not_listen(hub: HubBench) -> None:
    """Leaving out an outlet that is not there leaves nobody out."""
    ann = hub.listener()
    hub.publish("a", exclude=FakeSubscriber())
    hub.turn()
    assert ann.heard == ["a"]


def test_no_word_for_it(hub: HubBench) -> None:
    """What a dialect has no word for is not told, and nothing is written for it alone."""
    subscriber = hub.listener()
    hub.publish("unheard")
    hub.turn()
    assert subscriber.writes == []
    hub.publish("unheard")
    hub.publish("x")
    hub.turn()
    assert subscriber.heard == ["x"]


def test_poison_is_isolated(hub: HubBench) -> None:
    """What one dialect cannot say is left out for its listeners alone, and reported."""
    other = Encoder("other", Payload("!"), wire.PLAIN.text, lambda: 0.007)
    first, second = hub.listener(), hub.listener(encoder=other)
    for word in ("a", "poison", "poison!", "b"):
        hub.publish(word)
    hub.turn()
    assert first.heard == ["a", "poison!", "b"]
    assert second.heard == ["!a", "!poison", "!b"]
    assert [channel for channel, _ in hub.watch.errors] == [ROOM] * 2
    assert all(isinstance(error, EncodingBroke) for _, error in hub.watch.errors)


def test_everything_poisoned(hub: HubBench) -> None:
    """When nothing of a turn can be said nothing is written, and the next turn is as ever."""
    subscriber = hub.listener()
    hub.publish("poison")
    hub.turn()
    hub.publish("x")
    hub.turn()
    assert (subscriber.heard, len(subscriber.writes)) == (["x"], 1)


def test_observer_is_told(hub: HubBench) -> None:
    """Each flush reports its publications, their deliveries and its time; signals are no publications."""
    for _ in range(3):
        hub.listener()
    hub.publish("a")
    hub.publish("b")
    hub.signal("ann", active=True)
    hub.turn()
    assert hub.watch.fan_outs == [(ROOM, 2, 6, 0.0)]
    hub.signal("ann", active=False)
    hub.turn()
    assert len(hub.watch.fan_outs) == 1


# -- signals


def test_later_signal_replaces_an_earlier(hub: HubBench) -> None:
    """Of the signals of one user and name in one turn the last is told, at its own place."""
    subscriber = hub.listener()
    hub.signal("ann", active=True)
    hub.signal("bob", active=True)
    hub.publish("x")
    hub.signal("ann", active=False)
    hub.turn()
    assert subscriber.heard == ["bob:typing:True", "x", "ann:typing:False"]


def test_signal_that_replaces_the_only_one(hub: HubBench) -> None:
    """Replacing the only thing pending is told once."""
    subscriber = hub.listener()
    for active in (True, False, True):
        hub.signal("ann", active=active)
    hub.turn()
    assert subscriber.heard == ["ann:typing:True"]


def test_arrivals_do_not_replace_each_other(hub: HubBench) -> None:
    """Only signals are coalesced."""
    subscriber = hub.listener()
    for user in ("ann", "ann"):
        hub.channels.announce(ROOM, Joined(channel=ROOM, user=user))
    hub.turn()
    assert subscriber.heard == ["Joined", "Joined"]


# -- coming


def test_joining_collects(hub: HubBench) -> None:
    """From `join` to `settle` everything is collected; after it everything is written."""
    hub.listener()
    subscriber = FakeSubscriber()
    hub.publish("before")
    assert hub.channels.join(ROOM, subscriber) is False
    hub.publish("during")
    hub.signal("ann", active=True)
    hub.turn()
    hub.publish("same turn")
    assert words(hub.channels.go_live(ROOM, subscriber, hub.encoder)) == [
        "during",
        "ann:typing:True",
        "same turn",
    ]
    assert subscriber.heard == []
    hub.publish("after")
    hub.turn()
    assert subscriber.heard == ["after"]


def test_settling_flushes_what_is_pending(hub: HubBench) -> None:
    """What was collected is written to the others before, not to the newcomer again."""
    other, subscriber = hub.listener(), FakeSubscriber()
    hub.channels.join(ROOM, subscriber)
    hub.publish("x")
    collected = hub.channels.go_live(ROOM, subscriber, hub.encoder)
    assert (words(collected), other.heard) == (["x"], ["x"])
    hub.turn()
    assert (subscriber.heard, other.heard) == ([], ["x"])


def test_collecting_leaves_the_excluded_out(hub: HubBench) -> None:
    """A newcomer does not collect what is not for it."""
    subscriber = FakeSubscriber()
    hub.channels.join(ROOM, subscriber)
    hub.publish("x", exclude=subscriber)
    hub.publish("y")
    assert words(hub.channels.go_live(ROOM, subscriber, hub.encoder)) == ["y"]


def test_first_listener(hub: HubBench) -> None:
    """The first who joins a channel is told so, and after the last has left it is the first again."""
    ears = [FakeSubscriber() for _ in range(2)]
    assert [hub.channels.join(ROOM, subscriber) for subscriber in ears] == [True, False]
    assert [hub.channels.leave(ROOM, subscriber) for subscriber in ears] == [False, True]
    assert hub.channels.join(ROOM, ears[0]) is True


# -- going


def test_leaving(hub: HubBench) -> None:
    """Who left is written nothing more, not even what was pending, and its queue is dropped."""
    ann, bob = hub.listener(), hub.listener()
    hub.publish("x")
    assert hub.channels.leave(ROOM, ann) is False
    hub.turn()
    assert (ann.heard, bob.heard, ann.dropped) == ([], ["x"], [ROOM])


def test_leaving_with_the_queue_kept(hub: HubBench) -> None:
    """On a polite end what is queued is still written."""
    ann = hub.listener()
    assert hub.channels.leave(ROOM, ann, drop=False) is True
    assert ann.dropped == []


def test_leaving_while_joining(hub: HubBench) -> None:
    """Who leaves before it has settled is forgotten."""
    subscriber = FakeSubscriber()
    hub.channels.join(ROOM, subscriber)
    assert hub.channels.leave(ROOM, subscriber) is True
    assert len(hub.channels) == 0


def test_leaving_twice(hub: HubBench) -> None:
    """Leaving what one is not in changes nothing."""
    ann, bob = hub.listener(), hub.listener()
    hub.channels.leave(ROOM, ann)
    assert hub.channels.leave(ROOM, ann) is False
    assert hub.channels.leave(OTHER, bob) is False
    assert hub.channels.size(ROOM) == 1


def test_last_one_leaves_with_something_pending(hub: HubBench) -> None:
    """A channel that lost its last listener in a turn says nothing at its end."""
    ann = hub.listener()
    hub.publish("x")
    hub.channels.leave(ROOM, ann)
    bob = hub.listener()
    hub.turn()
    assert (ann.heard, bob.heard) == ([], [])


def test_leaving_from_within_a_write(hub: HubBench) -> None:
    """An outlet that leaves while it is written to keeps nobody else from hearing."""
    ears = [hub.listener() for _ in range(5)]
    ears[1].then = lambda: hub.channels.leave(ROOM, ears[1])
    hub.publish("x")
    hub.turn()
    hub.publish("y")
    hub.turn()
    assert [subscriber.heard for subscriber in ears] == [["x", "y"], ["x"], *[["x", "y"]] * 3]


def test_all_leaving_from_within_a_write(hub: HubBench) -> None:
    """A flush survives that its whole channel is gone before it ends."""
    ears = [hub.listener() for _ in range(3)]

    def leave() -> None:
        for subscriber in ears:
            hub.channels.leave(ROOM, subscriber)

    ears[0].then = leave
    hub.publish("x")
    hub.turn()
    assert len(hub.channels) == 0


# -- looking


def test_what_is_known(hub: HubBench) -> None:
    """Names, sizes, listeners and positions are those of now."""
    settled, joining = hub.listener(), FakeSubscriber()
    hub.channels.join(ROOM, joining)
    assert list(hub.channels.names()) == [ROOM]
    assert hub.channels.size(ROOM) == 2
    assert hub.channels.size(OTHER) == 0
    assert hub.channels.listeners(ROOM) == (settled, joining)
    assert hub.channels.listeners(OTHER) == ()
    assert hub.channels.position(ROOM) is None
    hub.publish("x")
    assert hub.channels.position(ROOM) == Position(1, "e")


# -- the line


def place(hub: HubBench, offset: int, epoch: str = "e") -> bool:
    """Whether a publication with this offset is taken."""
    publication = Publication(id="i", offset=offset, time=0, data=offset)
    return hub.channels.deliver(ROOM, publication, epoch)


def handshake(hub: HubBench, offset: int, epoch: str = "e") -> FakeSubscriber:
    """An outlet whose answer ends at this offset."""
    subscriber = FakeSubscriber()
    hub.channels.join(ROOM, subscriber)
    hub.channels.go_live(ROOM, subscriber, hub.encoder, Position(offset, epoch))
    return subscriber


def test_first_one_is_taken(hub: HubBench) -> None:
    """While nothing is known of a channel's position, any publication is the first."""
    subscriber = hub.listener()
    assert place(hub, 7)
    hub.turn()
    assert (subscriber.heard, hub.channels.position(ROOM)) == (["7"], Position(7, "e"))


@pytest.mark.parametrize(("offset", "epoch"), [(3, "e"), (2, "e"), (5, "e"), (4, "f"), (1, "f")])
def test_only_the_next_is_taken(hub: HubBench, offset: int, epoch: str) -> None:
    """A repeat, one after a gap and one of another epoch are not told, and change nothing."""
    subscriber = handshake(hub, 3)
    assert not place(hub, offset, epoch)
    assert place(hub, 4)
    hub.turn()
    assert subscriber.heard == ["4"]


def test_position_of_an_answer(hub: HubBench) -> None:
    """The first answer says where a channel is; an empty one says nothing."""
    assert handshake(hub, 0, "").heard == []
    assert hub.channels.position(ROOM) is None
    handshake(hub, 3)
    handshake(hub, 2)
    handshake(hub, 9, "f")
    assert hub.channels.position(ROOM) == Position(3, "e")


def test_who_is_ahead_is_spared(hub: HubBench) -> None:
    """A listener is not told again what its answer held; the others, and signals, are not kept back."""
    behind, ahead = handshake(hub, 1), handshake(hub, 3)
    assert hub.channels.position(ROOM) == Position(1, "e")
    for offset in (2, 3, 4):
        assert place(hub, offset)
    hub.signal("ann", active=True)
    hub.turn()
    assert behind.heard == ["2", "3", "4", "ann:typing:True"]
    assert ahead.heard == ["4", "ann:typing:True"]


def test_ahead_and_excluded(hub: HubBench) -> None:
    """Being ahead and being left out go together."""
    first, second, third = handshake(hub, 0), handshake(hub, 1), handshake(hub, 0)
    hub.publish("x", exclude=first)
    hub.publish("y")
    hub.turn()
    assert (first.heard, second.heard, third.heard) == (["y"], ["y"], ["x", "y"])


def test_who_was_ahead_and_comes_back(hub: HubBench) -> None:
    """Leaving ends being ahead."""
    handshake(hub, 0)
    subscriber = handshake(hub, 5)
    hub.channels.leave(ROOM, subscriber)
    hub.channels.join(ROOM, subscriber)
    hub.channels.go_live(ROOM, subscriber, hub.encoder, Position(0, "e"))
    assert place(hub, 1)
    hub.turn()
    assert subscriber.heard == ["1"]


def test_what_is_collected_follows_the_answer(hub: HubBench) -> None:
    """It does unless something was lost between, or the stream is another one."""
    handshake(hub, 3)
    subscriber = FakeSubscriber()
    hub.channels.join(ROOM, subscriber)
    ends = [Position(2, "e"), Position(3, "e"), Position(9, "e"), Position(3, "f")]
    assert [hub.channels.follows(ROOM, subscriber, each) for each in ends] == [
        False,
        True,
        True,
        False,
    ]
    hub.channels.move(ROOM, Position(5, "f"))
    ends = [Position(4, "f"), Position(5, "f"), Position(9, "e")]
    assert [hub.channels.follows(ROOM, subscriber, each) for each in ends] == [False, True, False]


def test_too_much_is_collected(hub: HubBench) -> None:
    """Of too much the rest is left out: the answer is not continued, and the outlet joins once more."""
    other = handshake(hub, 0)
    subscriber = FakeSubscriber()
    hub.channels.join(ROOM, subscriber)
    for offset in range(1, OUTBOX_COUNT + 1):
        assert place(hub, offset)
    assert hub.channels.follows(ROOM, subscriber, Position(0, "e"))
    for offset in range(OUTBOX_COUNT + 1, OUTBOX_COUNT + 4):
        assert place(hub, offset)
    for position in (Position(0, "e"), Position(OUTBOX_COUNT + 3, "e")):
        assert not hub.channels.follows(ROOM, subscriber, position)
    collected = hub.channels.go_live(ROOM, subscriber, hub.encoder, Position(0, "e"))
    assert [spoken(push) for push in collected] == [str(n + 1) for n in range(OUTBOX_COUNT)]
    assert len(other.heard) == OUTBOX_COUNT + 3
    hub.channels.leave(ROOM, subscriber)
    hub.channels.join(ROOM, subscriber)
    assert hub.channels.follows(ROOM, subscriber, Position(OUTBOX_COUNT + 3, "e"))


def test_anything_follows_the_unknown(hub: HubBench) -> None:
    """While nothing is known any answer will do; once something came it must reach that far."""
    subscriber = FakeSubscriber()
    hub.channels.join(ROOM, subscriber)
    assert hub.channels.follows(ROOM, subscriber, Position(1, "e"))
    assert place(hub, 7)
    assert not hub.channels.follows(ROOM, subscriber, Position(5, "e"))
    assert hub.channels.follows(ROOM, subscriber, Position(6, "e"))


def test_holding(hub: HubBench) -> None:
    """A channel that is held takes nothing, keeps its position, and goes on where it was."""
    subscriber = handshake(hub, 3)
    assert hub.channels.paused(ROOM) is None
    assert hub.channels.paused(OTHER) is None
    held: list[BusMessage] = []
    hub.channels.pause(ROOM, held)
    assert hub.channels.paused(ROOM) is held
    assert not place(hub, 4)
    assert hub.channels.position(ROOM) == Position(3, "e")
    hub.channels.resume(ROOM)
    assert hub.channels.paused(ROOM) is None
    assert place(hub, 4)
    hub.turn()
    assert subscriber.heard == ["4"]


def test_moving_while_held(hub: HubBench) -> None:
    """A held channel can be moved; it goes on from there."""
    handshake(hub, 3)
    hub.channels.pause(ROOM, [])
    hub.channels.move(ROOM, Position(8, "f"))
    assert not place(hub, 9, "f")
    hub.channels.resume(ROOM)
    assert place(hub, 9, "f")


def test_who_has_reached_a_position(hub: HubBench) -> None:
    """Only who is ahead as far as that, in the same epoch."""
    plain, ahead = handshake(hub, 1), handshake(hub, 4)
    there = Position(4, "e")
    assert [hub.channels.already_delivered(ROOM, each, there) for each in (plain, ahead)] == [
        False,
        True,
    ]
    assert not hub.channels.already_delivered(ROOM, ahead, Position(5, "e"))
    assert not hub.channels.already_delivered(ROOM, ahead, Position(4, "f"))
    hub.channels.move(ROOM, Position(0, "f"))
    hub.channels.move(ROOM, Position(0, "e"))
    assert not hub.channels.already_delivered(ROOM, ahead, there)


# -- sparing


@pytest.fixture
def sparing() -> HubBench:
    """Channels with a cooldown of two seconds."""
    return cooling()


def cooling() -> HubBench:
    """Make them: the clock of the cooldown is the hub's own."""
    hubs: list[HubBench] = []
    hubs.append(HubBench(DeliveryOptions(cooldown=Cooldown(2.0, lambda: hubs[0].time))))
    return hubs[0]


def test_cooldown_per_listener(sparing: HubBench) -> None:
    """Each listener is told a type once in the time, with the count of what it was spared."""
    hub = sparing
    early = hub.listener()
    hub.publish("a", kind="k")
    hub.turn()
    late = hub.listener()
    hub.publish("b", kind="k")
    hub.publish("c", kind="other")
    hub.turn()
    hub.time = 2.0
    hub.publish("d", kind="k")
    hub.turn()
    assert early.heard == ["a", "c", "d+1"]
    assert late.heard == ["b", "c", "d"]


def test_cooldown_spares_no_signals(sparing: HubBench) -> None:
    """Signals are told all the same."""
    subscriber = sparing.listener()
    for active in (True, False):
        sparing.signal("ann", active=active)
        sparing.turn()
    assert len(subscriber.heard) == 2


def test_cooldown_counts_only_what_is_told(sparing: HubBench) -> None:
    """Who was left out of a publication, or is closed, has not been told its type."""
    hub = sparing
    ann, bob = hub.listener(), hub.listener()
    hub.publish("a", kind="k", exclude=ann)
    hub.turn()
    bob.open = False
    hub.publish("b", kind="k")
    hub.turn()
    assert (ann.heard, bob.heard) == (["b"], ["a"])


def test_cooldown_and_poison(sparing: HubBench) -> None:
    """What cannot be said is left out for those with a cooldown, too."""
    subscriber = sparing.listener()
    for word in ("poison", "unheard"):
        sparing.publish(word, kind=word)
    sparing.publish("x", kind="k")
    sparing.turn()
    assert subscriber.heard == ["x"]


def test_cooldown_forgets_who_left(sparing: HubBench) -> None:
    """Who comes back is told from the beginning."""
    hub = sparing
    hub.listener()
    subscriber = hub.listener()
    hub.publish("a", kind="k")
    hub.turn()
    hub.channels.leave(ROOM, subscriber)
    hub.channels.join(ROOM, subscriber)
    hub.channels.go_live(ROOM, subscriber, hub.encoder)
    hub.publish("b", kind="k")
    hub.turn()
    assert subscriber.heard == ["a", "b"]


def delivery(hub: HubBench, data: object, kind: str) -> Push:
    """What a newcomer missed, or what was collected for it."""
    hub.offset += 1
    publication = Publication(id="i", offset=hub.offset, time=0, data=data, type=kind)
    return Delivery(channel=ROOM, publication=publication, epoch="e")


def test_a_newcomer_is_spared_what_it_was_just_told(sparing: HubBench) -> None:
    """What was missed is told in full and starts the time; what came meanwhile is spared, and counted."""
    hub = sparing
    subscriber = hub.listener()
    missed = [delivery(hub, "a", "k"), delivery(hub, "b", "k")]
    later = [delivery(hub, "c", "k"), delivery(hub, "d", "l")]
    assert words(list(hub.channels.apply_cooldown(ROOM, subscriber, missed, later))) == ["d"]
    hub.time = 2.0
    assert words(
        list(hub.channels.apply_cooldown(ROOM, subscriber, [], [delivery(hub, "e", "k")]))
    ) == ["e+1"]


def test_without_a_cooldown_nothing_is_spared(hub: HubBench) -> None:
    """A newcomer is told all that came meanwhile."""
    subscriber = hub.listener()
    same = [delivery(hub, "a", "k")]
    assert words(list(hub.channels.apply_cooldown(ROOM, subscriber, same, same))) == ["a"]


def test_cooldown_and_leaving_from_within_a_write(sparing: HubBench) -> None:
    """An outlet that leaves while it is written to keeps nobody else from hearing."""
    ears = [sparing.listener() for _ in range(3)]
    ears[0].then = lambda: sparing.channels.leave(ROOM, ears[0])
    sparing.publish("x", kind="k")
    sparing.publish("y", kind="l")
    sparing.turn()
    assert [subscriber.heard for subscriber in ears[1:]] == [["x", "y"]] * 2


# -- the latest only


def test_latest_only_is_written_apart() -> None:
    """Where only the latest of a key counts each publication is a write with its key."""
    hub = HubBench(DeliveryOptions(latest_only=True))
    ann, bob = hub.listener(), hub.listener()
    hub.publish("a", key="k")
    hub.publish("b", key="k", exclude=ann)
    hub.publish("c")
    bob.open = True
    hub.turn()
    assert (ann.heard, bob.heard) == (["a", "c"], ["a", "b", "c"])
    assert [message.key for message in bob.writes] == ["k", "k", None]


def test_latest_only_skips_the_closed() -> None:
    """An outlet that closes in the middle of a turn is written nothing more of it."""
    hub = HubBench(DeliveryOptions(latest_only=True))
    subscriber = hub.listener()

    def close() -> None:
        subscriber.open = False

    subscriber.then = close
    hub.publish("a", key="k")
    hub.publish("b", key="k")
    hub.turn()
    assert subscriber.heard == ["a"]


def test_cooldown_and_what_is_counted(sparing: HubBench) -> None:
    """Deliveries and messages are as many as were written, whoever was spared."""
    hub = sparing
    early = hub.listener()
    hub.publish("a", kind="k")
    hub.turn()
    hub.listener()
    hub.publish("b", kind="k")
    hub.publish("c", kind="l")
    hub.publish("unheard", kind="m")
    hub.signal("ann", active=True)
    hub.turn()
    hub.time = 2.0
    hub.publish("d", kind="k")
    hub.publish("e", kind="k")
    hub.turn()
    assert early.heard == ["a", "c", "ann:typing:True", "d+1"]
    assert [fan_out[1:3] for fan_out in hub.watch.fan_outs] == [(1, 1), (3, 3), (2, 2)]
    assert [listeners for _, listeners in hub.watch.encoded] == [1, 1, 2, 2, 1, 1]


# -- while rights are judged again


def test_withholding(hub: HubBench) -> None:
    """What is kept back is written in order when it is released, encoded for the one; others do not wait."""
    subscriber, other = hub.listener(), hub.listener()
    hub.publish("before")
    hub.channels.withhold(ROOM, subscriber)
    hub.channels.withhold(ROOM, subscriber)
    hub.publish("a")
    hub.signal("ann", active=True)
    hub.turn()
    hub.publish("b")
    assert (subscriber.heard, other.heard) == (["before"], ["before", "a", "ann:typing:True"])
    assert hub.channels.release(ROOM, subscriber)
    assert subscriber.heard == other.heard == ["before", "a", "ann:typing:True", "b"]
    hub.publish("after")
    hub.turn()
    assert subscriber.heard == other.heard == ["before", "a", "ann:typing:True", "b", "after"]
    assert set(subscriber.channels) == {ROOM}


def test_withholding_leaves_out_what_is_left_out(hub: HubBench) -> None:
    """One that is excluded, or ahead, is not written to at the release either."""
    subscriber = handshake(hub, 0)
    ahead = handshake(hub, 2)
    for each in (subscriber, ahead):
        hub.channels.withhold(ROOM, each)
    hub.publish("1", exclude=subscriber)
    hub.publish("2")
    hub.publish("3", exclude=subscriber)
    hub.turn()
    for each in (subscriber, ahead):
        assert hub.channels.release(ROOM, each)
    assert (subscriber.heard, ahead.heard) == (["2"], ["3"])


def test_withholding_ends_with_leaving(hub: HubBench) -> None:
    """What was kept back from one that left is written nowhere, also when it comes again."""
    subscriber = hub.listener()
    hub.listener()
    hub.channels.withhold(ROOM, subscriber)
    hub.publish("a")
    hub.channels.leave(ROOM, subscriber)
    assert hub.channels.release(ROOM, subscriber)
    hub.channels.join(ROOM, subscriber)
    hub.channels.withhold(ROOM, subscriber)
    hub.channels.go_live(ROOM, subscriber, hub.encoder)
    hub.publish("b")
    hub.turn()
    assert subscriber.heard == ["b"]


def test_withholding_is_bounded(hub: HubBench) -> None:
    """Of too much nothing is written, and the release says so."""
    subscriber = hub.listener()
    hub.channels.withhold(ROOM, subscriber)
    for number in range(OUTBOX_COUNT + 1):
        hub.publish(number)
    assert not hub.channels.release(ROOM, subscriber)
    assert subscriber.heard == []
    assert hub.channels.release(ROOM, subscriber)


def test_withholding_one_that_is_closed(hub: HubBench) -> None:
    """One whose connection ended meanwhile is written nothing."""
    subscriber = hub.listener()
    hub.channels.withhold(ROOM, subscriber)
    hub.publish("a")
    subscriber.open = False
    assert hub.channels.release(ROOM, subscriber)
    assert subscriber.heard == []


def test_withholding_where_nobody_is(hub: HubBench) -> None:
    """Of a channel without listeners nothing is kept back, and nothing is released."""
    hub.channels.withhold(ROOM, FakeSubscriber())
    assert hub.channels.release(ROOM, FakeSubscriber())
    assert len(hub.channels) == 0
