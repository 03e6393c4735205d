"""Subscribing and unsubscribing: hub, presence, and the events for other subscribers."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import starmap
from typing import Final

from msgspec.structs import replace

from portward.engines.port import Engine, Member
from portward.hub.recovery import merge
from portward.model.channel import Channel
from portward.model.clock import Timer
from portward.model.commands import Subscribe
from portward.model.disconnects import Disconnect
from portward.model.errors import CommandError, ErrorKind, Unavailable
from portward.model.events import UserJoined, UserLeft
from portward.model.grants import Grant
from portward.model.limits import RECOVERY_LIMIT
from portward.model.namespace import AccessRule, Namespace, Snapshot
from portward.model.position import Position
from portward.model.publication import HistoryPage, HistoryQuery, Publication
from portward.model.replies import (
    INSUFFICIENT_STATE,
    Delivery,
    LeaveReason,
    Participant,
    Removed,
    Subscribed,
)
from portward.model.rights import Right
from portward.node.channels.gap_repair import GapRepair
from portward.node.channels.subscribe_cost import SubscribeCost
from portward.node.rights import Authorizer, same_life
from portward.node.sessions import NodeContext, Session, Subscription
from portward.telemetry.labels import RecoveryResult

EMPTY_PAGE: Final = HistoryPage((), Position(0, ""))


def deliveries(
    channel: Channel, publications: Iterable[Publication], epoch: str
) -> tuple[Delivery, ...]:
    """Make pushes of publications that were read from history."""
    return tuple(Delivery(channel=channel, publication=each, epoch=epoch) for each in publications)


@dataclass(slots=True)
class Prepared:
    """A subscription in preparation: already joined in the hub, with the data read for it.

    `known` means that the session was subscribed before.
    """

    subscription: Subscription
    namespace: Namespace
    since: Position | None
    known: bool
    participants: tuple[str, ...] = ()
    page: HistoryPage = EMPTY_PAGE

    @property
    def latest(self) -> bool:
        """Whether the reply contains the last publication of every key."""
        return self.namespace.snapshot is Snapshot.LATEST_BY_KEY


class Subscriptions:
    """The subscriptions of sessions. A session may end during every await of the engine."""

    def __init__(
        self,
        context: NodeContext,
        authorizer: Authorizer,
        gap_repair: GapRepair,
        subscribe_cost: SubscribeCost,
    ) -> None:
        self._engine = context.engine
        self._hub = context.hub
        self._telemetry = context.telemetry
        self._background = context.background
        self._clock = context.clock
        self._authorizer = authorizer
        self._gap_repair = gap_repair
        self._subscribe_cost = subscribe_cost
        self._grace: dict[tuple[Channel, str], Timer] = {}

    # -- subscribing

    async def subscribe(
        self, session: Session, grant: Grant[Subscribe], *, trusted: bool = False
    ) -> Subscribed:
        """Subscribe: join the hub first, then read what was missed, then go live (no gap, no duplicate).

        A `trusted` subscription is made by the application: the rights of the client do not apply.

        Raises:
            CommandError: the channel is full, the session has too many subscriptions, or it ended or lost its
                right meanwhile.
        """
        return self.complete(session, await self.prepare(session, grant, trusted=trusted))

    async def prepare(
        self, session: Session, grant: Grant[Subscribe], *, trusted: bool = False
    ) -> Prepared:
        """Do the part of :meth:`subscribe` that awaits the engine; the hub collects pushes from now on.

        The caller must then call either `complete` or `rollback`.

        Raises:
            CommandError: as :meth:`subscribe`.
        """
        channel = grant.command.channel
        namespace = self._authorizer.namespace(channel)
        if not session.alive:
            raise CommandError(ErrorKind.NOT_AUTHENTICATED)
        subscription = session.subscriptions.get(channel)
        known = subscription is not None
        if subscription is not None:
            # Subscribed before: it joins again, so that the new reply and the pushes after it fit together.
            self._hub.leave(channel, session.transport, returning=True)
            subscription.settled = False
        elif 0 < namespace.max_subscriptions <= len(session.subscriptions):
            raise CommandError(ErrorKind.LIMIT_EXCEEDED)
        else:
            subscription = Subscription(channel, grant.rights, None, trusted=trusted)
            session.subscriptions[channel] = subscription
        prepared = Prepared(subscription, namespace, grant.command.since, known)
        try:
            if not known:
                await self._read_record(session, subscription, namespace)
            await self._join(session, prepared)
        except BaseException:
            self.rollback(session, prepared)
            raise
        return prepared

    async def _read_record(
        self, session: Session, subscription: Subscription, namespace: Namespace
    ) -> None:
        """Read the room record again: changes arrive as events only from now on, earlier ones did not."""
        channel, rooms = subscription.channel, self._engine.rooms
        if namespace.authorize is AccessRule.ROLES:
            await self.reauthorize(session, channel)
        else:
            subscription.record = await rooms.get(channel)
        record = subscription.record
        if record is not None and record.origin.ends_unused:
            await rooms.use(channel, namespace.idle_ttl)
        self.check_current(session, subscription)

    async def recheck_record(self, session: Session, subscription: Subscription) -> None:
        """Check the right again after a read: the room must be the same as before it, not created again."""
        channel, before = subscription.channel, subscription.record
        if subscription.trusted or not self._authorizer.needs_record(channel):
            return
        await self.reauthorize(session, channel)
        self.check_current(session, subscription)
        if not same_life(before, subscription.record):
            raise CommandError(
                ErrorKind.UNAVAILABLE, detail="the room was removed and made anew meanwhile"
            )

    @staticmethod
    def check_current(session: Session, subscription: Subscription) -> None:
        """Check that the subscription was not replaced or removed.

        Raises:
            CommandError: `PERMISSION_DENIED`, it was.
        """
        if session.subscriptions.get(subscription.channel) is not subscription:
            raise CommandError(ErrorKind.PERMISSION_DENIED)

    def rollback(self, session: Session, prepared: Prepared) -> None:
        """Undo a preparation; a session that was subscribed before is informed of the removal."""
        subscription = prepared.subscription
        channel = subscription.channel
        current = session.subscriptions.get(channel) is subscription
        if current:
            del session.subscriptions[channel]
        self._withdraw(session, subscription, LeaveReason.DISCONNECTED)
        if current and prepared.known:
            session.push(Removed(channel=channel, reason=ErrorKind.UNAVAILABLE.code))
            self._subscribe_cost.allow_return(session, channel)

    async def _join(self, session: Session, prepared: Prepared) -> None:
        subscription, namespace = prepared.subscription, prepared.namespace
        channel, since = subscription.channel, prepared.since
        self._check_size(subscription, namespace)
        if self._hub.join(channel, session.transport):
            await self._engine.streams.subscribe(channel)
            self.check_current(session, subscription)
        await self._enter_presence(session, subscription, namespace)
        prepared.participants = await self._participants(channel, namespace)
        limit = RECOVERY_LIMIT + 1 if since is not None else 0
        query = HistoryQuery(limit=limit, since=since, latest=prepared.latest)
        prepared.page = await self._engine.streams.history(channel, query, namespace)
        await self.recheck_record(session, subscription)
        self.check_current(session, subscription)

    def complete(self, session: Session, prepared: Prepared, *, replay: bool = True) -> Subscribed:
        """Go live, in one step, and make the reply from what was read and what was collected meanwhile.

        Without `replay` no missed publication is sent, and the reply has `recovered` False.

        Raises:
            CommandError: `PERMISSION_DENIED`, the right was withdrawn since.
        """
        subscription, page = prepared.subscription, prepared.page
        channel = subscription.channel
        self.check_current(session, subscription)
        whole = self._hub.follows(channel, session.transport, page.position)
        collected = self._hub.go_live(channel, session.transport, session.encoder, page.position)
        subscription.settled = True
        recovery = merge(prepared.since, page, collected)
        if not replay and recovery.recovered:
            recovery = recovery._replace(recovered=False, missed=(), result="too_many")
        if recovery.result is not None:
            metrics = self._telemetry.metrics
            metrics.recoveries_total.add((prepared.namespace.name, RecoveryResult(recovery.result)))
        missed = deliveries(channel, recovery.missed, page.position.epoch)
        reply = Subscribed(
            channel=channel,
            position=recovery.position,
            participants=prepared.participants,
            recovered=recovery.recovered,
            publications=recovery.missed,
            snapshot=page.latest if prepared.latest else None,
            later=self._hub.apply_cooldown(channel, session.transport, missed, recovery.later),
        )
        if whole:
            return reply
        self._gap_repair.suspect_gap(channel)
        asks = prepared.namespace.history_size > 0 and not subscription.trusted
        return self._remove_with_gap(session, reply) if asks else reply

    def _remove_with_gap(self, session: Session, reply: Subscribed) -> Subscribed:
        """Remove a subscription with a gap after its reply, so that the client subscribes again."""
        self.leave(session, reply.channel)
        self._subscribe_cost.allow_return(session, reply.channel)
        return replace(reply, later=(Removed(channel=reply.channel, reason=INSUFFICIENT_STATE),))

    def _check_size(self, subscription: Subscription, namespace: Namespace) -> None:
        """Reject a full channel by its connections; with presence, `_enter_presence` counts users instead."""
        limit = namespace.max_subscribers
        if namespace.authorize is AccessRule.ROLES:
            counted = namespace.presence
            limit = 0 if counted else _bound(subscription)
        if 0 < limit <= self._hub.size(subscription.channel):
            raise CommandError(ErrorKind.CHANNEL_FULL)

    async def _enter_presence(
        self, session: Session, subscription: Subscription, namespace: Namespace
    ) -> None:
        identity, channel = session.identity, subscription.channel
        if not namespace.presence or subscription.present or identity is None:
            return
        limit = _bound(subscription)
        member = Member(session.id, identity.subject, identity.email)
        subscription.present = True
        first = await self._engine.presence.enter(channel, member, limit)
        if first is None:
            subscription.present = False
            raise CommandError(ErrorKind.CHANNEL_FULL)
        if first and not self._cancel_leave(channel, identity.subject):
            await self._engine.streams.publish_control(
                UserJoined(
                    channel=channel,
                    user=identity.subject,
                    client=session.id,
                    email=identity.email,
                    order=first,
                )
            )
        self.check_current(session, subscription)

    def _cancel_leave(self, channel: Channel, user: str) -> bool:
        """Return whether the user returns before its leave was announced; the announcement is cancelled."""
        grace = self._grace.pop((channel, user), None)
        if grace is not None:
            grace.cancel()
        return grace is not None

    async def _participants(self, channel: Channel, namespace: Namespace) -> tuple[str, ...]:
        if not namespace.presence:
            return ()
        members = await self._engine.presence.members(channel)
        return tuple(dict.fromkeys(member.user for member in members))

    # -- unsubscribing

    def leave(self, session: Session, channel: Channel) -> bool:
        """Unsubscribe a session. Returns False when it was not subscribed."""
        subscription = session.subscriptions.pop(channel, None)
        if subscription is None:
            return False
        self._withdraw(session, subscription, LeaveReason.LEFT)
        return True

    def remove(self, session: Session, channel: Channel, reason: str) -> None:
        """Remove a subscription, if there is one, and inform the session."""
        if self.leave(session, channel):
            session.push(Removed(channel=channel, reason=reason))
            if reason == INSUFFICIENT_STATE:
                self._subscribe_cost.allow_return(session, channel)

    def abandon(self, session: Session, ending: Disconnect) -> None:
        """Remove all subscriptions of an ended session; the user may return to them without cost."""
        self._subscribe_cost.store_returns(session, ending)
        drop = ending is not Disconnect.SHUTDOWN
        left = list(session.subscriptions.values())
        session.subscriptions.clear()
        for subscription in left:
            self._withdraw(session, subscription, LeaveReason.DISCONNECTED, drop=drop)

    def _withdraw(
        self,
        session: Session,
        subscription: Subscription,
        reason: LeaveReason,
        *,
        drop: bool = True,
    ) -> None:
        """Leave the hub now, and the engine in a background task, which nothing cancels."""
        channel = subscription.channel
        silent = self._hub.leave(channel, session.transport, drop=drop)
        self._background.run(self._leave_presence(session, subscription, reason))
        if silent:
            self._background.run(self._engine.streams.unsubscribe(channel))

    async def _leave_presence(
        self, session: Session, subscription: Subscription, reason: LeaveReason
    ) -> None:
        identity, channel = session.identity, subscription.channel
        if not subscription.present or identity is None:
            return
        subscription.present = False
        order = await self._engine.presence.leave(channel, session.id, identity.subject)
        if not order:
            return
        event = UserLeft(
            channel=channel,
            user=identity.subject,
            client=session.id,
            email=identity.email,
            reason=reason,
            order=order,
        )
        grace = self._authorizer.namespace(channel).leave_grace
        if grace and reason is LeaveReason.DISCONNECTED:
            self._postpone(event, grace)
        else:
            await self._engine.streams.publish_control(event)

    def _postpone(self, event: UserLeft, grace: float) -> None:
        key = (event.channel, event.user)

        def announce() -> None:
            del self._grace[key]
            self._background.run(self._engine.streams.publish_control(event))

        self._cancel_leave(*key)
        self._grace[key] = self._clock.call_later(grace, announce)

    # -- changed rights

    def withhold(self, session: Session, channels: Iterable[Channel]) -> None:
        """Withhold new pushes of these channels from a session whose rights are checked again."""
        for channel in channels:
            subscription = session.subscriptions.get(channel)
            if subscription is not None and subscription.settled and not subscription.trusted:
                self._hub.withhold(channel, session.transport)

    def release(self, session: Session) -> None:
        """Write the withheld pushes of the channels where the session is still subscribed.

        Where there were too many, the subscription is removed, and the client recovers from its position.
        """
        for channel in list(session.subscriptions):
            if not self._hub.release(channel, session.transport):
                self.remove(session, channel, INSUFFICIENT_STATE)

    async def reauthorize_all(self, session: Session, *, fresh: bool = False) -> None:
        """Check the rights of every subscription; with `fresh`, without cached answers.

        Raises:
            Unavailable: one or more could not be checked; the others were.
        """
        unavailable: Unavailable | None = None
        for channel in list(session.subscriptions):
            try:
                await self.reauthorize(session, channel, fresh=fresh, announced=False)
            except Unavailable as error:
                unavailable = error
        if unavailable is not None:
            raise unavailable

    async def reauthorize(
        self, session: Session, channel: Channel, *, fresh: bool = False, announced: bool = True
    ) -> None:
        """Check the rights of one subscription; without the right it is removed.

        When two checks overlap, the result of the one that began later applies. When a room record is gone
        but no removal was `announced` as an event, the store has lost it: the session must subscribe again.

        Raises:
            Unavailable: a service needed for the check is unreachable.
        """
        subscription = session.subscriptions.get(channel)
        if subscription is None or subscription.trusted:
            return
        subscription.checks = judgement = subscription.checks + 1
        try:
            rights, record, _ = await self._authorizer.evaluate(session, channel, fresh=fresh)
        except CommandError:
            rights, record = Right.NONE, subscription.record
        current = session.subscriptions.get(channel) is subscription
        if not current or subscription.checks != judgement:
            return
        vanished = not announced and record is None and subscription.record is not None
        subscription.rights, subscription.record = rights, record
        if Right.SUBSCRIBE not in rights:
            reason = INSUFFICIENT_STATE if vanished else ErrorKind.PERMISSION_DENIED.code
            self.remove(session, channel, reason)


def _bound(subscription: Subscription) -> int:
    """Return how many users may be in the room, 0 for no limit."""
    record = subscription.record
    return record.room.max_participants if record is not None else 0


async def participants(engine: Engine, channel: Channel) -> tuple[Participant, ...]:
    """Return the users in the channel with their numbers of connections, in the order of their joins."""
    counts = Counter(member.user for member in await engine.presence.members(channel))
    return tuple(starmap(Participant, counts.items()))
