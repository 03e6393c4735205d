"""Handlers of the clients' commands: one method for each type of command."""

from collections.abc import Awaitable, Callable
from typing import Any, Final

from msgspec.structs import replace

from portward.engines.port import Engine
from portward.model import commands as ask
from portward.model.channel import Channel
from portward.model.commands import BEFORE_AUTHENTICATION, Command
from portward.model.disconnects import Disconnect
from portward.model.errors import CommandError, ErrorKind
from portward.model.events import Expelled, RightsChanged
from portward.model.grants import Grant
from portward.model.lifecycle import State
from portward.model.limits import LimitName
from portward.model.replies import (
    Done,
    Echoed,
    HistoryRead,
    Pong,
    PresenceRead,
    Published,
    Reply,
    Unsubscribed,
)
from portward.model.room import RoomOrigin
from portward.node.channels import (
    BatchSubscriptions,
    MultiSubscribe,
    Publishing,
    Recovering,
    SubscribeCost,
    Subscriptions,
    participants,
    wanted,
)
from portward.node.hooks import HookRunner
from portward.node.relay import Relays
from portward.node.rights import Authentication, Authorizer
from portward.node.sessions import ClusterRateLimiter, Session, Subscription, pace
from portward.node.socketio_namespaces import SocketIoNamespaces
from portward.node.workspaces import WorkspaceCommands
from portward.telemetry import Telemetry
from portward.telemetry.events import Event

_REFUSED: Final = frozenset({ErrorKind.AUTHENTICATION_FAILED, ErrorKind.TOKEN_REVOKED})

Handler = Callable[[Session, Any], Awaitable[Reply]]


class CommandHandlers:
    """Runs each command. Every access to the hub or the engine needs a grant."""

    def __init__(  # noqa: PLR0913, PLR0917 - one for each part of the node that runs commands
        self,
        authentication: Authentication,
        authorizer: Authorizer,
        subscriptions: Subscriptions,
        publishing: Publishing,
        engine: Engine,
        hooks: HookRunner,
        relays: Relays,
        namespaces: SocketIoNamespaces,
        workspaces: WorkspaceCommands,
        cluster_limits: ClusterRateLimiter,
        subscribe_cost: SubscribeCost,
        recovering: Recovering,
        each: MultiSubscribe,
        telemetry: Telemetry,
    ) -> None:
        self._authentication = authentication
        self._authorizer = authorizer
        self._subscriptions = subscriptions
        self._publishing = publishing
        self._engine = engine
        self._hooks = hooks
        self._relays = relays
        self._workspaces = workspaces
        self._cluster_limits = cluster_limits
        self._subscribe_cost = subscribe_cost
        self._recovering = recovering
        self._each = each
        self._many = BatchSubscriptions(authorizer, subscriptions, publishing)
        self._telemetry = telemetry
        self._handlers: dict[type[Command], Handler] = {
            ask.Publish: self._publish,
            ask.Ping: self._ping,
            ask.Signal: self._signal,
            ask.Subscribe: self._subscribe,
            ask.Unsubscribe: self._unsubscribe,
            ask.ReadHistory: self._history,
            ask.ReadPresence: self._presence,
            ask.Authenticate: self._authenticate,
            ask.Resume: self._resume,
            ask.Refresh: self._refresh,
            ask.Kick: self._kick,
            ask.SetPermissions: self._set_permissions,
            ask.SubscribeEach: each.subscribe,
            ask.SubscribeMany: self._subscribe_many,
            ask.UnsubscribeMany: self._unsubscribe_many,
            ask.ReadHistories: self._histories,
            ask.HandOver: self._hand_over,
            ask.ConnectUpstream: self._connect,
            ask.Echo: self._echo,
            ask.OpenSocket: namespaces.open,
            ask.CloseSocket: namespaces.close,
            ask.Call: namespaces.call,
            ask.Act: workspaces.act,
            ask.Decide: workspaces.decide,
            ask.Share: workspaces.share,
        }

    async def run(self, session: Session, command: Command) -> Reply:
        """Run one command and return its reply.

        Raises:
            CommandError: the command is refused.
            Unavailable: the store cannot be reached now.
        """
        if session.state is State.NEW and type(command) not in BEFORE_AUTHENTICATION:
            raise CommandError(ErrorKind.NOT_AUTHENTICATED)
        return await self._handlers[type(command)](session, command)

    async def _ping(self, _: Session, __: ask.Ping) -> Reply:
        return Pong()

    async def _echo(self, _: Session, command: ask.Echo) -> Reply:
        return Echoed(payload=command.payload, binary=command.binary)

    async def _connect(self, session: Session, command: ask.ConnectUpstream) -> Reply:
        if not session.endpoint.rules.relays:
            raise CommandError(ErrorKind.UNKNOWN_TYPE)
        return await self._relays.connect(session, command.model)

    async def _authenticate(self, session: Session, command: ask.Authenticate) -> Reply:
        reply = await self._authentication.authenticate(session, command)
        await self._subscriptions.reauthorize_all(session)
        return reply

    async def _resume(self, session: Session, command: ask.Resume) -> Reply:
        reply = await self._authentication.resume(session, command)
        await self._subscriptions.reauthorize_all(session)
        return reply

    async def _refresh(self, session: Session, command: ask.Refresh) -> Reply:
        try:
            reply = await self._authentication.refresh(session, command)
        except CommandError as fault:
            if session.conversation is not None and fault.kind in _REFUSED:
                session.end(Disconnect.AUTH_FAILED, "a refused refresh")
            raise
        await self._subscriptions.reauthorize_all(session)
        return reply

    async def _subscribe(self, session: Session, command: ask.Subscribe) -> Reply:
        self._each.check(session, command.channel)
        await pace(session)
        await self._subscribe_cost.charge(session, (command.channel,))
        try:
            grant = await self._authorizer.grant(session, command.channel, command)
        except CommandError:
            self._workspaces.unwelcome(session, command.channel)
            raise
        if session.conversation is None:
            return await self._recovering.enter(session, grant)
        return await self._enter_room(session, grant)

    async def _enter_room(self, session: Session, grant: Grant[ask.Subscribe]) -> Reply:
        prepared = await self._subscriptions.prepare(session, grant)
        try:
            pending = await self._workspaces.pending(grant.command.channel)
        except BaseException:
            self._subscriptions.rollback(session, prepared)
            raise
        return self._workspaces.joined(
            session, self._subscriptions.complete(session, prepared), pending
        )

    async def _unsubscribe(self, session: Session, command: ask.Unsubscribe) -> Reply:
        self._each.drop(session, command.channel)
        if not self._subscriptions.leave(session, command.channel):
            raise CommandError(ErrorKind.NOT_SUBSCRIBED)
        self._subscribe_cost.forget_returns(session.user, command.channel)
        return Unsubscribed(channel=command.channel)

    async def _subscribe_many(self, session: Session, command: ask.SubscribeMany) -> Reply:
        await pace(session)
        await self._subscribe_cost.charge(session, wanted(session, command))
        return await self._many.subscribe(session, command)

    async def _unsubscribe_many(self, session: Session, command: ask.UnsubscribeMany) -> Reply:
        before = tuple(session.subscriptions)
        reply = self._many.unsubscribe(session, command)
        left = [channel for channel in before if channel not in session.subscriptions]
        self._subscribe_cost.forget_returns(session.user, *left)
        return reply

    async def _histories(self, session: Session, command: ask.ReadHistories) -> Reply:
        await self._limit(session, LimitName.HISTORY)
        await pace(session)
        return await self._many.histories(session, command)

    async def _hand_over(self, session: Session, command: ask.HandOver) -> Reply:
        await self._hooks.take(session, command.data)
        return Done()

    async def _publish(self, session: Session, command: ask.Publish) -> Reply:
        subscription = self._subscription(session, command.channel)
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
