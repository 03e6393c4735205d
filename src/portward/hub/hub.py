"""The hub: channels with subscribers on this node, and the fan-out to them.

All pushes that arrive for a channel within one turn of the event loop are written together: `deliver` and
`announce` only store them, and one scheduled `flush` encodes them once per encoder and writes them once
per subscriber.

Delivery has no gap and no duplicate: `deliver` accepts only the next publication of the stream. A
subscriber whose reply already covers later offsets is "ahead": it does not get those offsets again.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Final, Protocol

from msgspec.structs import replace

from portward.hub.channel_state import (
    NO_OFFSET,
    PLAIN,
    BusMessage,
    ChannelState,
    DeliveryOptions,
    Joining,
    Subscriber,
)
from portward.hub.cooldown import Cooldown
from portward.hub.encoder import Encoder
from portward.hub.late import Due, LateQueue
from portward.model.channel import Channel
from portward.model.position import Position
from portward.model.publication import Publication
from portward.model.replies import Delivery, Push, Signalled
from portward.wire import message as wire
from portward.wire.message import WireMessage

_UNSCHEDULED: Final = -1
"""The `slot` of a hub that is not on the timer wheel."""
_SETTLES: Final = 0.5
"""Seconds until a due publication is tried again for a subscriber that is still joining."""


class Observer(Protocol):
    """Receives the counts and errors of fan-outs."""

    def fanned_out(
        self, channel: Channel, publications: int, deliveries: int, seconds: float
    ) -> None:
        """Report a flush of one channel: `deliveries` is the number of publications written in all."""

    def on_encoded(self, encoder: Encoder, push: Push, message: WireMessage, count: int) -> None:
        """Report a push that was encoded for one encoder and is written to `count` subscribers."""

    def encode_failed(self, channel: Channel, error: Exception) -> None:
        """Report a push that one encoder could not encode; other encoders are not affected."""


class Hub:
    """The subscribers of every channel; implements `node.sessions.timer_wheel.Timed` for late publications.

    `schedule` runs a callable at the end of the current turn of the event loop (`loop.call_soon`); `now`
    returns monotonic seconds; `options` returns the delivery settings of a channel; `schedule_at` schedules
    a call of `fire` at a moment (`TimerWheel.schedule_at`).
    """

    def __init__(
        self,
        schedule: Callable[[Callable[[], None]], object],
        observer: Observer,
        now: Callable[[], float],
        options: Callable[[Channel], DeliveryOptions] = lambda _: PLAIN,
        schedule_at: "Callable[[Hub, float], None]" = lambda *_: None,
    ) -> None:
        self.slot = _UNSCHEDULED
        self._options = options
        self._schedule_at = schedule_at
        self._states: dict[Channel, ChannelState] = {}
        self._dirty: list[ChannelState] = []
        self._schedule = schedule
        self._observer = observer
        self._now = now
        self.late: LateQueue[ChannelState] = LateQueue()

    def __len__(self) -> int:
        return len(self._states)

    def names(self) -> Iterable[Channel]:
        """Return the channels with subscribers on this node."""
        return tuple(self._states)

    def size(self, channel: Channel) -> int:
        """Return how many connections of this node subscribe to `channel`."""
        state = self._states.get(channel)
        return state.size if state is not None else 0

    def position(self, channel: Channel) -> Position | None:
        """Return the position up to which `channel` was delivered here; None while it is unknown."""
        state = self._states.get(channel)
        return state.position if state is not None else None

    def listeners(self, channel: Channel) -> tuple[Subscriber, ...]:
        """Return every subscriber of `channel`, joining ones included."""
        state = self._states.get(channel)
        if state is None:
            return ()
        settled = (subscriber for group in state.groups.values() for subscriber in group)
        return (*settled, *state.joining)

    # -- joining and leaving

    def join(self, channel: Channel, subscriber: Subscriber) -> bool:
        """Start to collect pushes for `subscriber`. Returns True for the first subscriber on the node."""
        state = self._states.get(channel)
        first = state is None
        if state is None:
            state = self._states[channel] = ChannelState(channel, self._options(channel))
            if state.cooldown is not None:
                state.late = self.late.of(state)
        state.joining[subscriber] = Joining(state.position)
        state.size += 1
        return first

    def follows(self, channel: Channel, subscriber: Subscriber, position: Position) -> bool:
        """Return whether the pushes collected for `subscriber` continue after `position` without a gap."""
        state = self._states[channel]
        floor = state.joining[subscriber].floor
        if state.joining[subscriber].overflown:
            return False
        if not state.epoch or floor is None:
            return True
        return state.epoch == position.epoch and position.offset >= floor.offset

    def go_live(
        self,
        channel: Channel,
        subscriber: Subscriber,
        encoder: Encoder,
        position: Position | None = None,
    ) -> list[Push]:
        """Return the collected pushes, and write to `subscriber` from now on.

        Pending pushes of this turn are flushed first, so that none is both returned and written. `position`
        is where the reply to `subscriber` ends: publications up to it are not written again.
        """
        state = self._states[channel]
        self._flush(state)
        collected = state.joining.pop(subscriber).pushes
        state.groups.setdefault(encoder, {})[subscriber] = None
        if position is not None and position.epoch:
            self._place(state, subscriber, position)
        return collected

    @staticmethod
    def _place(state: ChannelState, subscriber: Subscriber, position: Position) -> None:
        known = state.position
        if known is None:
            state.move(position)
        elif known.epoch == position.epoch and known.offset < position.offset:
            state.ahead[subscriber] = position.offset

    def apply_cooldown(
        self,
        channel: Channel,
        subscriber: Subscriber,
        missed: Iterable[Push],
        later: Iterable[Push],
    ) -> tuple[Push, ...]:
        """Return the part of `later` that the cooldown lets through, after all of `missed` was sent."""
        state = self._states[channel]
        cooldown = state.cooldown
        if cooldown is None:
            return tuple(later)
        queue = state.queue(state.encoder(subscriber))
        for push in missed:
            cooldown.record_written(subscriber, push, queue)
        admitted = [(push, cooldown.admit(subscriber, push, queue)) for push in later]
        self._schedule_at(self, self.late.next)
        return tuple(_counted(push, spared) for push, spared in admitted if spared is not None)

    def leave(
        self,
        channel: Channel,
        subscriber: Subscriber,
        *,
        drop: bool = True,
        returning: bool = False,
    ) -> bool:
        """Stop writing to `subscriber`; with `drop` its queued messages are removed too.

        With `returning` (it subscribes again at once) the state and the cooldowns of the channel are kept.

        Returns True after the last subscriber of the node left the channel.
        """
        state = self._states.get(channel)
        if state is None:
            return False
        if self._remove(state, subscriber):
            state.size -= 1
            if drop:
                subscriber.drop(channel)
            if state.cooldown is not None and not returning:
                state.cooldown.forget(subscriber)
        if state.size or returning:
            return False
        del self._states[channel]
        return True

    @staticmethod
    def _remove(state: ChannelState, subscriber: Subscriber) -> bool:
        state.ahead.pop(subscriber, None)
        state.withheld.pop(subscriber, None)
        if state.joining.pop(subscriber, None) is not None:
            return True
        for encoder, group in state.groups.items():
            if subscriber in group:
                del group[subscriber]
                if not group:
                    del state.groups[encoder]
                return True
        return False

    # -- while rights are checked again

    def withhold(self, channel: Channel, subscriber: Subscriber) -> None:
        """Withhold new pushes from `subscriber` until `release`, or until it leaves."""
        state = self._states.get(channel)
        if state is not None and state.encoder(subscriber) is not None:
            state.withheld.setdefault(subscriber, Joining(None))

    def release(self, channel: Channel, subscriber: Subscriber) -> bool:
        """Write the withheld pushes to `subscriber`. Returns False when too many arrived: some are lost."""
        state = self._states.get(channel)
        kept = state.withheld.pop(subscriber, None) if state is not None else None
        if state is None or kept is None:
            return True
        self._flush(state)
        encoder = state.encoder(subscriber)
        if kept.overflown or encoder is None:
            return False
        written, began = 0, self._now()
        for push in (
            self.apply_cooldown(channel, subscriber, (), kept.pushes) if subscriber.open else ()
        ):
            count = self._write_to(state, encoder, push, [subscriber])
            written += count if type(push) is Delivery else 0
        if written:
            self._observer.fanned_out(channel, 0, written, self._now() - began)
        return True

    # -- order of publications

    def paused(self, channel: Channel) -> list[BusMessage] | None:
        """Return the publications held until a gap is repaired; None while the channel is not paused."""
        state = self._states.get(channel)
        return state.held if state is not None else None

    def pause(self, channel: Channel, held: list[BusMessage]) -> None:
        """Deliver no publication of the channel until `resume`; new ones are collected in `held`."""
        state = self._states[channel]
        state.offset = state.next - 1
        state.held, state.next = held, NO_OFFSET

    def resume(self, channel: Channel) -> None:
        """Deliver publications again as they arrive."""
        state = self._states[channel]
        state.held, state.next = None, state.offset + 1

    def move(self, channel: Channel, position: Position) -> None:
        """Continue the stream after `position`, and skip what lies between."""
        self._states[channel].move(position)

    def already_delivered(
        self, channel: Channel, subscriber: Subscriber, position: Position
    ) -> bool:
        """Return whether the reply to a subscriber already covered everything up to `position`."""
        state = self._states[channel]
        return state.epoch == position.epoch and state.ahead.get(subscriber, -1) >= position.offset

    # -- fan-out

    def deliver(
        self,
        channel: Channel,
        publication: Publication,
        epoch: str,
        exclude: Subscriber | None = None,
    ) -> bool:
        """Queue a publication for all subscribers except `exclude`.

        Returns False, and queues nothing, when it is not the next one of the stream.
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
        spared: tuple[Subscriber, ...] = () if exclude is None else (exclude,)
        # These subscribers got this offset with the reply to their subscribe command.
        if state.ahead:
            spared = state.excluded(offset, exclude)
        self._note(state, Delivery(channel=channel, publication=publication, epoch=epoch), spared)
        return True

    def announce(self, channel: Channel, push: Push, exclude: Subscriber | None = None) -> None:
        """Queue a push that has no position. A later signal of the same user and name replaces an earlier."""
        state = self._states.get(channel)
        if state is None:
            return
        if isinstance(push, Signalled):
            state.pending = [entry for entry in state.pending if not _supersedes(push, entry[0])]
        self._note(state, push, () if exclude is None else (exclude,))

    def _note(self, state: ChannelState, push: Push, spared: tuple[Subscriber, ...]) -> None:
        for subscriber, handshake in state.joining.items():
            if subscriber not in spared:
                handshake.add(push)
        if state.withheld:
            spared = state.withhold(push, spared)
        state.pending.append((push, spared))
        if len(state.pending) == 1:
            if not self._dirty:
                self._schedule(self.flush)
            self._dirty.append(state)

    def flush(self) -> None:
        """Write all pending pushes."""
        dirty, self._dirty = self._dirty, []
        for state in dirty:
            self._flush(state)

    def _flush(self, state: ChannelState) -> None:
        pending, state.pending = state.pending, []
        if not pending or not state.groups:
            return
        began = self._now()
        publications = 0
        for push, _ in pending:
            publications += type(push) is Delivery
        written = 0
        for encoder, group in list(state.groups.items()):
            if state.cooldown is None:
                written += self._write(state, encoder, group, pending) * publications
            else:
                written += self._write_spared(state, state.cooldown, encoder, group, pending)
        if publications:
            self._observer.fanned_out(state.channel, publications, written, self._now() - began)

    def _write(
        self,
        state: ChannelState,
        encoder: Encoder,
        group: dict[Subscriber, None],
        pending: list[tuple[Push, tuple[Subscriber, ...]]],
    ) -> int:
        channel = state.channel
        encoded = self._encode(state, encoder, pending, len(group))
        if not encoded:
            return 0
        if state.latest_only:
            for subscriber in tuple(group):
                _write_each(encoded, subscriber, channel)
            return len(group)
        message, excluded = encoded[0] if len(encoded) == 1 else _joined(encoded)
        for subscriber in tuple(group):
            if subscriber.open:
                if subscriber not in excluded:
                    subscriber.write(message, channel)
                else:
                    _write_each(encoded, subscriber, channel)
        return len(group)

    def _write_spared(
        self,
        state: ChannelState,
        cooldown: Cooldown,
        encoder: Encoder,
        group: dict[Subscriber, None],
        pending: list[tuple[Push, tuple[Subscriber, ...]]],
    ) -> int:
        """Write what the cooldown of each subscriber lets through, encoded once per number suppressed."""
        written, queue = 0, state.queue(encoder)
        for push, excluded in pending:
            groups: dict[int, list[Subscriber]] = {}
            for subscriber in group:
                if subscriber.open and subscriber not in excluded:
                    spared = cooldown.admit(subscriber, push, queue)
                    if spared is not None:
                        groups.setdefault(spared, []).append(subscriber)
            for spared, subscribers in groups.items():
                written_now = self._write_to(state, encoder, _counted(push, spared), subscribers)
                written += written_now if type(push) is Delivery else 0
        self._schedule_at(self, self.late.next)
        return written

    def fire(self, now: float, *, late: bool) -> float:  # noqa: ARG002 - the wheel's
        """Send publications whose cooldown has ended; return when `fire` must be called next."""
        due = self.late.take(now)
        if due:
            self._send_late(due, now)
        return self.late.next

    def _send_late(self, due: Sequence[Due[ChannelState]], now: float) -> None:
        """Send publications whose cooldown has ended, to subscribers that have not left."""
        groups: dict[tuple[ChannelState, Encoder, str, int], tuple[Delivery, list[Subscriber]]] = {}
        for entry in due:
            state, subscriber = entry.state, entry.listener
            encoder = state.encoder(subscriber)
            if encoder is None or state.cooldown is None or subscriber in state.withheld:
                if subscriber in state.joining or subscriber in state.withheld:
                    self.late.put(entry, now + _SETTLES)
                continue
            push = state.cooldown.late(entry.window)
            if push is not None and subscriber.open:
                publication = push.publication
                key = (state, encoder, publication.id, push.suppressed)
                groups.setdefault(key, (push, []))[1].append(subscriber)
        for (state, encoder, _, _), (push, subscribers) in groups.items():
            written = self._write_to(state, encoder, push, subscribers)
            self._observer.fanned_out(state.channel, 0, written, self._now() - now)

    def _write_to(
        self, state: ChannelState, encoder: Encoder, push: Push, subscribers: list[Subscriber]
    ) -> int:
        """Write one push to some subscribers of a group. Returns how many got it."""
        encoded = self._encode(state, encoder, [(push, ())], len(subscribers))
        for message, _ in encoded:
            for subscriber in subscribers:
                subscriber.write(message, state.channel)
        return len(encoded) * len(subscribers)

    def _encode(
        self,
        state: ChannelState,
        encoder: Encoder,
        pending: list[tuple[Push, tuple[Subscriber, ...]]],
        listeners: int,
    ) -> list[tuple[WireMessage, tuple[Subscriber, ...]]]:
        encoded = []
        for push, spared in pending:
            try:
                message = encoder.encode(push)
            except Exception as error:  # noqa: BLE001 - one message must not stop the others
                self._observer.encode_failed(state.channel, error)
                continue
            if message is not None:
                self._observer.on_encoded(encoder, push, message, listeners)
                if state.latest_only and isinstance(push, Delivery) and push.publication.key:
                    message = wire.with_conflation_key(message, push.publication.key)
                encoded.append((message, spared))
        return encoded


def _joined(
    encoded: list[tuple[WireMessage, tuple[Subscriber, ...]]],
) -> tuple[WireMessage, frozenset[Subscriber]]:
    """Join messages into one, with the subscribers that do not get all of them."""
    excluded = frozenset(subscriber for _, spared in encoded for subscriber in spared)
    return wire.join([each for each, _ in encoded]), excluded


def _counted(push: Push, spared: int) -> Push:
    return replace(push, suppressed=spared) if spared and isinstance(push, Delivery) else push


def _supersedes(push: Signalled, earlier: Push) -> bool:
    return (
        isinstance(earlier, Signalled) and earlier.user == push.user and earlier.name == push.name
    )


def _write_each(
    encoded: list[tuple[WireMessage, tuple[Subscriber, ...]]],
    subscriber: Subscriber,
    channel: Channel,
) -> None:
    for message, spared in encoded:
        if subscriber.open and subscriber not in spared:
            subscriber.write(message, channel)
