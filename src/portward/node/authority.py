"""Gathers the facts that policy judges by: the directory's, the room's, the application's answer."""

from collections.abc import Mapping
from typing import TypeVar

from msgspec.structs import replace

from portward.engines.port import Engine
from portward.model.channel import Channel
from portward.model.commands import Command, Subscribe
from portward.model.faults import Fault, FaultKind
from portward.model.grants import Grant
from portward.model.identity import Identity
from portward.model.namespace import Namespace, Rule
from portward.model.rights import Right
from portward.model.room import Room
from portward.node.ports import CHANNEL_ACTIONS, IdentityProvider, RightsQuestion
from portward.node.session import Session
from portward.security import policy
from portward.security.policy import NO_FACTS, ChannelFacts
from portward.telemetry import Telemetry
from portward.telemetry.events import Event
from portward.telemetry.labels import type_name

C = TypeVar("C", bound=Command)


class Authority:
    """Judges one session and one channel at a time, and remembers for channels it is in."""

    def __init__(
        self,
        engine: Engine,
        namespaces: Mapping[str, Namespace],
        question: RightsQuestion,
        telemetry: Telemetry,
        role_permissions: Mapping[str, frozenset[str]],
        provider: IdentityProvider | None = None,
    ) -> None:
        self._provider = provider
        self._role_permissions = role_permissions
        self._engine = engine
        self._namespaces = namespaces
        self._question = question
        self._telemetry = telemetry

    def adopt(
        self,
        namespaces: Mapping[str, Namespace],
        role_permissions: Mapping[str, frozenset[str]],
    ) -> None:
        """Judge by these from now on."""
        self._namespaces = namespaces
        self._role_permissions = role_permissions

    def namespace(self, channel: Channel) -> Namespace:
        """The settings of a channel's family.

        Raises:
            Fault: `UNKNOWN_CHANNEL`; dialects say it in the words of `PERMISSION_DENIED`.
        """
        namespace = self._namespaces.get(channel.namespace)
        if namespace is None:
            raise Fault(FaultKind.UNKNOWN_CHANNEL)
        return namespace

    async def effective(self, claims: Identity) -> Identity:
        """The identity of a token, with the directory's roles and permissions and those of the roles."""
        facts = await self._engine.directory.facts(claims.subject)
        roles = claims.roles | facts.roles
        permissions = claims.permissions | facts.permissions
        for role in roles & self._role_permissions.keys():
            permissions |= self._role_permissions[role]
        if roles == claims.roles and permissions == claims.permissions:
            return claims
        return replace(claims, roles=roles, permissions=permissions)

    async def grant(self, session: Session, channel: Channel, command: C) -> Grant[C]:
        """Allow one command, or refuse it.

        Raises:
            Fault: the session may not.
        """
        subscription = session.subscriptions.get(channel)
        if subscription is not None and subscription.settled:
            rights = subscription.rights
        else:
            rights, _ = await self.judge(session, channel, create=isinstance(command, Subscribe))
        try:
            return policy.grant(command, rights)
        except Fault:
            self._telemetry.record(
                Event.AUTHZ_DENY,
                client=session.id,
                user=session.user,
                channel=channel,
                command=type_name(type(command)),
            )
            raise

    async def judge(
        self, session: Session, channel: Channel, *, create: bool = False, fresh: bool = False
    ) -> tuple[Right, Room | None]:
        """Everything the session may do in the channel now, and the room's record if it has one.

        With `create` a room nobody has made is made, when the session may make it. Judges again when
        the session's rights changed while the facts were gathered; with `fresh` by no answer that was
        kept from before.
        """
        while (who := session.identity) is not None:
            version = session.version
            namespace = self.namespace(channel)
            facts = await self._facts(session, who, channel, namespace, fresh=fresh)
            if create and namespace.authorize is Rule.ROLES and facts.room is None:
                facts = ChannelFacts(room=await self._create(session, who, channel, namespace))
            if session.version == version:
                return policy.rights(who, channel, namespace, facts), facts.room
        raise Fault(FaultKind.NOT_AUTHENTICATED)

    async def _facts(
        self,
        session: Session,
        who: Identity,
        channel: Channel,
        namespace: Namespace,
        *,
        fresh: bool,
    ) -> ChannelFacts:
        if channel.is_combined:
            return NO_FACTS
        match namespace.authorize:
            case Rule.ROLES:
                return ChannelFacts(room=await self._engine.directory.room(channel))
            case Rule.MEMBERSHIP:
                facts = await self._engine.directory.facts(who.subject)
                return ChannelFacts(workspaces=facts.workspaces)
            case Rule.HTTP:
                return ChannelFacts(answers=await self._answers(who, channel, namespace))
            case Rule.IDENTITY_PROVIDER:
                return ChannelFacts(answers=await self._with_cookies(session, channel, fresh=fresh))
            case _:
                return NO_FACTS

    async def _answers(self, who: Identity, channel: Channel, namespace: Namespace) -> Right:
        answers = Right.NONE
        for rights, action in CHANNEL_ACTIONS.items():
            if await self._question.ask(namespace.authorize_url, who, channel, action):
                answers |= rights
            elif action == "subscribe":
                break
        return answers

    async def _with_cookies(self, session: Session, channel: Channel, *, fresh: bool) -> Right:
        """What the identity provider says to the session's own cookies; without any, nothing.

        With `fresh` an answer from before now does not count.
        """
        cookies = session.newcomer.cookies
        if self._provider is None or not cookies:
            return Right.NONE
        age = 0.0 if fresh else None
        allowed = await self._provider.allows(cookies, channel.name, max_age=age)
        return Right.READ if allowed else Right.NONE

    async def _create(
        self, session: Session, who: Identity, channel: Channel, namespace: Namespace
    ) -> Room | None:
        if not policy.may_create(who, auto_create=session.endpoint.rules.auto_create):
            return None
        room = Room(id=channel.name, name=channel.name, max_participants=namespace.max_subscribers)
        if not policy.rights(who, channel, namespace, ChannelFacts(room=room)) & Right.SUBSCRIBE:
            return None
        directory = self._engine.directory
        if not await directory.save_room(channel, room, namespace.idle_ttl, new=True):
            return await directory.room(channel)
        self._telemetry.record(
            Event.ROOM_CREATE, client=session.id, user=session.user, channel=channel
        )
        return room
