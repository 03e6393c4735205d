"""Commands about several channels at once: each is judged by itself, and one refused spoils no other."""

from heapq import nlargest
from typing import Final

from portward.model.channel import Channel
from portward.model.commands import (
    ReadHistories,
    ReadHistory,
    Subscribe,
    SubscribeMany,
    UnsubscribeMany,
)
from portward.model.faults import Fault, FaultKind
from portward.model.position import Position
from portward.model.replies import (
    Delivery,
    HistoriesRead,
    Push,
    Subscribed,
    SubscribedMany,
    UnsubscribedMany,
)
from portward.node.authority import Authority
from portward.node.membership import Membership, deliveries
from portward.node.session import Session
from portward.node.streams import Streams

ASKED_AT_ONCE: Final = 200
"""Channels of one message that are looked at; the others are left out without a word."""

_DENIED: Final = frozenset(
    {FaultKind.PERMISSION_DENIED, FaultKind.UNKNOWN_CHANNEL, FaultKind.CHANNEL_FULL}
)


class _Outcome:
    """What came of one `SubscribeMany` so far."""

    def __init__(self) -> None:
        self.denied: list[Channel] = []
        self.recovered: dict[Channel, bool] = {}
        self.missed: list[Delivery] = []
        self.later: list[Push] = []

    def entered(self, reply: Subscribed, epoch: str) -> None:
        """Take the answer of one channel."""
        self.missed += deliveries(reply.channel, reply.publications, epoch)
        self.later += reply.later
        if reply.recovered is not None:
            self.recovered[reply.channel] = reply.recovered


class Many:
    """Subscribing to, leaving and reading lists of channels.

    A combined channel stands for all channels of its namespace: who hears it hears none of them twice.
    """

    def __init__(self, authority: Authority, membership: Membership, streams: Streams) -> None:
        self._authority = authority
        self._membership = membership
        self._streams = streams

    async def subscribe(self, session: Session, command: SubscribeMany) -> SubscribedMany:
        """Hear as many of the channels as one may, in the order given, until the session has enough.

        Raises:
            Fault: the session has ended.
            Unavailable: the store cannot be asked; the channels before that one are heard.
        """
        outcome = _Outcome()
        for channel in command.channels[:ASKED_AT_ONCE]:
            since = command.since.get(channel)
            if _heard(session, channel) and since is None:
                continue
            if not await self._enter(session, channel, since, outcome):
                break
        for channel in [each for each in session.subscriptions if _covered(session, each)]:
            self._membership.leave(session, channel)
        return SubscribedMany(
            channels=tuple(session.subscriptions),
            denied=tuple(outcome.denied),
            recovered=outcome.recovered if command.since else None,
            later=(*sorted(outcome.missed, key=_age), *outcome.later),
        )

    async def _enter(
        self, session: Session, channel: Channel, since: Position | None, outcome: _Outcome
    ) -> bool:
        """Hear one channel; False when the session has as many as it may."""
        command = Subscribe(channel=channel, since=since)
        try:
            grant = await self._authority.grant(session, channel, command)
            reply = await self._membership.enter(session, grant)
        except Fault as fault:
            if fault.kind is FaultKind.LIMIT_EXCEEDED:
                return False
            if fault.kind not in _DENIED or not session.alive:
                raise
            outcome.denied.append(channel)
        else:
            outcome.entered(reply, reply.position.epoch)
        return True

    def unsubscribe(self, session: Session, command: UnsubscribeMany) -> UnsubscribedMany:
        """Hear these channels no longer; those that are not heard are passed over."""
        chosen = tuple(session.subscriptions) if command.channels is None else command.channels
        for channel in chosen:
            self._membership.leave(session, channel)
        return UnsubscribedMany(channels=tuple(session.subscriptions))

    async def histories(self, session: Session, command: ReadHistories) -> HistoriesRead:
        """The newest publications of one channel, or of all that are heard, by the rights of now.

        Raises:
            Unavailable: the store cannot be asked.
        """
        one = command.channel
        found: list[Delivery] = []
        for channel in tuple(session.subscriptions) if one is None else (one,):
            found += await self._history(session, channel, command.limit)
        newest = nlargest(command.limit, found, key=_age)
        return HistoriesRead(deliveries=tuple(reversed(newest)))

    async def _history(
        self, session: Session, channel: Channel, limit: int
    ) -> tuple[Delivery, ...]:
        """Nothing, when there is nothing one may hear."""
        command = ReadHistory(channel=channel, limit=limit, reverse=True)
        try:
            grant = await self._authority.grant(session, channel, command)
        except Fault as fault:
            if fault.kind not in _DENIED:
                raise
            return ()
        page = await self._streams.history(grant)
        return deliveries(channel, page.publications, page.position.epoch)


def _heard(session: Session, channel: Channel) -> bool:
    return channel in session.subscriptions or _covered(session, channel)


def _covered(session: Session, channel: Channel) -> bool:
    """Whether the session hears the channel through the combined one of its namespace."""
    combined = Channel.combined(channel.namespace)
    return channel != combined and combined in session.subscriptions


def _age(delivery: Delivery) -> tuple[int, Channel, int]:
    """By time; what was said in one channel stays in order."""
    return (delivery.publication.time, delivery.channel, delivery.publication.offset)
