"""The logic of positions, against a model: a channel that is published to, cut, and begun anew."""

from hypothesis import given, settings
from hypothesis import strategies as st

from portward.client.positions import Deliver, Load, Missed, PositionTracker
from portward.model.position import Position
from tests.examples import examples

STEPS = st.lists(
    st.one_of(
        st.just("publish"),
        st.just("repeat"),
        st.just("cut"),
        st.just("join"),
        st.just("trim"),
        st.just("restart"),
        st.just("loaded"),
    ),
    max_size=80,
)


class Channel:
    """The truth: what was published in which epoch, and what a gateway would still have of it."""

    def __init__(self) -> None:
        self.epoch = 0
        self.offset = 0
        self.kept_from = 0

    @property
    def position(self) -> Position:
        """The place where the channel stands."""
        return Position(self.offset, str(self.epoch))


class Application:
    """What comes out of a tracker: the items in order, with gaps and loads between them."""

    def __init__(self, *, loads: bool) -> None:
        self.tracker: PositionTracker[tuple[str, int]] = PositionTracker(loads=loads, most_held=5)
        self.seen: list[tuple[str, int]] = []
        self.covered: list[Position] = []
        self.gaps: list[Missed] = []
        self.pending: Position | None = None
        self.entries: list[tuple[int, int]] = []
        """Where deliveries begin: at the first entry, and after each gap."""

    def apply(self, actions: object) -> None:
        """Do what the tracker says."""
        for action in actions:  # type: ignore[attr-defined]
            if isinstance(action, Deliver):
                self.seen.append(action.item)
            elif isinstance(action, Load):
                self.pending = action.position
            else:
                self.gaps.append(action)


class Play:
    """Plays steps on a channel and an application that follows it."""

    def __init__(self, *, loads: bool) -> None:
        self.channel = Channel()
        self.application = Application(loads=loads)
        self.tracker = self.application.tracker
        self.connected = False

    def publish(self) -> None:
        """Something is published."""
        self.channel.offset += 1
        self.repeat()

    def repeat(self) -> None:
        """The newest message comes, perhaps again."""
        if self.connected and self.channel.offset:
            item = (str(self.channel.epoch), self.channel.offset)
            self.application.apply(self.tracker.received(self.channel.offset, item))

    def cut(self) -> None:
        """The connection breaks."""
        self.connected = False

    def restart(self) -> None:
        """The channel begins anew."""
        self.cut()
        self.channel.epoch += 1
        self.channel.offset = self.channel.kept_from = 0

    def trim(self) -> None:
        """Nothing of what was published is kept."""
        self.channel.kept_from = self.channel.offset

    def join(self) -> None:
        """The client connects and enters the channel."""
        if self.connected:
            return
        self.connected = True
        channel, since = self.channel, self.tracker.position
        recovered: bool | None = None
        items: list[tuple[int, tuple[str, int]]] = []
        if since is not None:
            same = since.epoch == str(channel.epoch)
            recovered = same and since.offset >= channel.kept_from
            if recovered:
                missed = range(since.offset + 1, channel.offset + 1)
                items = [(offset, (str(channel.epoch), offset)) for offset in missed]
        gaps = len(self.application.gaps)
        self.application.apply(self.tracker.entered(channel.position, recovered, items))
        if since is None or len(self.application.gaps) > gaps:
            self.application.entries.append((channel.epoch, channel.offset))

    def loaded(self) -> None:
        """The application has its state."""
        if self.application.pending is not None:
            self.application.covered.append(self.application.pending)
            self.application.pending = None
            self.application.apply(self.tracker.loaded())


def run(steps: list[str], *, loads: bool) -> tuple[Channel, Application]:
    """Play the steps; at the end the client is connected and has its state."""
    play = Play(loads=loads)
    for step in [*steps, "join", "loaded"]:
        getattr(play, step)()
    return play.channel, play.application


@settings(max_examples=examples(100), deadline=None)
@given(STEPS)
def test_each_once_in_order_or_in_a_gap(steps: list[str]) -> None:
    """Without state every message since the first entry is delivered once, in order, or lies in a gap."""
    channel, application = run(steps, loads=False)
    numbered = [(int(epoch), offset) for epoch, offset in application.seen]
    assert numbered == sorted(set(numbered))
    for gap in application.gaps:
        assert gap.start is not None
        assert gap.end is not None
        inside = [
            item
            for item in numbered
            if (int(gap.start.epoch), gap.start.offset)
            < item
            <= (int(gap.end.epoch), gap.end.offset)
        ]
        assert inside == []
    delivered = set(numbered)
    # Every message of the present epoch since the latest entry that was a gap, or the first one.
    here = [int(offset) for epoch, offset in application.entries if epoch == channel.epoch]
    begin = here[-1] if here else None
    if begin is not None:
        expected = {(channel.epoch, offset) for offset in range(begin + 1, channel.offset + 1)}
        assert expected <= delivered
    assert application.tracker.position == channel.position


@settings(max_examples=examples(100), deadline=None)
@given(STEPS)
def test_state_and_what_follows_are_whole(steps: list[str]) -> None:
    """With state there is no gap: the last state, and what was delivered after it, is everything."""
    channel, application = run(steps, loads=True)
    assert application.gaps == []
    assert not application.tracker.loading
    state = application.covered[-1]
    after = [
        offset
        for epoch, offset in application.seen
        if epoch == str(channel.epoch) == state.epoch and offset > state.offset
    ]
    assert state.epoch == str(channel.epoch)
    assert after == list(range(state.offset + 1, channel.offset + 1))


def test_too_many_held_messages_load_again() -> None:
    """More held messages than there is room for are dropped, and the state is loaded from there."""
    tracker: PositionTracker[int] = PositionTracker(loads=True, most_held=2)
    assert tracker.entered(Position(0, "e"), None) == [Load(Position(0, "e"))]
    assert [tracker.received(offset, offset) for offset in (1, 2)] == [[], []]
    assert tracker.received(3, 3) == [Load(Position(3, "e"))]
    assert tracker.received(4, 4) == []
    assert tracker.loaded() == [Deliver(4)]


def test_before_the_first_entry() -> None:
    """A message of a channel that was not entered is dropped."""
    tracker: PositionTracker[int] = PositionTracker()
    assert tracker.received(1, 1) == []
    assert tracker.loaded(Position(1, "e")) == []
    tracker.entered(Position(3, "e"), None)
    tracker.forget()
    assert tracker.position is None


def test_entered_again_without_an_answer_about_recovery() -> None:
    """Where the gateway does not say whether it recovered, only an unmoved position is no gap."""
    tracker: PositionTracker[int] = PositionTracker()
    tracker.entered(Position(3, "e"), None)
    assert tracker.entered(Position(3, "e"), None) == []
    assert tracker.entered(Position(4, "e"), None) == [Missed(Position(3, "e"), Position(4, "e"))]
