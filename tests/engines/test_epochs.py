"""Epochs of channels that have no stream yet, as engines of one process compute them."""

from portward.engines.epochs import GROUPS, NextEpochs
from portward.model.channel import Channel
from portward.model.position import Position
from portward.model.publication import HistoryQuery

CHANNELS = [Channel.parse(f"alerts:c{number}") for number in range(200)]


def test_an_epoch_lasts_and_is_the_channels_own() -> None:
    """It follows from the store's secret and the channel."""
    epochs = NextEpochs("secret")
    made = [epochs.of(channel) for channel in CHANNELS]
    assert made == [NextEpochs("secret").of(channel) for channel in CHANNELS]
    assert len(set(made)) == len(CHANNELS)
    assert set(made).isdisjoint(NextEpochs("another").of(channel) for channel in CHANNELS)


def test_the_next_stream_has_another() -> None:
    """Each end of a stream changes the channel's epoch, and those of few other channels."""
    epochs = NextEpochs("secret")
    before = [epochs.of(channel) for channel in CHANNELS]
    seen = {before[0]}
    for _ in range(100):
        epochs.end(CHANNELS[0])
        seen.add(epochs.of(CHANNELS[0]))
    assert len(seen) == 101
    changed = sum(epochs.of(channel) != old for channel, old in zip(CHANNELS, before, strict=True))
    assert 1 <= changed <= 5


def test_counts_are_bounded() -> None:
    """However many streams end, there are no more counts than groups."""
    epochs = NextEpochs("secret")
    for number in range(2 * GROUPS):
        epochs.end(Channel.parse(f"alerts:{number}"))
    assert GROUPS // 2 < len(epochs.ended) <= GROUPS
    assert "secret" not in repr(epochs)


def test_an_answer_without_a_stream() -> None:
    """Only the channel's own position is continued."""
    epochs = NextEpochs("secret")
    channel = CHANNELS[0]
    own = Position(0, epochs.of(channel))
    asked = [None, own, Position(1, own.epoch), Position(0, "x"), Position(0, "")]
    pages = [epochs.page(channel, HistoryQuery(limit=9, since=since)) for since in asked]
    assert [page.complete for page in pages] == [True, True, False, False, False]
    assert {page.position for page in pages} == {own}
