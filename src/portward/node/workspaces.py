"""What users do in their workspaces: actions, verdicts, state shared between their connections."""

from collections.abc import Callable
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from portward.dialects.socketio import payloads
from portward.engines.port import Engine
from portward.model.approval import Approval, Verdict
from portward.model.channel import Channel
from portward.model.clock import Clock
from portward.model.commands import Act, Decide, Publish, Share
from portward.model.errors import CommandError, ErrorKind
from portward.model.events import ValueShared
from portward.model.identity import Identity
from portward.model.replies import (
    Acted,
    Asked,
    Called,
    Decided,
    Delivery,
    Reply,
    Sharing,
    Subscribed,
)
from portward.node.hooks import HookRunner
from portward.node.pending_replay import SLICE, PendingReplay
from portward.node.ports import ActionInfo
from portward.node.session import Session
from portward.node.socketio_handlers import outcome
from portward.node.streams import Publishing
from portward.security import policy
from portward.telemetry import Telemetry
from portward.telemetry.events import Event
from portward.telemetry.labels import type_name

SHARED_TTL: Final = 86400.0
"""Seconds a user's shared state is kept after it was last set."""


class WorkspaceCommands:
    """Carries these commands out. `decided` is told of every verdict that was given here."""

    def __init__(
        self,
        engine: Engine,
        streams: Publishing,
        hooks: HookRunner,
        backlog: PendingReplay,
        telemetry: Telemetry,
        clock: Clock,
    ) -> None:
        self._engine = engine
        self._streams = streams
        self._hooks = hooks
        self._backlog = backlog
        self._telemetry = telemetry
        self._clock = clock
        self.decided: Callable[[Approval], None] | None = None

    # -- actions

    async def act(self, session: Session, command: Act) -> Reply:
        """Do something in the user's workspace, and announce it there.

        Raises:
            Fault: no role of the user allows it, or the application's handler failed.
            Unavailable: the handler needed what cannot be reached now, or it was done and not announced.
        """
        memberships = await self._memberships(session)
        who = _who(session)
        workspace = _workspace(who, memberships)
        if workspace is None or not policy.may_act(who, command.action):
            raise self._denied(session, type_name(Act))
        channel = self._channel(session, workspace, payloads.DASHBOARD)
        handler = self._hooks.action(session)
        result = None
        if handler is not None:
            info = ActionInfo(
                workspace=workspace,
                user=who.subject,
                action=command.action,
                payload=command.payload,
                connection=session.id,
            )
            result = await outcome(self._hooks, session, handler, info)
        if isinstance(result, Called):
            return result
        data = payloads.updated(command.action, command.payload, who.subject)
        await self._say(channel, payloads.UPDATE, data)
        return Acted(result=result)

    async def _memberships(self, session: Session) -> frozenset[str] | None:
        """The workspaces the directory has for a user, who may change or go while it is asked."""
        return (await self._engine.directory.facts(_who(session).subject)).workspaces

    # -- approvals

    async def decide(self, session: Session, command: Decide) -> Reply:
        """Give the verdict on a request; the first one counts, on whatever node it was given.

        Raises:
            Fault: `PERMISSION_DENIED`, the user may not, or there is no such request in its workspaces;
                `ALREADY_DECIDED`, somebody was faster, or it has expired.
        """
        memberships = await self._memberships(session)
        approval = await self._engine.approvals.get(command.request)
        who = _who(session)
        if approval is None or not _may_decide(session, who, approval.channel, memberships):
            raise self._denied(session, type_name(Decide))
        verdict = Verdict(
            decision=command.decision,
            user=who.subject,
            at=self._clock.time(),
            comment=command.comment,
        )
        decided, won = await self._engine.approvals.decide(command.request, verdict)
        if decided is None or not won:
            raise CommandError(ErrorKind.ALREADY_DECIDED)
        self._telemetry.record(
            Event.APPROVAL_DECIDED,
            user=who.subject,
            channel=decided.channel,
            reason=command.decision.value,
        )
        if self.decided is not None:
            self.decided(decided)
        await self._say(decided.channel, payloads.RESOLVED, payloads.resolved(decided))
        return Decided()

    async def pending(self, channel: Channel) -> tuple[Approval, ...]:
        """The requests that wait for a decision of those in a room."""
        if channel.name.rpartition(":")[2] != payloads.APPROVALS:
            return ()
        return await self._engine.approvals.pending(channel)

    def joined(
        self, session: Session, reply: Subscribed, pending: tuple[Approval, ...]
    ) -> Subscribed:
        """Add what waits for a decision to what a newcomer is told first: news of it comes after.

        What is more than one slice follows as fast as it reads.
        """
        told = {
            payloads.request_of(push.publication)
            for push in reply.later
            if isinstance(push, Delivery)
        }
        waiting = [each for each in pending if each.id not in told]
        self._backlog.replay(session, reply.channel, waiting[SLICE:])
        asked = (Asked(approval=each) for each in waiting[:SLICE])
        return replace(reply, later=(*asked, *reply.later))

    async def ask(self, approval: Approval) -> bool:
        """Keep a request, and tell who may decide. False: the id is taken, or too many wait.

        Raises:
            EngineUnavailable: it may be kept; asking again with the same id tells.
        """
        if not await self._engine.approvals.add(approval):
            return False
        await self.announce(approval)
        return True

    async def announce(self, approval: Approval) -> None:
        """Tell of a request; said again within a few minutes it changes nothing.

        Raises:
            EngineUnavailable: it was not told.
        """
        once = f"approval {approval.id}"
        await self._say(approval.channel, payloads.REQUESTED, payloads.requested(approval), once)

    # -- shared state

    async def share(self, session: Session, command: Share) -> Reply:
        """Set a value of the user's own, and tell its other connections."""
        who = _who(session)
        owner = msgspec.json.encode([who.workspace, who.subject]).decode()
        kept, accepted = await self._engine.shared.put(
            owner, command.key, command.value, command.version, SHARED_TTL
        )
        if not accepted:
            return Sharing(accepted=False, version=kept.version, value=kept.value)
        await self._engine.broker.announce(
            ValueShared(
                user=who.subject,
                workspace=who.workspace,
                client=session.id,
                key=command.key,
                value=command.value,
                version=kept.version,
            )
        )
        return Sharing(accepted=True, version=kept.version)

    def unwelcome(self, session: Session, channel: Channel) -> None:
        """Record who asked for a room that is not open to it."""
        if session.conversation is not None:
            self._telemetry.record(
                Event.UNAUTHORIZED_ROOM_ACCESS, userId=session.user, room=payloads.room(channel)
            )

    # -- inside

    async def _say(
        self, channel: Channel, event: str, data: dict[str, Any], once: str | None = None
    ) -> None:
        command = Publish(channel=channel, type=event, data=data, idempotency_key=once)
        await self._streams.publish(policy.trusted(command))

    @staticmethod
    def _channel(session: Session, workspace: str, kind: str) -> Channel:
        namespace = session.endpoint.namespace
        try:
            return payloads.channel(namespace.name if namespace else "", workspace, kind)
        except ValueError:
            raise CommandError(ErrorKind.PERMISSION_DENIED, detail="workspace") from None

    def _denied(self, session: Session, command: str) -> CommandError:
        self._telemetry.record(
            Event.AUTHZ_DENY, client=session.id, user=session.user, command=command
        )
        return CommandError(ErrorKind.PERMISSION_DENIED)


def _who(session: Session) -> Identity:
    """Who it is now; nobody, once it has ended."""
    if session.identity is None or not session.alive:
        raise CommandError(ErrorKind.NOT_AUTHENTICATED)
    return session.identity


def _workspace(who: Identity, memberships: frozenset[str] | None) -> str | None:
    """The workspace a user acts in: the token's, or the only one the directory has."""
    if who.workspace is not None:
        return who.workspace if policy.belongs(who, who.workspace, memberships) else None
    return next(iter(memberships)) if memberships and len(memberships) == 1 else None


def _may_decide(
    session: Session, who: Identity, channel: Channel, memberships: frozenset[str] | None
) -> bool:
    namespace = session.endpoint.namespace
    if namespace is None or channel.namespace != namespace.name or not policy.may_decide(who):
        return False
    return policy.belongs(who, channel.name.partition(":")[0], memberships)
