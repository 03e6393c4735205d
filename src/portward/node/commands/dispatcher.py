"""Dispatch of client messages: decode, count, run the command, reply or send a command error."""

import asyncio
from collections.abc import Mapping
from typing import Any

from portward.model.commands import (
    Command,
    Signal,
    SubscribeEach,
)
from portward.model.disconnects import Disconnect
from portward.model.errors import RATE_FAULTS, CommandError, ErrorKind, Unavailable
from portward.model.lifecycle import State
from portward.model.limits import LimitName
from portward.model.replies import Reply
from portward.node.commands.handler import Handler
from portward.node.sessions import (
    Limiter,
    NodeContext,
    ProtocolViolation,
    ReplyWriter,
    Session,
    count_fault,
    count_refusal,
)
from portward.telemetry.events import Event
from portward.telemetry.labels import type_name


class Dispatcher:
    """Decodes the messages of all sessions, runs their commands and sends the replies.

    `handlers` are the tables of the protocols by name: each has the handlers of the core and its own.
    """

    def __init__(
        self,
        context: NodeContext,
        handlers: Mapping[str, Mapping[type[Command], Handler]],
        reply_writer: ReplyWriter,
    ) -> None:
        self._telemetry = context.telemetry
        self._clock = context.clock
        self._cluster_limits = context.cluster_limits
        self._handlers = handlers
        self._reply_writer = reply_writer

    async def handle_message(self, session: Session, payload: Any, binary: bool) -> None:
        """Decode, count, run and answer one message. Raises no error, except a cancellation."""
        command: Command | None = None
        try:
            command = self._read(session, payload, binary)
            if self._cluster_limits.enabled:
                await self._count_everywhere(session, command)
            reply = await self._handler(session, command)(session, command)
            self._reply_writer.reply(session, command, reply)
        except CommandError as fault:
            self.reply_error(session, _addressed(fault, command))
        except Unavailable:
            self.reply_error(session, _addressed(CommandError(ErrorKind.UNAVAILABLE), command))
        except ProtocolViolation as violation:
            session.end(Disconnect.PROTOCOL_ERROR, str(violation))
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - one client's message must not end the process
            self._telemetry.failure(error)
            self.reply_error(session, _addressed(CommandError(ErrorKind.INTERNAL), command))
        else:
            _clear(session, command, reply)

    def _read(self, session: Session, payload: Any, binary: bool) -> Command:
        """Decode one message and count it, also when it cannot be decoded."""
        metrics, name = self._telemetry.metrics, session.endpoint.name
        try:
            command = session.protocol.decode(payload, binary)
        except CommandError as fault:
            metrics.received(name, "invalid", len(payload))
            limiter = session.endpoint.limits[LimitName.MESSAGES]
            wait = limiter.wait(session.limit_keys, self._clock.monotonic())
            if wait:
                limited = limiter.fault(wait)
                limited.command_id = fault.command_id
                raise limited from None
            raise
        metrics.received(name, type_name(type(command)), len(payload))
        limit = _limit(session, command)
        if limit is not None:
            limiter, keys = limit
            wait = limiter.wait(keys, self._clock.monotonic())
            if wait and not command.unlimited:
                raise _addressed(limiter.fault(wait), command)
        return command

    def _handler(self, session: Session, command: Command) -> Handler:
        if session.state is State.NEW and not command.before_authentication:
            raise CommandError(ErrorKind.NOT_AUTHENTICATED)
        return self._handlers[session.endpoint.protocol.name][type(command)]

    async def _count_everywhere(self, session: Session, command: Command) -> None:
        """Count a command against the limit over all nodes."""
        limit = None if command.unlimited else _limit(session, command)
        if limit is not None:
            await self._cluster_limits.check(*limit, self._clock.monotonic())

    def reply_error(self, session: Session, fault: CommandError) -> None:
        """Send a command error and count it: too many in a row end the session."""
        self._reply_writer.reply_error(session, fault)
        if not session.alive:
            return
        if fault.kind in RATE_FAULTS:
            self._telemetry.record(
                Event.RATELIMIT_HIT,
                client=session.id,
                address=session.address,
                user=session.user,
                reason=fault.kind.code,
            )
            count_refusal(session, fault, self._clock.monotonic())
        elif not fault.kind.temporary and fault.kind is not ErrorKind.NOT_SUBSCRIBED:
            # Unsubscribing without a subscription is harmless, so it is not counted.
            count_fault(session, fault)


def _limit(session: Session, command: Command) -> tuple[Limiter, tuple[str, ...]] | None:
    """Return the limit that counts a message and the keys to count by; None when it is not counted.

    A first credential is counted by the limit of refused credentials alone: counted as messages of an
    address, those of one client would block others of that address. `typing` has its own count by user
    and channel; without a subscription to the channel it counts as an ordinary message. A command that is
    not charged is bounded by the limit on frames.
    """
    limits = session.endpoint.limits
    if not command.charged:
        return None
    if session.state is State.NEW and command.first_credential:
        return None
    if type(command) is Signal and command.channel in session.subscriptions:
        return limits[LimitName.TYPING], (f"user {session.user} {command.channel}",)
    identity = session.identity
    if identity is None:
        return limits[LimitName.MESSAGES], session.keys
    return limits[LimitName.MESSAGES], (f"user {identity.subject}",)


def _clear(session: Session, command: Command, reply: Reply) -> None:
    """Reset the counts of command errors and refusals after a successful command.

    A message that is not charged leaves them unchanged, as does one whose channels were all refused.
    """
    if not command.charged:
        return
    if isinstance(command, SubscribeEach) and not getattr(reply, "channels", ()):
        return
    session.faults = session.refusals = 0


def _addressed(fault: CommandError, command: Command | None) -> CommandError:
    """Set the command id and the channel that a command error is about, and return the error."""
    if command is not None:
        fault.command_id = command.id
        channel = getattr(command, "channel", None)
        if fault.about is None and channel is not None:
            fault.about = channel.name
    return fault
