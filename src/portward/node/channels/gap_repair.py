"""Repair of gaps: what the bus lost, repeated or reordered is corrected from the engine's history.

The hub accepts only the publication that is next in its channel; every other one is handled here.

    repeat          it is dropped
    gap             the channel is paused, the missing part is read, and all is delivered in order
    unreadable gap  the subscriptions of the channel end; clients may subscribe again at once
    no history      the publication is delivered, and the gap is counted
"""

from collections.abc import Iterable
from functools import partial
from typing import Final

from portward.hub.channel_state import BusMessage, Subscriber
from portward.hub.recovery import merge
from portward.model.channel import Channel
from portward.model.errors import Unavailable
from portward.model.limits import RECOVERY_LIMIT
from portward.model.position import Position
from portward.model.publication import HistoryPage, HistoryQuery, Publication
from portward.model.replies import INSUFFICIENT_STATE
from portward.node.rights import Authorizer
from portward.node.sessions import NodeContext, Session
from portward.telemetry.events import Event
from portward.telemetry.labels import GapResult

HELD: Final = 1000
"""Maximum number of held publications of one channel; further ones are read from the engine later."""
RETRY: Final = 2.0
"""Seconds until the next read after one that failed or made no progress."""
NO_POSITION: Final = Position(0, "")
ROUNDS: Final = 3
"""Number of reads in a row without progress after which a gap counts as lost."""


class GapRepair:
    """Keeps the channels of this node consistent with the engine's streams."""

    def __init__(self, context: NodeContext, authorizer: Authorizer) -> None:
        self._engine = context.engine
        self._hub = context.hub
        self._registry = context.registry
        self._telemetry = context.telemetry
        self._background = context.background
        self._clock = context.clock
        self._call_soon = context.call_soon
        self._authorizer = authorizer
        self._lost: dict[Channel, tuple[list[BusMessage], HistoryPage]] = {}

    # -- one channel

    def handle_out_of_order(
        self, channel: Channel, publication: Publication, epoch: str, exclude: Subscriber | None
    ) -> None:
        """Handle a publication that is not the next one of a channel with local subscribers."""
        arrival = BusMessage(publication, epoch, exclude)
        held, known = self._hub.paused(channel), self._hub.position(channel) or NO_POSITION
        if held is not None:
            if len(held) < HELD:
                held.append(arrival)
        elif known.epoch == epoch and publication.offset <= known.offset:
            self._telemetry.metrics.repeats_total.add((channel.namespace,))
        elif self._has_history(channel):
            self._start_repair(channel, [arrival])
        else:
            before = Position(publication.offset - 1, epoch)
            self._record(channel, GapResult.LOST, _missing(known, before))
            self._hub.move(channel, before)
            self._hub.deliver(channel, publication, epoch, exclude)

    def suspect_gap(self, channel: Channel) -> None:
        """Compare a channel with the engine now; called when publications may be missing."""
        if self._hub.position(channel) is not None and self._hub.paused(channel) is None:
            self._start_repair(channel, [])

    def _has_history(self, channel: Channel) -> bool:
        """Return whether the channel has a history from which missing publications can be read."""
        return self._authorizer.namespace(channel).history_size > 0

    def _start_repair(self, channel: Channel, held: list[BusMessage]) -> None:
        self._hub.pause(channel, held)
        self._background.run(self._repair(channel, held))

    async def _repair(self, channel: Channel, held: list[BusMessage], rounds: int = 0) -> None:
        """Read missing publications until none is missing; `rounds` counts reads without progress.

        Stops when the channel lost its subscribers meanwhile: then `held` is not its list any more.
        """
        while (known := self._waiting(channel, held)) is not None:
            seen = len(held)
            page = await self._read(channel, known)
            if self._waiting(channel, held) is None:
                return
            if page is not None:
                recovery = merge(known, page, [])
                if not recovery.recovered or rounds >= ROUNDS:
                    self._give_up(channel, held, page)
                    return
                self._deliver_in_order(channel, held, recovery.missed, seen)
                rounds += 1
            if self._waiting(channel, held) == known:
                self._clock.call_later(RETRY, partial(self._retry, channel, held, rounds))
                return
            rounds = 0

    def _waiting(self, channel: Channel, held: list[BusMessage]) -> Position | None:
        """Return the position of a channel that is paused with exactly this list, else None."""
        return self._hub.position(channel) if self._hub.paused(channel) is held else None

    def _retry(self, channel: Channel, held: list[BusMessage], rounds: int) -> None:
        if self._waiting(channel, held) is not None:
            self._background.run(self._repair(channel, held, rounds))

    async def _read(self, channel: Channel, known: Position) -> HistoryPage | None:
        """Read the publications after a position; None when the read fails for any reason."""
        query = HistoryQuery(limit=RECOVERY_LIMIT + 1, since=known)
        namespace = self._authorizer.namespace(channel)
        try:
            return await self._engine.streams.history(channel, query, namespace)
        except Unavailable:
            return None
        except Exception as error:  # noqa: BLE001 - a channel must not stay paused
            self._telemetry.failure(error)
            return None

    def _deliver_in_order(
        self, channel: Channel, held: list[BusMessage], missed: Iterable[Publication], seen: int
    ) -> None:
        """Deliver the missed publications, then the held ones that follow; hold the rest again.

        The first `seen` entries of `held` arrived before the read: of these, any with another epoch
        belong to an older epoch and are dropped.
        """
        before = self._hub.position(channel) or NO_POSITION
        epoch, full = before.epoch, len(held) >= HELD
        came = {each.publication.offset: each for each in held if each.epoch == epoch}
        self._hub.resume(channel)
        delivered = 0
        for publication in missed:
            arrival = came.pop(publication.offset, None)
            exclude = arrival.exclude if arrival is not None else None
            delivered += self._hub.deliver(channel, publication, epoch, exclude)
        rest = [each for _, each in sorted(came.items()) if not self._deliver_next(channel, each)]
        held[:] = [*rest, *(each for each in held[seen:] if each.epoch != epoch)]
        if delivered:
            self._record(channel, GapResult.REPAIRED, delivered)
        if held or full:
            self._hub.pause(channel, held)

    def _deliver_next(self, channel: Channel, arrival: BusMessage) -> bool:
        """Deliver a held publication when it is next. Return False when there is a gap before it."""
        publication, epoch, exclude = arrival
        known = self._hub.position(channel) or NO_POSITION
        repeated = publication.offset <= known.offset
        return repeated or self._hub.deliver(channel, publication, epoch, exclude)

    # -- gaps that cannot be repaired

    def _give_up(self, channel: Channel, held: list[BusMessage], page: HistoryPage) -> None:
        """Note a channel that cannot be repaired; those of one loop iteration are handled together."""
        if not self._lost:
            self._call_soon(self._end_subscriptions)
        self._lost[channel] = (held, page)

    def _end_subscriptions(self) -> None:
        """End the subscriptions of the lost channels; others continue from the stream's current position."""
        lost, self._lost = self._lost, {}
        gone = {}
        for channel, (held, page) in lost.items():
            known = self._waiting(channel, held)
            if known is not None:
                gone[channel] = page.position
                self._record(channel, GapResult.LOST, _missing(known, page.position))
        kept = {channel for channel in gone if self._has_history(channel)}
        for session in self._registry if kept else ():
            for channel in kept & session.subscriptions.keys():
                self._withdraw(session, channel, gone[channel])
        for channel, position in gone.items():
            self._restart(channel, lost[channel][0], position)

    def _withdraw(self, session: Session, channel: Channel, position: Position) -> None:
        """End a subscription. One made by the application stays: its client cannot subscribe again."""
        subscription = session.subscriptions[channel]
        if subscription.trusted or not subscription.settled:
            return
        if not self._hub.already_delivered(channel, session.transport, position):
            session.host.remove_subscription(session, channel, INSUFFICIENT_STATE)

    def _restart(self, channel: Channel, held: list[BusMessage], position: Position) -> None:
        if self._waiting(channel, held) is None:
            return
        self._hub.move(channel, _before(held, position))
        self._deliver_in_order(channel, held, (), 0)
        if self._waiting(channel, held) is not None:
            self._background.run(self._repair(channel, held))

    def _record(self, channel: Channel, result: GapResult, count: int) -> None:
        self._telemetry.metrics.gaps_total.add((channel.namespace, result))
        self._telemetry.record(
            Event.ENGINE_GAP, namespace=channel.namespace, reason=result, count=count
        )


def _before(held: Iterable[BusMessage], position: Position) -> Position:
    """Return the position to continue from, so that held publications up to `position` are delivered."""
    came = {each.publication.offset for each in held if each.epoch == position.epoch}
    offset = position.offset
    while offset in came:
        offset -= 1
    return Position(offset, position.epoch)


def _missing(known: Position, position: Position) -> int:
    """Return the number of missing publications, 0 when the epochs differ."""
    return max(0, position.offset - known.offset) if known.epoch == position.epoch else 0
