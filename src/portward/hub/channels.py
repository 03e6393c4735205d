"""Channels with listeners on this node, and the fan-out to them.

What arrives for a channel within one turn of the loop leaves together: `deliver` and `announce` only
note it, and one scheduled `flush` encodes it once per voice and writes it once per listener.

A channel is told without a gap and without a repeat: `deliver` takes nothing but the publication that
is next in line. A listener whose answer reached further than that is ahead, and spared what it has.
"""

from collections.abc import Callable, Iterable
from typing import Final, NamedTuple, Protocol

from msgspec.structs import replace

from portward.hub.cooldown import Cooldown
from portward.hub.voice import Voice
from portward.model.channel import Channel
from portward.model.position import Position
from portward.model.publication import Publication
from portward.model.replies import Delivery, Push, Signalled
from portward.wire import message as wire
from portward.wire.message import Message


class Outlet(Protocol):
    """Where a listener is written to: a link as the hub sees it."""

    open: bool

    def write(self, message: Message, channel: Channel | None = None) -> None:
        """Send or queue. Never raises."""

    def drop(self, channel: Channel) -> None:
        """Forget what is queued for the channel."""


class Observer(Protocol):
    """Who is told about fan-outs."""

    def fanned_out(
        self, channel: Channel, publications: int, deliveries: int, seconds: float
    ) -> None:
        """One flush of one channel wrote `deliveries` publications in all."""

    def said(self, voice: Voice, push: Push, message: Message, listeners: int) -> None:
        """A push was encoded for one voice, and is being written to so many listeners."""

    def unspeakable(self, channel: Channel, error: Exception) -> None:
        """A push could not be encoded for one voice; the others got it."""


class Traits(NamedTuple):
    """How a family of channels is told.

    With `latest_only` a listener that reads slowly is spared older values of a key, instead of being
    closed for them.
    """

    cooldown: Cooldown | None = None
    latest_only: bool = False


PLAIN: Final = Traits()


class Arrival(NamedTuple):
    """A publication as the bus brought it."""

    publication: Publication
    epoch: str
    exclude: Outlet | None = None


class _Newcomer:
    """What is collected for an outlet on its way in: everything after the position `floor`."""

    __slots__ = ("floor", "pushes")

    def __init__(self, floor: Position | None) -> None:
        self.floor = floor
        self.pushes: list[Push] = []


_NOTHING: Final = 0
"""No publication has this offset: none is next in line."""


class ChannelState:
    """One channel with at least one listener, or with one on the way.

    `next` and `epoch` say which publication is next in line. No epoch: the first one that comes.
    """

    __slots__ = (
        "ahead", "channel", "cooldown", "epoch", "groups", "held", "joining", "latest_only", "next",
        "offset", "pending", "size",
    )  # fmt: skip

    def __init__(self, channel: Channel, traits: Traits) -> None:
        self.channel = channel
        self.cooldown = traits.cooldown
        self.latest_only = traits.latest_only
        self.groups: dict[Voice, dict[Outlet, None]] = {}
        self.joining: dict[Outlet, _Newcomer] = {}
        self.pending: list[tuple[Push, tuple[Outlet, ...]]] = []
        self.ahead: dict[Outlet, int] = {}
        self.held: list[Arrival] | None = None
        self.offset = self.next = _NOTHING
        self.epoch = ""
        self.size = 0

    @property
    def position(self) -> Position | None:
        """The position of the last publication that was told."""
        if not self.epoch:
            return None
        return Position(self.offset if self.held is not None else self.next - 1, self.epoch)

    def move(self, position: Position) -> None:
        """Go on after `position`, whatever lies between."""
        if position.epoch != self.epoch:
            self.ahead.clear()
        self.epoch, self.offset = position.epoch, position.offset
        self.next = position.offset + 1 if self.held is None else _NOTHING
        for newcomer in self.joining.values():
            newcomer.floor = position

    def spared(self, offset: int, exclude: Outlet | None) -> tuple[Outlet, ...]:
        """Who is not told the publication with this offset."""
        self.ahead = {outlet: known for outlet, known in self.ahead.items() if known >= offset}
        return (*self.ahead, exclude) if exclude is not None else tuple(self.ahead)


class Channels:
    """The listeners of every channel.

    `schedule` runs a callable at the end of the current turn of the loop (`loop.call_soon`); `now`
    reads monotonic seconds; `traits` says how the family of a channel is told.
    """

    def __init__(
        self,
        schedule: Callable[[Callable[[], None]], object],
        observer: Observer,
        now: Callable[[], float],
        traits: Callable[[Channel], Traits] = lambda _: PLAIN,
    ) -> None:
        self._traits = traits
        self._states: dict[Channel, ChannelState] = {}
        self._dirty: list[ChannelState] = []
        self._schedule = schedule
        self._observer = observer
        self._now = now

    def __len__(self) -> int:
        return len(self._states)

    def names(self) -> Iterable[Channel]:
        """The channels somebody here listens to."""
        return tuple(self._states)

    def size(self, channel: Channel) -> int:
        """How many connections of this node listen to `channel`."""
        state = self._states.get(channel)
        return state.size if state is not None else 0

    def position(self, channel: Channel) -> Position | None:
        """The position up to which listeners here were told, None while nothing is known of it."""
        state = self._states.get(channel)
        return state.position if state is not None else None

    def listeners(self, channel: Channel) -> tuple[Outlet, ...]:
        """Every outlet that listens to `channel`, those still joining included."""
        state = self._states.get(channel)
        if state is None:
            return ()
        settled = (outlet for group in state.groups.values() for outlet in group)
        return (*settled, *state.joining)

    # -- coming and going

    def join(self, channel: Channel, outlet: Outlet) -> bool:
        """Begin to collect what arrives for `outlet`. Returns True for the node's first listener."""
        state = self._states.get(channel)
        first = state is None
        if state is None:
            state = self._states[channel] = ChannelState(channel, self._traits(channel))
        state.joining[outlet] = _Newcomer(state.position)
        state.size += 1
        return first

    def follows(self, channel: Channel, outlet: Outlet, position: Position) -> bool:
        """Whether what is collected for `outlet` goes on where `position` ends, without a gap."""
        state = self._states[channel]
        floor = state.joining[outlet].floor
        if not state.epoch or floor is None:
            return True
        return state.epoch == position.epoch and position.offset >= floor.offset

    def settle(
        self, channel: Channel, outlet: Outlet, voice: Voice, position: Position | None = None
    ) -> list[Push]:
        """End the collecting: return what arrived meanwhile, and write to `outlet` from now on.

        What is pending in this turn is flushed first, so that nothing is both returned and written.
        `position` is where its answer ends; what arrives here up to there it is not told again.
        """
        state = self._states[channel]
        self._flush(state)
        collected = state.joining.pop(outlet).pushes
        state.groups.setdefault(voice, {})[outlet] = None
        if position is not None and position.epoch:
            self._place(state, outlet, position)
        return collected

    @staticmethod
    def _place(state: ChannelState, outlet: Outlet, position: Position) -> None:
        known = state.position
        if known is None:
            state.move(position)
        elif known.epoch == position.epoch and known.offset < position.offset:
            state.ahead[outlet] = position.offset

    def spare(
        self, channel: Channel, outlet: Outlet, missed: Iterable[Push], later: Iterable[Push]
    ) -> tuple[Push, ...]:
        """What `outlet` is to be told of `later`, having been told all that it missed."""
        cooldown = self._states[channel].cooldown
        if cooldown is None:
            return tuple(later)
        for push in missed:
            cooldown.passes(outlet, push)
        judged = ((push, cooldown.passes(outlet, push)) for push in later)
        return tuple(_counted(push, spared) for push, spared in judged if spared is not None)

    def leave(
        self, channel: Channel, outlet: Outlet, *, drop: bool = True, returning: bool = False
    ) -> bool:
        """Write to `outlet` no more; with `drop` not even what is queued.

        One that is `returning` at once is not told again what it was told a moment ago.

        Returns True after the node's last listener of the channel.
        """
        state = self._states.get(channel)
        if state is None:
            return False
        if self._remove(state, outlet):
            state.size -= 1
            if drop:
                outlet.drop(channel)
            if state.cooldown is not None and not returning:
                state.cooldown.forget(outlet)
        if state.size or returning:
            return False
        del self._states[channel]
        return True

    @staticmethod
    def _remove(state: ChannelState, outlet: Outlet) -> bool:
        state.ahead.pop(outlet, None)
        if state.joining.pop(outlet, None) is not None:
            return True
        for voice, group in state.groups.items():
            if outlet in group:
                del group[outlet]
                if not group:
                    del state.groups[voice]
                return True
        return False

    # -- the line

    def held(self, channel: Channel) -> list[Arrival] | None:
        """What waits until a gap before it is closed; None while the channel is told as things come."""
        state = self._states.get(channel)
        return state.held if state is not None else None

    def hold(self, channel: Channel, held: list[Arrival]) -> None:
        """Tell no publication of the channel until `resume`; `held` is the list for what comes."""
        state = self._states[channel]
        state.offset = state.next - 1
        state.held, state.next = held, _NOTHING

    def resume(self, channel: Channel) -> None:
        """Tell publications again as they come."""
        state = self._states[channel]
        state.held, state.next = None, state.offset + 1

    def move(self, channel: Channel, position: Position) -> None:
        """Go on after `position`, whatever lies between."""
        self._states[channel].move(position)

    def reached(self, channel: Channel, outlet: Outlet, position: Position) -> bool:
        """Whether a listener was told everything up to `position` by its answer already."""
        state = self._states[channel]
        return state.epoch == position.epoch and state.ahead.get(outlet, -1) >= position.offset

    # -- telling

    def deliver(
        self,
        channel: Channel,
        publication: Publication,
        epoch: str,
        exclude: Outlet | None = None,
    ) -> bool:
        """Note a publication for everyone who listens, except the outlet `exclude`.

        False when it is not next in line: it was not noted.
        """
        state = self._states.get(channel)
        if state is None:
            return True
        offset = publication.offset
        if offset != state.next or epoch != state.epoch:
            if state.epoch:
                return False
            state.move(Position(offset - 1, epoch))
        state.next = offset + 1
        spared: tuple[Outlet, ...] = () if exclude is None else (exclude,)
        if state.ahead:
            spared = state.spared(offset, exclude)
        self._note(state, Delivery(channel=channel, publication=publication, epoch=epoch), spared)
        return True

    def announce(self, channel: Channel, push: Push, exclude: Outlet | None = None) -> None:
        """Note something that has no position. A later signal of a user replaces an earlier one."""
        state = self._states.get(channel)
        if state is None:
            return
        if isinstance(push, Signalled):
            state.pending = [entry for entry in state.pending if not _supersedes(push, entry[0])]
        self._note(state, push, () if exclude is None else (exclude,))

    def _note(self, state: ChannelState, push: Push, spared: tuple[Outlet, ...]) -> None:
        for outlet, newcomer in state.joining.items():
            if outlet not in spared:
                newcomer.pushes.append(push)
        state.pending.append((push, spared))
        if len(state.pending) == 1:
            if not self._dirty:
                self._schedule(self.flush)
            self._dirty.append(state)

    def flush(self) -> None:
        """Write everything that is pending."""
        dirty, self._dirty = self._dirty, []
        for state in dirty:
            self._flush(state)

    def _flush(self, state: ChannelState) -> None:
        pending, state.pending = state.pending, []
        if not pending or not state.groups:
            return
        began = self._now()
        publications = sum(type(push) is Delivery for push, _ in pending)
        written = 0
        for voice, group in list(state.groups.items()):
            if state.cooldown is None:
                written += self._write(state, voice, group, pending) * publications
            else:
                written += self._write_spared(state, state.cooldown, voice, group, pending)
        if publications:
            self._observer.fanned_out(state.channel, publications, written, self._now() - began)

    def _write(
        self,
        state: ChannelState,
        voice: Voice,
        group: dict[Outlet, None],
        pending: list[tuple[Push, tuple[Outlet, ...]]],
    ) -> int:
        channel = state.channel
        said = self._say(state, voice, pending, len(group))
        if not said:
            return 0
        if state.latest_only:
            for outlet in tuple(group):
                _write_rest(said, outlet, channel)
            return len(group)
        excluded = {outlet for _, spared in said for outlet in spared}
        message = wire.join([each for each, _ in said])
        for outlet in tuple(group):
            if outlet.open:
                if outlet not in excluded:
                    outlet.write(message, channel)
                else:
                    _write_rest(said, outlet, channel)
        return len(group)

    def _write_spared(
        self,
        state: ChannelState,
        cooldown: Cooldown,
        voice: Voice,
        group: dict[Outlet, None],
        pending: list[tuple[Push, tuple[Outlet, ...]]],
    ) -> int:
        """Write to each listener what its cooldown lets through, encoded once per count left out."""
        written = 0
        for push, excluded in pending:
            told: dict[int, list[Outlet]] = {}
            for outlet in group:
                if outlet.open and outlet not in excluded:
                    spared = cooldown.passes(outlet, push)
                    if spared is not None:
                        told.setdefault(spared, []).append(outlet)
            for spared, outlets in told.items():
                heard = self._tell(state, voice, _counted(push, spared), outlets)
                written += heard if type(push) is Delivery else 0
        return written

    def _tell(self, state: ChannelState, voice: Voice, push: Push, outlets: list[Outlet]) -> int:
        """Write one push to some of a group; to how many it was."""
        said = self._say(state, voice, [(push, ())], len(outlets))
        for message, _ in said:
            for outlet in outlets:
                outlet.write(message, state.channel)
        return len(said) * len(outlets)

    def _say(
        self,
        state: ChannelState,
        voice: Voice,
        pending: list[tuple[Push, tuple[Outlet, ...]]],
        listeners: int,
    ) -> list[tuple[Message, tuple[Outlet, ...]]]:
        said = []
        for push, spared in pending:
            try:
                message = voice.say(push)
            except Exception as error:  # noqa: BLE001 - one message must not stop the others
                self._observer.unspeakable(state.channel, error)
                continue
            if message is not None:
                self._observer.said(voice, push, message, listeners)
                if state.latest_only and isinstance(push, Delivery) and push.publication.key:
                    message = wire.keyed(message, push.publication.key)
                said.append((message, spared))
        return said


def _counted(push: Push, spared: int) -> Push:
    return replace(push, suppressed=spared) if spared and isinstance(push, Delivery) else push


def _supersedes(push: Signalled, earlier: Push) -> bool:
    return (
        isinstance(earlier, Signalled) and earlier.user == push.user and earlier.name == push.name
    )


def _write_rest(
    said: list[tuple[Message, tuple[Outlet, ...]]], outlet: Outlet, channel: Channel
) -> None:
    for message, spared in said:
        if outlet.open and outlet not in spared:
            outlet.write(message, channel)
