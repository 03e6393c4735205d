"""Epochs of channels without a record, as engines of one process make them."""

from portward.engines.empty import GROUPS, EmptyEpochs
from portward.model.channel import Channel
from portward.model.position import Position

CHANNELS = [Channel.parse(f"alerts:c{number}") for number in range(200)]


def test_an_epoch_lasts_and_is_the_channels_own() -> None:
    """It follows from the store and the channel, and looks like one of an empty channel."""
    epochs = EmptyEpochs("secret")
    made = [epochs.of(channel) for channel in CHANNELS]
    assert made == [EmptyEpochs("secret").of(channel) for channel in CHANNELS]
    assert len(set(made)) == len(CHANNELS)
    assert all(Position(0, epoch).empty for epoch in made)
    assert not Position(1, made[0]).empty
    assert set(made).isdisjoint(EmptyEpochs("another").of(channel) for channel in CHANNELS)


def test_the_next_life_has_another() -> None:
    """Each drop changes the channel's epoch, and those of few others."""
    epochs = EmptyEpochs("secret")
    before = [epochs.of(channel) for channel in CHANNELS]
    seen = {before[0]}
    for _ in range(100):
        epochs.dropped(CHANNELS[0])
        seen.add(epochs.of(CHANNELS[0]))
    assert len(seen) == 101
    changed = sum(epochs.of(channel) != old for channel, old in zip(CHANNELS, before, strict=True))
    assert 1 <= changed <= 5


def test_memory_is_bounded() -> None:
    """However many channels were dropped, the numbers stay as many as there are groups."""
    epochs = EmptyEpochs("secret")
    for number in range(20_000):
        epochs.dropped(Channel.parse(f"alerts:{number}"))
    assert len(epochs.numbers) <= GROUPS
    assert "secret" not in repr(epochs)
