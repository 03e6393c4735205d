from hypothesis import given
from hypothesis import strategies as st

from portward.model.channel import Channel
from portward.model.limits import OUTBOX_AGE, OUTBOX_BYTES, OUTBOX_COUNT
from portward.wire import message
from portward.wire.send_queue import SendQueue

ONE, TWO = Channel("a:one"), Channel("a:two")


def frames(outbox: SendQueue) -> bytes:
    """Everything queued, as one."""
    return b"".join(outbox.frames())


def test_messages_wait_in_order() -> None:
    """What is queued first is handed out first, and the sizes add up."""
    outbox = SendQueue()
    assert outbox.push(message.text(b"one"), ONE, 0.0, 0)
    assert outbox.push(message.join([message.text(b"2"), message.text(b"3")]), TWO, 0.0, 0)

    assert frames(outbox) == b"\x81\x03one\x81\x012\x81\x013"
    assert (len(outbox), outbox.size, outbox.weight) == (2, 11, 3)


def test_the_bound_on_bytes_counts_the_new_message_and_what_is_ahead() -> None:
    """A message that would not fit is not queued."""
    outbox = SendQueue()
    large = message.binary(bytes(OUTBOX_BYTES - 100))

    assert not outbox.push(large, None, 0.0, 101)
    assert outbox.push(large, None, 0.0, 80)
    assert not outbox.push(message.text(b"x" * 20), None, 0.0, 80)
    assert len(outbox) == 1


def test_the_bound_on_publications_counts_each_of_a_joined_message() -> None:
    """A joined message weighs as much as what was joined."""
    outbox = SendQueue()
    pair = message.join([message.text(b""), message.text(b"")])
    for _ in range(OUTBOX_COUNT // 2):
        assert outbox.push(pair, None, 0.0, 0)

    assert not outbox.push(message.text(b""), None, 0.0, 0)


def test_a_queue_whose_head_is_too_old_takes_nothing() -> None:
    """Age is judged by the oldest message."""
    outbox = SendQueue()
    assert outbox.push(message.text(b"old"), None, 5.0, 0)

    assert not outbox.stale(5.0 + OUTBOX_AGE)
    assert outbox.stale(5.1 + OUTBOX_AGE)
    assert not outbox.push(message.text(b"new"), None, 5.1 + OUTBOX_AGE, 0)


def test_an_empty_queue_is_never_stale() -> None:
    """Without a message there is no age."""
    assert not SendQueue().stale(1e9)


def test_dropping_a_channel_leaves_the_others() -> None:
    """Queued messages of one channel are forgotten, and no longer counted."""
    outbox = SendQueue()
    for channel in (ONE, TWO, None, ONE):
        outbox.push(message.text(b"x"), channel, 0.0, 0)

    outbox.drop(ONE)

    assert (len(outbox), outbox.size, outbox.weight) == (2, 6, 2)


def test_clearing_forgets_everything() -> None:
    """An emptied queue has room again."""
    outbox = SendQueue()
    outbox.push(message.text(b"x"), ONE, 0.0, 0)

    outbox.clear()

    assert (len(outbox), outbox.size, outbox.weight) == (0, 0, 0)
    assert outbox.frames() == []


def test_no_more_frames_are_handed_out_than_one_system_call_takes() -> None:
    """A long queue is handed out in parts."""
    outbox = SendQueue()
    for number in range(600):
        outbox.push(message.text(str(number).encode()), None, 0.0, 0)

    assert len(outbox.frames()) == 512
    assert outbox.sent(sum(len(frame) for frame in outbox.frames())) == b""
    assert outbox.frames()[0] == b"\x81\x03512"


def test_a_newer_value_of_a_key_takes_the_place_of_the_older() -> None:
    """Of two messages with one key in one channel only the later is kept, at the end of the queue."""
    outbox = SendQueue()
    for text, key, channel in [("a1", "a", ONE), ("b1", "b", ONE), ("a1", "a", TWO)]:
        outbox.push(message.with_conflation_key(message.text(text.encode()), key), channel, 0.0, 0)

    assert outbox.push(message.with_conflation_key(message.text(b"a2"), "a"), ONE, 0.0, 0)

    assert [frame[2:] for frame in outbox.frames()] == [b"b1", b"a1", b"a2"]
    assert (outbox.weight, outbox.size) == (3, len(frames(outbox)))


def test_messages_without_a_key_are_all_kept() -> None:
    """Nothing replaces an ordinary message."""
    outbox = SendQueue()
    for _ in range(3):
        outbox.push(message.text(b"x"), ONE, 0.0, 0)

    assert len(outbox) == 3


@given(st.lists(st.binary(max_size=300), max_size=20), st.data())
def test_whatever_is_taken_the_rest_follows_exactly(
    payloads: list[bytes], data: st.DataObject
) -> None:
    """After any number of bytes, the cut frame's rest and the queue make up what is left."""
    outbox = SendQueue()
    for payload in payloads:
        outbox.push(message.binary(payload), None, 0.0, 0)
    everything = frames(outbox)
    count = data.draw(st.integers(0, len(everything)))

    rest = outbox.sent(count)

    assert rest + frames(outbox) == everything[count:]
    assert outbox.size == len(frames(outbox))
    assert outbox.weight == len(outbox)
