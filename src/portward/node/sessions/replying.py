"""Writing of replies and command errors: encoded by the protocol of the endpoint, and counted."""

from collections.abc import Callable

from portward.model.channel import Channel
from portward.model.clock import Clock
from portward.model.commands import Command
from portward.model.errors import CommandError, ErrorKind
from portward.model.lifecycle import State
from portward.model.payload import BinaryPayload
from portward.model.replies import AnsweredLater, Reply, Subscribed, SubscribedMany
from portward.node.sessions.session import Session
from portward.telemetry import Telemetry
from portward.telemetry.labels import type_name


class ReplyWriter:
    """Writes replies. `leave` ends a subscription whose reply cannot be sent."""

    def __init__(
        self, telemetry: Telemetry, clock: Clock, leave: Callable[[Session, Channel], object]
    ) -> None:
        self._telemetry = telemetry
        self._clock = clock
        self._leave = leave

    def reply(self, session: Session, command: Command, reply: Reply) -> None:
        """Write the reply to a command, and the pushes that follow it.

        Raises:
            CommandError: `LIMIT_EXCEEDED`, the snapshot of the channel exceeds what may be unsent.
        """
        endpoint = session.endpoint
        if session.state is State.ENDED or isinstance(reply, AnsweredLater):
            return
        payload = session.protocol.reply(command, reply, int(self._clock.time() * 1000))
        if payload is not None:
            if isinstance(reply, Subscribed) and reply.snapshot:
                self._fit(session, reply, len(payload))
            framing = endpoint.framing
            session.transport.write(
                framing.binary(payload)
                if isinstance(payload, BinaryPayload)
                else framing.text(payload)
            )
            self._telemetry.metrics.sent(endpoint.name, type_name(type(reply)), len(payload))
        if isinstance(reply, Subscribed | SubscribedMany):
            for push in reply.later:
                session.push(push)

    def _fit(self, session: Session, reply: Subscribed, size: int) -> None:
        """End a subscription whose snapshot is too large; all other replies have limited sizes."""
        if size > session.endpoint.rules.backpressure_threshold:
            self._leave(session, reply.channel)
            raise CommandError(ErrorKind.LIMIT_EXCEEDED)

    def reply_error(self, session: Session, fault: CommandError) -> None:
        """Write a command error."""
        endpoint = session.endpoint
        self._telemetry.metrics.faults_total.add((endpoint.name, fault.kind.code))
        if not session.alive:
            return
        payload = session.protocol.reply_error(fault, int(self._clock.time() * 1000))
        if payload is not None:
            session.transport.write(endpoint.framing.text(payload))
            self._telemetry.metrics.sent(endpoint.name, "fault", len(payload))
