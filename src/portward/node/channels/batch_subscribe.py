"""Commands on several channels: each channel is authorized alone; a refused one stops no other."""

from heapq import nlargest
from typing import Final

import msgspec

from portward.model.channel import Channel
from portward.model.commands import (
    ReadHistories,
    ReadHistory,
    Subscribe,
    SubscribeMany,
    UnsubscribeMany,
)
from portward.model.errors import CommandError, ErrorKind
from portward.model.limits import KIB
from portward.model.position import Position
from portward.model.publication import HistoryPage
from portward.model.replies import (
    Delivery,
    HistoriesRead,
    Push,
    Subscribed,
    SubscribedMany,
    UnsubscribedMany,
)
from portward.node.channels.publishing import Publishing
from portward.node.channels.subscriptions import Prepared, Subscriptions, deliveries
from portward.node.rights import Authorizer
from portward.node.sessions import Session

ASKED_AT_ONCE: Final = 100
"""Maximum number of channels of one message; further ones are ignored without an error."""
REPLAYED: Final = 500
"""Maximum number of publications in one reply; channels beyond it start without recovery."""
REPLAYED_BYTES: Final = 512 * KIB

_DENIED: Final = frozenset(
    {ErrorKind.PERMISSION_DENIED, ErrorKind.UNKNOWN_CHANNEL, ErrorKind.CHANNEL_FULL}
)


class _Outcome:
    """The results of one `SubscribeMany` so far."""

    def __init__(self) -> None:
        self.prepared: list[Prepared] = []
        self.denied: list[Channel] = []
        self.recovered: dict[Channel, bool] = {}
        self.missed: list[Delivery] = []
        self.later: list[Push] = []
        self._bytes = 0

    def has_room_for(self, prepared: Prepared) -> bool:
        """Return whether the missed publications of a channel still fit into the reply."""
        publications = prepared.page.publications if prepared.since is not None else ()
        if len(self.missed) + len(publications) > REPLAYED:
            return False
        self._bytes += sum(len(msgspec.json.encode(each.data)) for each in publications)
        return self._bytes <= REPLAYED_BYTES

    def entered(self, reply: Subscribed, epoch: str) -> None:
        """Add the reply of one channel."""
        self.missed += deliveries(reply.channel, reply.publications, epoch)
        self.later += reply.later
        if reply.recovered is not None:
            self.recovered[reply.channel] = reply.recovered


class BatchSubscriptions:
    """Subscribes to, unsubscribes from and reads lists of channels.

    A combined channel stands for all channels of its namespace: a session that is subscribed to it
    keeps no subscription to one of them, so that it gets no publication twice.
    """

    def __init__(
        self, authorizer: Authorizer, subscriptions: Subscriptions, publishing: Publishing
    ) -> None:
        self._authorizer = authorizer
        self._subscriptions = subscriptions
        self._publishing = publishing

    async def subscribe(self, session: Session, command: SubscribeMany) -> SubscribedMany:
        """Subscribe to the allowed channels in the given order, up to the session's limit.

        All subscriptions go live in one step, without an await up to the reply: no publication is sent
        before the reply, and a right that was withdrawn meanwhile is respected.

        Raises:
            CommandError: the session has ended.
            Unavailable: the store or the source of the rights cannot be reached; nothing is subscribed.
        """
        outcome = _Outcome()
        try:
            await self._prepare(session, command, outcome)
        except BaseException:
            for prepared in outcome.prepared:
                self._subscriptions.rollback(session, prepared)
            raise
        for prepared in outcome.prepared:
            self._complete(session, prepared, outcome)
        for channel in [each for each in session.subscriptions if _covered(session, each)]:
            self._subscriptions.leave(session, channel)
        return SubscribedMany(
            channels=tuple(session.subscriptions),
            denied=tuple(outcome.denied),
            recovered=outcome.recovered if command.since else None,
            later=(*sorted(outcome.missed, key=_age), *outcome.later),
        )

    async def _prepare(self, session: Session, command: SubscribeMany, outcome: _Outcome) -> None:
        full = False
        for channel in command.channels[:ASKED_AT_ONCE]:
            since = command.since.get(channel)
            subscribed = channel in session.subscriptions
            if (
                _covered(session, channel)
                or (subscribed and since is None)
                or (full and not subscribed)
            ):
                continue
            try:
                wanted = Subscribe(channel=channel, since=since)
                grant = await self._authorizer.grant(session, channel, wanted)
                outcome.prepared.append(await self._subscriptions.prepare(session, grant))
            except CommandError as fault:
                full = full or fault.kind is ErrorKind.LIMIT_EXCEEDED
                if fault.kind in _DENIED and session.alive:
                    outcome.denied.append(channel)
                elif not full:
                    raise

    def _complete(self, session: Session, prepared: Prepared, outcome: _Outcome) -> None:
        replay = outcome.has_room_for(prepared)
        try:
            reply = self._subscriptions.complete(session, prepared, replay=replay)
        except CommandError:
            outcome.denied.append(prepared.subscription.channel)
        else:
            outcome.entered(reply, prepared.page.position.epoch)

    def unsubscribe(self, session: Session, command: UnsubscribeMany) -> UnsubscribedMany:
        """Unsubscribe from these channels, or from all; those without a subscription are ignored."""
        chosen = tuple(session.subscriptions) if command.channels is None else command.channels
        for channel in chosen:
            self._subscriptions.leave(session, channel)
        return UnsubscribedMany(channels=tuple(session.subscriptions))

    async def histories(self, session: Session, command: ReadHistories) -> HistoriesRead:
        """Read the newest publications of one channel or of all subscribed ones, by the current rights.

        Raises:
            Unavailable: the store cannot be reached.
        """
        one = command.channel
        found: list[Delivery] = []
        positions: dict[Channel, Position] = {}
        for channel in tuple(session.subscriptions) if one is None else (one,):
            page = await self._history(session, channel, command.limit)
            if page is not None:
                found += deliveries(channel, page.publications, page.position.epoch)
                positions[channel] = page.position
        if not session.alive:
            raise CommandError(ErrorKind.NOT_AUTHENTICATED)
        if one is None:
            subscribed = session.subscriptions
            found = [each for each in found if each.channel in subscribed]
            positions = {channel: at for channel, at in positions.items() if channel in subscribed}
        newest = nlargest(command.limit, found, key=_age)
        return HistoriesRead(
            deliveries=tuple(reversed(newest)), positions=None if command.limit else positions
        )

    async def _history(self, session: Session, channel: Channel, limit: int) -> HistoryPage | None:
        """Read one channel's newest publications; None when the session may not read it."""
        command = ReadHistory(channel=channel, limit=limit, reverse=True)
        try:
            page = await self._authorizer.read(session, channel, command, self._publishing.history)
        except CommandError as fault:
            if fault.kind not in _DENIED:
                raise
            return None
        return page


def wanted(session: Session, command: SubscribeMany) -> list[Channel]:
    """Return the channels of a command to which the session is not subscribed yet."""
    held = session.subscriptions
    asked = command.channels[:ASKED_AT_ONCE]
    return [each for each in asked if each not in held and not _covered(session, each)]


def _covered(session: Session, channel: Channel) -> bool:
    """Return whether the session gets the channel through the combined one of its namespace."""
    combined = Channel.combined(channel.namespace)
    return channel != combined and combined in session.subscriptions


def _age(delivery: Delivery) -> tuple[int, Channel, int]:
    """Return a sort key by time that keeps the order of offsets within a channel."""
    return (delivery.publication.time, delivery.channel, delivery.publication.offset)
