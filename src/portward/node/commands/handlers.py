"""Handlers of the commands that authenticate, publish, read and administrate."""

from msgspec.structs import replace

from portward.model import commands as ask
from portward.model.channel import Channel
from portward.model.errors import CommandError, ErrorKind
from portward.model.events import Expelled, RightsChanged
from portward.model.limits import LimitName
from portward.model.replies import Done, HistoryRead, Pong, PresenceRead, Published, Reply
from portward.model.room import RoomOrigin
from portward.node.channels import (
    BatchSubscriptions,
    Publishing,
    SubscribeCost,
    Subscriptions,
    participants,
)
from portward.node.commands.handler import Handlers
from portward.node.rights import Authentication, Authorizer
from portward.node.sessions import HookRunner, NodeContext, Session, Subscription, pace
from portward.telemetry.events import Event


class AuthenticationHandlers:
    """Runs the commands with a credential; the rights are evaluated again after each."""

    def __init__(self, authentication: Authentication, subscriptions: Subscriptions) -> None:
        self._authentication = authentication
        self._subscriptions = subscriptions
        self.handlers: Handlers = {
            ask.Authenticate: self._authenticate,
            ask.Resume: self._resume,
            ask.Refresh: self._refresh,
        }

    async def _authenticate(self, session: Session, command: ask.Authenticate) -> Reply:
        reply = await self._authentication.authenticate(session, command)
        await self._subscriptions.reauthorize_all(session)
        return reply

    async def _resume(self, session: Session, command: ask.Resume) -> Reply:
        reply = await self._authentication.resume(session, command)
        await self._subscriptions.reauthorize_all(session)
        return reply

    async def _refresh(self, session: Session, command: ask.Refresh) -> Reply:
        reply = await self._authentication.refresh(session, command)
        await self._subscriptions.reauthorize_all(session)
        return reply


class ChannelHandlers:
    """Runs the commands on channels. Every access to the hub or the engine needs a grant."""

    def __init__(
        self,
        context: NodeContext,
        authorizer: Authorizer,
        publishing: Publishing,
        subscribe_cost: SubscribeCost,
        batch: BatchSubscriptions,
        hooks: HookRunner,
    ) -> None:
        self._engine = context.engine
        self._telemetry = context.telemetry
        self._cluster_limits = context.cluster_limits
        self._authorizer = authorizer
        self._publishing = publishing
        self._subscribe_cost = subscribe_cost
        self._batch = batch
        self._hooks = hooks
        self.handlers: Handlers = {
            ask.Publish: self._publish,
            ask.Ping: self._ping,
            ask.Signal: self._signal,
            ask.ReadHistory: self._history,
            ask.ReadHistories: self._histories,
            ask.ReadPresence: self._presence,
            ask.Kick: self._kick,
            ask.SetPermissions: self._set_permissions,
        }

    async def _ping(self, _: Session, __: ask.Ping) -> Reply:
        return Pong()

    async def _publish(self, session: Session, command: ask.Publish) -> Reply:
        subscription = session.subscriptions.get(command.channel)
        if subscription is None or not subscription.settled:
            raise CommandError(ErrorKind.NOT_SUBSCRIBED)
        grant = await self._authorizer.grant(session, command.channel, command)
        if self._hooks.on_message:
            await self._hooks.message(session, command.channel, command.data)
            # The hook may have taken long: check the subscription and the right again.
            subscription = self._subscription(session, command.channel)
            grant = await self._authorizer.grant(session, command.channel, command)
        stored = await self._publishing.publish(grant, session.identity, subscription.record)
        return Published(
            publication_id=stored.id, position=stored.position, duplicate=stored.duplicate
        )

    async def _signal(self, session: Session, command: ask.Signal) -> Reply:
        self._subscription(session, command.channel)
        grant = await self._authorizer.grant(session, command.channel, command)
        await self._publishing.signal(grant, session.user or "", session.id)
        return Done()

    async def _history(self, session: Session, command: ask.ReadHistory) -> Reply:
        await self._limit(session, LimitName.HISTORY)
        await pace(session)
        page = await self._authorizer.read(
            session, command.channel, command, self._publishing.history
        )
        return HistoryRead(
            channel=command.channel, publications=page.publications, position=page.position
        )

    async def _histories(self, session: Session, command: ask.ReadHistories) -> Reply:
        await self._limit(session, LimitName.HISTORY)
        await pace(session)
        return await self._batch.histories(session, command)

    async def _presence(self, session: Session, command: ask.ReadPresence) -> Reply:
        channel = command.channel
        users = await self._authorizer.read(
            session, channel, command, lambda _: participants(self._engine, channel)
        )
        return PresenceRead(channel=channel, participants=users)

    async def _kick(self, session: Session, command: ask.Kick) -> Reply:
        grant = await self._authorizer.grant(session, command.channel, command)
        self._telemetry.record(
            Event.ROOM_KICK, actor=session.user, user=command.user, channel=command.channel
        )
        self._subscribe_cost.forget_returns(grant.command.user, command.channel)
        await self._engine.streams.publish_control(
            Expelled(user=grant.command.user, channel=command.channel, reason="kicked")
        )
        return Done()

    async def _set_permissions(self, session: Session, command: ask.SetPermissions) -> Reply:
        grant = await self._authorizer.grant(session, command.channel, command)
        channel = grant.command.channel
        record = await self._engine.rooms.get(channel)
        if record is None:
            raise CommandError(ErrorKind.PERMISSION_DENIED)
        changed = replace(record.room, permissions=command.permissions)
        # A room with chosen permissions must keep them: from now on it is not deleted when unused.
        origin = RoomOrigin.ADMIN if record.origin.ends_unused else record.origin
        await self._engine.rooms.save(channel, changed, origin, expires=record.expires)
        self._telemetry.record(Event.ROOM_PERMISSIONS, actor=session.user, channel=channel)
        await self._engine.streams.publish_control(RightsChanged(channel=channel))
        return Done()

    async def _limit(self, session: Session, name: LimitName) -> None:
        now, limiter = session.host.clock.monotonic(), session.endpoint.limits[name]
        limiter.check(session.limit_keys, now)
        await self._cluster_limits.check(limiter, session.limit_keys, now)

    @staticmethod
    def _subscription(session: Session, channel: Channel) -> Subscription:
        subscription = session.subscriptions.get(channel)
        if subscription is None or not subscription.settled:
            raise CommandError(ErrorKind.NOT_SUBSCRIBED)
        return subscription
