"""Handlers of the commands that subscribe and unsubscribe."""

from portward.model import commands as ask
from portward.model.channel import Channel
from portward.model.errors import CommandError, ErrorKind
from portward.model.replies import Reply, Unsubscribed
from portward.node.channels import (
    BatchSubscriptions,
    MultiSubscribe,
    Recovering,
    SubscribeCost,
    Subscriptions,
    wanted,
)
from portward.node.commands.handler import Handlers
from portward.node.rights import Authorizer
from portward.node.sessions import Session, pace


class SubscriptionHandlers:
    """Runs the commands that subscribe to one channel, to several, or to a list, and those that undo it."""

    def __init__(
        self,
        authorizer: Authorizer,
        subscriptions: Subscriptions,
        subscribe_cost: SubscribeCost,
        recovering: Recovering,
        multi_subscribe: MultiSubscribe,
        batch: BatchSubscriptions,
    ) -> None:
        self._authorizer = authorizer
        self._subscriptions = subscriptions
        self._subscribe_cost = subscribe_cost
        self._recovering = recovering
        self._multi_subscribe = multi_subscribe
        self._batch = batch
        self.handlers: Handlers = {
            ask.Subscribe: self._subscribe,
            ask.Unsubscribe: self._unsubscribe,
            ask.SubscribeEach: multi_subscribe.subscribe,
            ask.SubscribeMany: self._subscribe_many,
            ask.UnsubscribeMany: self._unsubscribe_many,
        }

    async def prepare_subscribe(self, session: Session, channel: Channel) -> None:
        """Wait until the client reads, and charge the subscription, before it is authorized.

        Raises:
            CommandError: a limit refuses it, or the same channel is being subscribed to.
        """
        self._multi_subscribe.check(session, channel)
        await pace(session)
        await self._subscribe_cost.charge(session, (channel,))

    async def _subscribe(self, session: Session, command: ask.Subscribe) -> Reply:
        await self.prepare_subscribe(session, command.channel)
        grant = await self._authorizer.grant(session, command.channel, command)
        return await self._recovering.enter(session, grant)

    async def _unsubscribe(self, session: Session, command: ask.Unsubscribe) -> Reply:
        self._multi_subscribe.drop(session, command.channel)
        if not self._subscriptions.leave(session, command.channel):
            raise CommandError(ErrorKind.NOT_SUBSCRIBED)
        self._subscribe_cost.forget_returns(session.user, command.channel)
        return Unsubscribed(channel=command.channel)

    async def _subscribe_many(self, session: Session, command: ask.SubscribeMany) -> Reply:
        await pace(session)
        await self._subscribe_cost.charge(session, wanted(session, command))
        return await self._batch.subscribe(session, command)

    async def _unsubscribe_many(self, session: Session, command: ask.UnsubscribeMany) -> Reply:
        before = tuple(session.subscriptions)
        reply = self._batch.unsubscribe(session, command)
        left = [channel for channel in before if channel not in session.subscriptions]
        self._subscribe_cost.forget_returns(session.user, *left)
        return reply
