"""Dispatch of client messages: decode, count, run the command, reply or send a command error."""

import asyncio

from portward.model.commands import (
    FIRST_CREDENTIAL,
    UNLIMITED,
    Command,
    OpenSocket,
    Ping,
    Signal,
    SubscribeEach,
)
from portward.model.disconnects import Disconnect
from portward.model.errors import RATE_FAULTS, CommandError, ErrorKind, Unavailable
from portward.model.lifecycle import State
from portward.model.limits import LimitName
from portward.model.replies import Reply
from portward.node.commands.handlers import CommandHandlers
from portward.node.sessions import (
    Limiter,
    NodeContext,
    ReplyWriter,
    Session,
    UpstreamPipe,
    count_fault,
    count_refusal,
)
from portward.protocols.socketio import PacketError, SocketIoPacket
from portward.telemetry.events import Event
from portward.telemetry.labels import type_name


class Dispatcher:
    """Decodes the messages of all sessions, runs their commands and sends the replies."""

    def __init__(
        self, context: NodeContext, commands: CommandHandlers, reply_writer: ReplyWriter
    ) -> None:
        self._telemetry = context.telemetry
        self._clock = context.clock
        self._cluster_limits = context.cluster_limits
        self._commands = commands
        self._reply_writer = reply_writer

    async def handle_message(
        self, session: Session, payload: bytes | SocketIoPacket, binary: bool
    ) -> None:
        """Decode, count, run and answer one message. Raises no error, except a cancellation."""
        command: Command | None = None
        try:
            if session.tunnel is not None and isinstance(payload, bytes):
                command = session.tunnel.own(payload)
                if command is None:
                    await self._relay(session, session.tunnel, payload, binary)
                    return
                self._charge(session, command, len(payload))
            else:
                command = self._read(session, payload, binary)
            if self._cluster_limits.enabled:
                await self._count_everywhere(session, command)
            reply = await self._commands.run(session, command)
            self._reply_writer.reply(session, command, reply)
        except CommandError as fault:
            self.reply_error(session, _addressed(fault, command))
        except Unavailable:
            self.reply_error(session, _addressed(CommandError(ErrorKind.UNAVAILABLE), command))
        except PacketError as error:
            session.end(Disconnect.PROTOCOL_ERROR, f"Socket.IO: {error}")
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - one client's message must not end the process
            self._telemetry.failure(error)
            self.reply_error(session, _addressed(CommandError(ErrorKind.INTERNAL), command))
        else:
            _clear(session, command, reply)

    async def _relay(
        self, session: Session, tunnel: UpstreamPipe, payload: bytes, binary: bool
    ) -> None:
        self._telemetry.metrics.received(session.endpoint.name, "relayed", len(payload))
        await tunnel.forward(payload, binary=binary)
        session.faults = 0

    def _read(self, session: Session, payload: bytes | SocketIoPacket, binary: bool) -> Command:
        """Decode one message and count it, also when it cannot be decoded."""
        endpoint, metrics = session.endpoint, self._telemetry.metrics
        try:
            command = self._decode(session, payload, binary)
        except CommandError as fault:
            metrics.received(endpoint.name, "invalid", len(payload))
            self._count(session, None, fault.command_id)
            raise
        self._charge(session, command, len(payload))
        return command

    def _charge(self, session: Session, command: Command, size: int) -> None:
        """Count a command of `size` bytes against the limit on messages."""
        self._telemetry.metrics.received(session.endpoint.name, type_name(type(command)), size)
        try:
            self._count(session, command, command.id)
        except CommandError as limited:
            if type(command) not in UNLIMITED:
                raise _addressed(limited, command) from None

    async def _count_everywhere(self, session: Session, command: Command) -> None:
        """Count a command against the limit over all nodes."""
        limit = None if type(command) in UNLIMITED else _limit(session, command)
        if limit is not None:
            await self._cluster_limits.check(*limit, self._clock.monotonic())

    @staticmethod
    def _decode(session: Session, payload: bytes | SocketIoPacket, binary: bool) -> Command:
        if isinstance(payload, bytes):
            return session.endpoint.protocol.decode(payload, binary)
        if session.conversation is None:
            raise CommandError(ErrorKind.INVALID_FORMAT)
        return session.conversation.command(payload)

    def _count(
        self, session: Session, command: Command | None, command_id: str | int | None
    ) -> None:
        limit = _limit(session, command)
        if limit is None:
            return
        limiter, keys = limit
        try:
            limiter.check(keys, self._clock.monotonic())
        except CommandError as limited:
            limited.command_id = command_id
            raise

    def reply(self, session: Session, command: Command, reply: Reply) -> None:
        """Send the reply to a command. Raises the errors of `ReplyWriter.reply`."""
        self._reply_writer.reply(session, command, reply)

    def reply_error(self, session: Session, fault: CommandError) -> None:
        """Send a command error and count it: too many in a row end the session."""
        self._reply_writer.reply_error(session, fault)
        if not session.alive:
            return
        if fault.kind in RATE_FAULTS:
            self._record_excess(session)
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

    def _record_excess(self, session: Session) -> None:
        """Also record the event of the older workspace gateway, for Socket.IO sessions."""
        if session.conversation is not None:
            self._telemetry.record(
                Event.RATE_LIMIT_EXCEEDED, clientId=session.id, ip=session.address
            )


def _limit(session: Session, command: Command | None) -> tuple[Limiter, tuple[str, ...]] | None:
    """Return the limit that counts a message and the keys to count by; None when it is not counted.

    A first credential is counted by the limit of refused credentials alone: counted as messages of an
    address, those of one client would block others of that address. `typing` has its own count by user
    and channel; without a subscription to the channel it counts as an ordinary message. A ping that is
    not charged is bounded by the limit on frames.
    """
    limits = session.endpoint.limits
    if session.state is State.NEW and type(command) in FIRST_CREDENTIAL:
        return None
    if isinstance(command, Ping) and not command.charged:
        return None
    if type(command) is Signal and command.channel in session.subscriptions:
        return limits[LimitName.TYPING], (f"user {session.user} {command.channel}",)
    return limits[LimitName.MESSAGES], session.limit_keys


def _clear(session: Session, command: Command, reply: Reply) -> None:
    """Reset the counts of command errors and refusals after a successful command.

    A message that is not charged leaves them unchanged, as does one whose channels were all refused.
    """
    if isinstance(command, Ping) and not command.charged:
        return
    if isinstance(command, SubscribeEach) and not getattr(reply, "channels", ()):
        return
    session.faults = session.refusals = 0


def _addressed(fault: CommandError, command: Command | None) -> CommandError:
    """Set the command id and the channel that a command error is about, and return the error."""
    if command is not None:
        fault.command_id = command.id
        if isinstance(command, OpenSocket):
            fault.nsp = command.nsp
        channel = getattr(command, "channel", None)
        if fault.about is None and channel is not None:
            fault.about = channel.name
    return fault
