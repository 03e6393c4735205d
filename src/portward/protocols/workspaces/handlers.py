"""Workspace commands: actions, decisions on approval requests, and state shared between connections."""

from typing import Any, Final

import msgspec
from msgspec.structs import replace

import portward.protocols.workspaces.payloads as payloads
from portward.model.approval import Approval, Verdict
from portward.model.channel import Channel
from portward.model.commands import Publish, Refresh, Subscribe
from portward.model.disconnects import Disconnect
from portward.model.errors import CommandError, ErrorKind
from portward.model.events import ValueShared
from portward.model.identity import Identity
from portward.model.replies import Delivery, Refreshed, Reply, Subscribed
from portward.node.protocol_service import ProtocolContext
from portward.node.sessions import Session
from portward.protocols.socketio.commands import Called
from portward.protocols.socketio.namespaces import outcome
from portward.protocols.workspaces.commands import (
    Act,
    Acted,
    ActionInfo,
    Asked,
    Decide,
    Decided,
    Share,
    Sharing,
)
from portward.protocols.workspaces.pending_replay import SLICE, PendingReplay
from portward.security import policy
from portward.telemetry.events import Event
from portward.telemetry.labels import type_name

ACTION: Final = "workspace_action"
"""The kind of hook that executes actions, see `Hooks.handlers`."""
DECIDED: Final = "approval_decided"
"""The listeners that get every decision made on this node, see `Hooks.listeners`."""
_REFUSED: Final = frozenset({ErrorKind.AUTHENTICATION_FAILED, ErrorKind.TOKEN_REVOKED})
SHARED_TTL: Final = 86400.0
"""Seconds that the shared state of a user is kept after the last change."""


class WorkspaceCommands:
    """Executes workspace commands."""

    def __init__(self, context: ProtocolContext) -> None:
        self._context = context
        self._engine, self._stores = context.node.engine, context.node.stores
        self._subscriptions = context.subscriptions
        self._hooks = context.hooks
        self._replay = PendingReplay(context.node)
        self._telemetry = context.node.telemetry
        self._clock = context.node.clock

    # -- rooms and credentials

    async def join(self, session: Session, command: Subscribe) -> Reply:
        """Subscribe a client to a room, and send it the pending requests there.

        Raises:
            CommandError: it is not allowed, or a limit refuses it.
        """
        channel, context = command.channel, self._context
        await context.subscribing.prepare_subscribe(session, channel)
        try:
            grant = await context.authorizer.grant(session, channel, command)
        except CommandError:
            room, user = payloads.room(channel), session.user
            self._telemetry.record(Event.UNAUTHORIZED_ROOM_ACCESS, userId=user, room=room)
            raise
        prepared = await self._subscriptions.prepare(session, grant)
        try:
            pending = await self._pending(channel)
        except BaseException:
            self._subscriptions.rollback(session, prepared)
            raise
        return self._joined(session, self._subscriptions.complete(session, prepared), pending)

    async def _pending(self, channel: Channel) -> tuple[Approval, ...]:
        """Return the pending requests of a room."""
        if channel.name.rpartition(":")[2] != payloads.APPROVALS:
            return ()
        return await self._stores.approvals.pending(channel)

    def _joined(
        self, session: Session, reply: Subscribed, pending: tuple[Approval, ...]
    ) -> Subscribed:
        """Add pending requests to the pushes after a subscribe reply, before later ones.

        Requests beyond the first slice follow as fast as the client reads.
        """
        sent = {
            payloads.request_of(push.publication)
            for push in reply.later
            if isinstance(push, Delivery)
        }
        waiting = [each for each in pending if each.id not in sent]
        self._replay.replay(session, reply.channel, waiting[SLICE:])
        asked = (Asked(approval=each) for each in waiting[:SLICE])
        return replace(reply, later=(*asked, *reply.later))

    async def refresh(self, session: Session, command: Refresh) -> Reply:
        """Replace the token. A refused one ends the session.

        Raises:
            CommandError: the token is refused, or older than the current one.
        """
        try:
            identity = await self._context.authentication.replace_token(session, command.token)
        except CommandError as fault:
            if fault.kind in _REFUSED:
                session.end(Disconnect.AUTH_FAILED, "a refused refresh")
            raise
        await self._subscriptions.reauthorize_all(session)
        return Refreshed(session_token="", expires_at=identity.expires_at)

    # -- actions

    async def act(self, session: Session, command: Act) -> Reply:
        """Execute an action in the workspace of the user, and announce it there.

        Raises:
            CommandError: no role of the user allows it, or the handler of the application failed.
            Unavailable: the handler needs a service that is unreachable, or the action was done but not
                announced.
        """
        memberships = await self._memberships(session)
        who = _who(session)
        workspace = _workspace(who, memberships)
        if workspace is None or not policy.may_act(who, command.action):
            raise self._denied(session, type_name(Act))
        channel = self._channel(session, workspace, payloads.DASHBOARD)
        handler = self._hooks.handler(ACTION, session)
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
        await self._publish(channel, payloads.UPDATE, data)
        return Acted(result=result)

    async def _memberships(self, session: Session) -> frozenset[str] | None:
        """Return the workspaces of a user in the directory; the session may change or end meanwhile."""
        return (await self._stores.directory.rights(_who(session).subject)).workspaces

    # -- approvals

    async def decide(self, session: Session, command: Decide) -> Reply:
        """Decide on a request; the first decision counts, on whatever node it was made.

        Raises:
            CommandError: `PERMISSION_DENIED`, the user may not, or its workspaces have no such request;
                `ALREADY_DECIDED`, there was an earlier decision, or it has expired.
        """
        memberships = await self._memberships(session)
        approval = await self._stores.approvals.get(command.request)
        who = _who(session)
        if approval is None or not _may_decide(session, who, approval.channel, memberships):
            raise self._denied(session, type_name(Decide))
        verdict = Verdict(
            decision=command.decision,
            user=who.subject,
            at=self._clock.time(),
            comment=command.comment,
        )
        decided, won = await self._stores.approvals.decide(approval, verdict)
        if decided is None or not won:
            raise CommandError(ErrorKind.ALREADY_DECIDED)
        self._telemetry.record(
            Event.APPROVAL_DECIDED,
            user=who.subject,
            channel=decided.channel,
            reason=command.decision.value,
        )
        self._hooks.notify(DECIDED, decided)
        await self._publish(decided.channel, payloads.RESOLVED, payloads.resolved(decided))
        return Decided()

    async def ask(self, approval: Approval) -> bool:
        """Store a request and announce it. Returns False when the id is taken or too many are pending.

        Raises:
            EngineUnavailable: it may be stored; a repetition with the same id announces it.
        """
        if not await self._stores.approvals.add(approval):
            return False
        await self.announce(approval)
        return True

    async def announce(self, approval: Approval) -> None:
        """Announce a request; a repetition within a few minutes has no effect.

        Raises:
            EngineUnavailable: it was not announced.
        """
        once = f"approval {approval.id}"
        await self._publish(
            approval.channel, payloads.REQUESTED, payloads.requested(approval), once
        )

    # -- shared state

    async def share(self, session: Session, command: Share) -> Reply:
        """Set a shared value of the user, and push it to its other connections."""
        who = _who(session)
        owner = msgspec.json.encode([who.workspace, who.subject]).decode()
        kept, accepted = await self._stores.user_state.put(
            owner, command.key, command.value, command.version, SHARED_TTL
        )
        if not accepted:
            return Sharing(accepted=False, version=kept.version, value=kept.value)
        await self._engine.streams.publish_control(
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

    # -- helpers

    async def _publish(
        self, channel: Channel, event: str, data: dict[str, Any], once: str | None = None
    ) -> None:
        command = Publish(channel=channel, type=event, data=data, idempotency_key=once)
        await self._context.publishing.publish(policy.trusted(command))

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
    """Return the current identity.

    Raises:
        CommandError: `NOT_AUTHENTICATED`, there is none, or the session has ended.
    """
    if session.identity is None or not session.alive:
        raise CommandError(ErrorKind.NOT_AUTHENTICATED)
    return session.identity


def _workspace(who: Identity, memberships: frozenset[str] | None) -> str | None:
    """Return the workspace a user acts in: that of the token, or the only one in the directory."""
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
