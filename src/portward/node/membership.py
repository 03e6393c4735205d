"""Coming into a channel and leaving it: the hub's listeners, presence, and what the others are told."""

from portward.engines.port import Engine, Member
from portward.hub.channels import Channels
from portward.hub.recovery import merge
from portward.model.channel import Channel
from portward.model.clock import Clock, Timer
from portward.model.commands import Subscribe
from portward.model.events import UserJoined, UserLeft
from portward.model.faults import Fault, FaultKind
from portward.model.grants import Grant
from portward.model.limits import RECOVERY_LIMIT
from portward.model.namespace import Namespace, Rule, Snapshot
from portward.model.position import Position
from portward.model.publication import HistoryQuery
from portward.model.replies import LeaveReason, Participant, Removed, Subscribed
from portward.model.rights import Right
from portward.node.authority import Authority
from portward.node.background import Background
from portward.node.session import Session, Subscription
from portward.telemetry import Telemetry
from portward.telemetry.labels import RecoveryResult


class Membership:
    """Subscriptions of sessions. The engine may be slow, so every wait may find the session gone."""

    def __init__(
        self,
        engine: Engine,
        channels: Channels,
        authority: Authority,
        telemetry: Telemetry,
        background: Background,
        clock: Clock,
    ) -> None:
        self._engine = engine
        self._channels = channels
        self._authority = authority
        self._telemetry = telemetry
        self._background = background
        self._clock = clock
        self._grace: dict[tuple[Channel, str], Timer] = {}

    # -- in

    async def enter(self, session: Session, grant: Grant[Subscribe]) -> Subscribed:
        """Subscribe: listen first, then read what was missed, then go live (no gap, no repeat).

        Raises:
            Fault: the channel is full, the session has too many subscriptions, or lost its right meanwhile.
        """
        channel = grant.command.channel
        namespace = self._authority.namespace(channel)
        subscription = session.subscriptions.get(channel)
        if subscription is None:
            subscription = await self._begin(session, channel, namespace, grant.rights)
        else:
            self._channels.leave(channel, session.link)
            subscription.settled = False
        try:
            return await self._join(session, subscription, namespace, grant.command.since)
        except BaseException:
            await self.leave(session, channel, LeaveReason.DISCONNECTED)
            raise

    async def _begin(
        self, session: Session, channel: Channel, namespace: Namespace, rights: Right
    ) -> Subscription:
        if 0 < namespace.max_subscriptions <= len(session.subscriptions):
            raise Fault(FaultKind.LIMIT_EXCEEDED)
        version = session.version
        room = await self._engine.directory.room(channel)
        if room is not None:
            await self._engine.directory.keep_room(channel, namespace.idle_ttl)
        if session.version != version:
            rights, room = await self._authority.judge(session, channel)
        if Right.SUBSCRIBE not in rights:
            raise Fault(FaultKind.PERMISSION_DENIED)
        subscription = session.subscriptions[channel] = Subscription(channel, rights, room)
        return subscription

    async def _join(
        self,
        session: Session,
        subscription: Subscription,
        namespace: Namespace,
        since: Position | None,
    ) -> Subscribed:
        channel = subscription.channel
        self._check_size(subscription, namespace)
        if self._channels.join(channel, session.link):
            await self._engine.broker.listen(channel)
        await self._appear(session, subscription, namespace)
        participants = await self._participants(channel, namespace)
        latest = namespace.snapshot is Snapshot.LATEST_BY_KEY
        limit = RECOVERY_LIMIT + 1 if since is not None else 0
        query = HistoryQuery(limit=limit, since=since, latest=latest)
        page = await self._engine.broker.history(channel, query, namespace)
        if session.subscriptions.get(channel) is not subscription:
            raise Fault(FaultKind.PERMISSION_DENIED)
        endpoint = session.endpoint
        voice = endpoint.deflated if session.link.compression else endpoint.plain
        collected = self._channels.settle(channel, session.link, voice)
        subscription.settled = True
        recovery = merge(since, page, collected)
        if recovery.result is not None:
            self._telemetry.metrics.recovered(namespace.name, RecoveryResult(recovery.result))
        return Subscribed(
            channel=channel,
            position=recovery.position,
            participants=participants,
            recovered=recovery.recovered,
            publications=recovery.missed,
            snapshot=page.latest if latest else None,
            later=recovery.later,
        )

    def _check_size(self, subscription: Subscription, namespace: Namespace) -> None:
        """Refuse a full channel by connections; where presence counts users, `_appear` does it."""
        limit = namespace.max_subscribers
        if namespace.authorize is Rule.ROLES:
            counted = namespace.presence or subscription.room is None
            limit = (
                0 if counted or subscription.room is None else subscription.room.max_participants
            )
        if 0 < limit <= self._channels.size(subscription.channel):
            raise Fault(FaultKind.CHANNEL_FULL)

    async def _appear(
        self, session: Session, subscription: Subscription, namespace: Namespace
    ) -> None:
        who, channel = session.identity, subscription.channel
        if not namespace.presence or subscription.present or who is None:
            return
        limit = subscription.room.max_participants if subscription.room is not None else 0
        member = Member(session.id, who.subject, who.email)
        first = await self._engine.presence.enter(channel, member, limit)
        if first is None:
            raise Fault(FaultKind.CHANNEL_FULL)
        subscription.present = True
        if session.subscriptions.get(channel) is not subscription:
            await self._vanish(session, subscription, LeaveReason.DISCONNECTED)
            raise Fault(FaultKind.PERMISSION_DENIED)
        if not first:
            return
        grace = self._grace.pop((channel, who.subject), None)
        if grace is not None:
            grace.cancel()
            return
        await self._engine.broker.announce(
            UserJoined(channel=channel, user=who.subject, client=session.id, email=who.email)
        )

    async def _participants(self, channel: Channel, namespace: Namespace) -> tuple[str, ...]:
        if not namespace.presence:
            return ()
        members = await self._engine.presence.members(channel)
        return tuple(dict.fromkeys(member.user for member in members))

    async def participants(self, channel: Channel) -> tuple[Participant, ...]:
        """Users in the channel with the number of their connections, in the order they came."""
        counts: dict[str, int] = {}
        for member in await self._engine.presence.members(channel):
            counts[member.user] = counts.get(member.user, 0) + 1
        return tuple(Participant(user, count) for user, count in counts.items())

    # -- out

    async def leave(self, session: Session, channel: Channel, reason: LeaveReason) -> bool:
        """Take a session out of a channel. False when it was not in it."""
        subscription = session.subscriptions.pop(channel, None)
        if subscription is None:
            return False
        if self._channels.leave(channel, session.link):
            await self._engine.broker.ignore(channel)
        await self._vanish(session, subscription, reason)
        return True

    async def remove(self, session: Session, channel: Channel, reason: str) -> bool:
        """Take a subscription away and say so to the session. False when it had none."""
        if not await self.leave(session, channel, LeaveReason.LEFT):
            return False
        if session.alive:
            session.say(Removed(channel=channel, reason=reason))
        return True

    def abandon(self, session: Session, *, drop: bool) -> None:
        """Take an ended session out of everything: the hub at once, the engine in the background."""
        left = list(session.subscriptions.values())
        session.subscriptions.clear()
        silent = [
            each.channel
            for each in left
            if self._channels.leave(each.channel, session.link, drop=drop)
        ]
        if silent or any(each.present for each in left):
            self._background.run(self._cleared(session, left, silent))

    async def _cleared(
        self, session: Session, left: list[Subscription], silent: list[Channel]
    ) -> None:
        for channel in silent:
            await self._engine.broker.ignore(channel)
        for subscription in left:
            await self._vanish(session, subscription, LeaveReason.DISCONNECTED)

    async def _vanish(
        self, session: Session, subscription: Subscription, reason: LeaveReason
    ) -> None:
        who, channel = session.identity, subscription.channel
        if not subscription.present or who is None:
            return
        subscription.present = False
        if not await self._engine.presence.leave(channel, session.id, who.subject):
            return
        event = UserLeft(
            channel=channel, user=who.subject, client=session.id, email=who.email, reason=reason
        )
        grace = self._authority.namespace(channel).leave_grace
        if grace and reason is LeaveReason.DISCONNECTED:
            self._postpone(event, grace)
        else:
            await self._engine.broker.announce(event)

    def _postpone(self, event: UserLeft, grace: float) -> None:
        key = (event.channel, event.user)

        def announce() -> None:
            del self._grace[key]
            self._background.run(self._engine.broker.announce(event))

        self._grace[key] = self._clock.call_later(grace, announce)

    # -- rights that change

    async def judge_again(self, session: Session, channel: Channel) -> None:
        """Judge one subscription by the rights of now; without the right it is taken away."""
        subscription = session.subscriptions.get(channel)
        if subscription is None:
            return
        rights, room = await self._authority.judge(session, channel)
        if session.subscriptions.get(channel) is not subscription:
            return
        subscription.rights, subscription.room = rights, room
        if Right.SUBSCRIBE not in rights:
            await self.remove(session, channel, FaultKind.PERMISSION_DENIED.code)
