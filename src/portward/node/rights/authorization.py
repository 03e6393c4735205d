"""Authorization: gathers the facts (directory, room record, application) and applies the policy."""

from collections.abc import Awaitable, Callable
from typing import NamedTuple, TypeVar

from msgspec.structs import replace

from portward.model.channel import Channel
from portward.model.commands import Command, Subscribe
from portward.model.errors import CommandError, ErrorKind
from portward.model.grants import Grant
from portward.model.identity import Identity
from portward.model.namespace import AccessRule, Namespace
from portward.model.rights import Right
from portward.model.room import RoomRecord
from portward.node.rights.ports import CHANNEL_ACTIONS, IdentityProviderPort, RightsQuestion
from portward.node.rights.records import RoomRecords, same_life
from portward.node.sessions import NodeContext, Session
from portward.security import policy
from portward.security.policy import NO_FACTS, ChannelFacts
from portward.telemetry.events import Event
from portward.telemetry.labels import type_name

C = TypeVar("C", bound=Command)
R = TypeVar("R")


class Authorization(NamedTuple):
    """The rights of a session in a channel, and the room's record if it has one.

    `reason` explains why there is no record where one is needed.
    """

    rights: Right
    record: RoomRecord | None = None
    reason: str = ""


class Authorizer:
    """Evaluates the rights of one session in one channel; for settled subscriptions it reuses the result."""

    def __init__(
        self,
        context: NodeContext,
        question: RightsQuestion,
        provider: IdentityProviderPort | None,
    ) -> None:
        self._engine, self._stores = context.engine, context.stores
        self._settings = context.settings
        self._telemetry = context.telemetry
        self._records = RoomRecords(context)
        self._question = question
        self._provider = provider

    def namespace(self, channel: Channel) -> Namespace:
        """Return the namespace (the settings) of a channel.

        Raises:
            CommandError: `UNKNOWN_CHANNEL`; protocols send it with the text of `PERMISSION_DENIED`.
        """
        namespace = self._settings.now.namespaces.get(channel.partition(":")[0])
        if namespace is None:
            raise CommandError(ErrorKind.UNKNOWN_CHANNEL)
        return namespace

    def needs_record(self, channel: Channel) -> bool:
        """Return whether a room record decides who may read a channel."""
        namespace = self._settings.now.namespaces.get(channel.namespace)
        return (
            namespace is not None
            and namespace.authorize is AccessRule.ROLES
            and not channel.is_combined
        )

    async def with_directory_roles(self, claims: Identity) -> Identity:
        """Return the token's identity with the directory's roles and permissions, and those of the roles."""
        facts = await self._stores.directory.rights(claims.subject)
        roles = claims.roles | facts.roles
        permissions = claims.permissions | facts.permissions
        given = self._settings.now.roles
        permissions = permissions.union(*(given[role] for role in roles & given.keys()))
        if roles == claims.roles and permissions == claims.permissions:
            return claims
        return replace(claims, roles=roles, permissions=permissions)

    async def grant(self, session: Session, channel: Channel, command: C) -> Grant[C]:
        """Allow one command, or refuse it.

        Raises:
            CommandError: the session lacks the right.
        """
        subscription = session.subscriptions.get(channel)
        if subscription is not None and subscription.settled:
            authorization = Authorization(subscription.rights, subscription.record)
        else:
            create = isinstance(command, Subscribe)
            authorization = await self.evaluate(session, channel, create=create)
        try:
            return policy.grant(command, authorization.rights)
        except CommandError:
            self._record_denied(session, channel, command, authorization)
            raise

    def _grant(
        self, session: Session, channel: Channel, command: C, authorization: Authorization
    ) -> Grant[C]:
        try:
            return policy.grant(command, authorization.rights)
        except CommandError:
            self._record_denied(session, channel, command, authorization)
            raise

    def _record_denied(
        self, session: Session, channel: Channel, command: Command, authorization: Authorization
    ) -> None:
        self._telemetry.record(
            Event.AUTHZ_DENY,
            client=session.id,
            user=session.user,
            channel=channel,
            command=type_name(type(command)),
            reason=authorization.reason or None,
        )

    async def read(
        self,
        session: Session,
        channel: Channel,
        command: C,
        reading: Callable[[Grant[C]], Awaitable[R]],
    ) -> R:
        """Allow one command that reads, and read.

        A room's record protects its history, and an engine need not read both in one step. So the
        record is checked before and after the read, and the result is returned only when both checks
        allow it and both found the same room, not one that was removed and created again.

        Raises:
            CommandError: the session lacks the right, or the room was removed and created again meanwhile.
        """
        subscription = session.subscriptions.get(channel)
        trusted = subscription is not None and subscription.trusted
        if trusted or not self.needs_record(channel):
            return await reading(await self.grant(session, channel, command))
        before = await self.evaluate(session, channel)
        result = await reading(self._grant(session, channel, command, before))
        after = await self.evaluate(session, channel)
        self._grant(session, channel, command, after)
        if not same_life(before.record, after.record):
            raise CommandError(
                ErrorKind.UNAVAILABLE, detail="the room was removed and made anew meanwhile"
            )
        return result

    async def evaluate(
        self, session: Session, channel: Channel, *, create: bool = False, fresh: bool = False
    ) -> Authorization:
        """Return the current rights of the session in the channel, and the room's record if it has one.

        `create` creates a missing room, when the session may create it. `fresh` ignores cached answers
        of the identity provider. Evaluates again when the session's version changed meanwhile.
        """
        while (identity := session.identity) is not None:
            version = session.version
            namespace = self.namespace(channel)
            if self.needs_record(channel):
                record, reason = await self._records.find(channel)
                if create and record is None:
                    record, reason = await self._records.create(
                        session, identity, channel, namespace
                    )
                facts = ChannelFacts(room=record.room if record is not None else None)
            else:
                record, reason = None, ""
                facts = await self._facts(session, identity, channel, namespace, fresh=fresh)
            if session.version == version:
                return Authorization(
                    policy.rights(identity, channel, namespace, facts), record, reason
                )
        raise CommandError(ErrorKind.NOT_AUTHENTICATED)

    async def _facts(
        self,
        session: Session,
        identity: Identity,
        channel: Channel,
        namespace: Namespace,
        *,
        fresh: bool,
    ) -> ChannelFacts:
        if channel.is_combined:
            return NO_FACTS
        match namespace.authorize:
            case AccessRule.MEMBERSHIP:
                facts = await self._stores.directory.rights(identity.subject)
                return ChannelFacts(workspaces=facts.workspaces)
            case AccessRule.HTTP:
                return ChannelFacts(answers=await self._answers(identity, channel, namespace))
            case AccessRule.IDENTITY_PROVIDER:
                return ChannelFacts(answers=await self._with_cookies(session, channel, fresh=fresh))
            case _:
                return NO_FACTS

    async def _answers(self, identity: Identity, channel: Channel, namespace: Namespace) -> Right:
        answers = Right.NONE
        for rights, action in CHANNEL_ACTIONS.items():
            if await self._question.ask(namespace.authorize_url, identity, channel, action):
                answers |= rights
            elif action == "subscribe":
                break
        return answers

    async def _with_cookies(self, session: Session, channel: Channel, *, fresh: bool) -> Right:
        """Return the rights that the identity provider grants for the session's cookies; none without any.

        `fresh` ignores cached answers.
        """
        cookies = session.handshake.cookies
        if self._provider is None or not cookies:
            return Right.NONE
        age = 0.0 if fresh else None
        allowed = await self._provider.allows(cookies, channel.name, max_age=age)
        return Right.READ if allowed else Right.NONE

    async def record_to_publish(self, channel: Channel) -> RoomRecord | None:
        """Return the record for a publication of the backend; None where there is none and none is needed.

        Where subscribing creates rooms, publishing creates one as well.

        Raises:
            CommandError: `UNKNOWN_ROOM`: there is no record and none is created.
        """
        if not self.needs_record(channel):
            return await self._engine.rooms.get(channel)
        return await self._records.to_publish(channel, self.namespace(channel))
