"""Subscriptions to several channels by one message: each is authorized and answered separately."""

from collections import deque
from typing import Final

from portward.model.channel import Channel
from portward.model.commands import Subscribe, SubscribeEach, Wanted
from portward.model.errors import RATE_FAULTS, CommandError, ErrorKind, Unavailable
from portward.model.limits import JOINED_AT_ONCE
from portward.model.replies import AnsweredLater, Failure, Reply, SubscribedEach
from portward.node.channels.recovering import Recovering
from portward.node.channels.subscribe_cost import SubscribeCost
from portward.node.rights import Authorizer
from portward.node.sessions import (
    NodeContext,
    ReplyWriter,
    Session,
    count_fault,
    count_refusal,
    must_wait,
    pace,
)
from portward.telemetry.events import Event

RETRY: Final = 1000
"""Milliseconds after which to retry for a channel whose subscription is in progress."""


class _MultiSubscribeJob:
    """One message in progress: the remaining channels and the results of the others."""

    def __init__(self, command: SubscribeEach) -> None:
        self.command = command
        self.rest = deque(command.wanted)
        self.joined: list[Channel] = []
        self.failed: list[Failure] = []

    @property
    def reply(self) -> SubscribedEach:
        """The final reply to the message."""
        return SubscribedEach(channels=tuple(self.joined), failed=tuple(self.failed))


class MultiSubscribe:
    """Subscribes to the channels of a message one after the other.

    A job starts in the order of messages. When the client does not read fast enough, the job continues
    in the background, so that other commands of the client are answered meanwhile.
    """

    def __init__(
        self,
        context: NodeContext,
        subscribe_cost: SubscribeCost,
        authorizer: Authorizer,
        recovering: Recovering,
        reply_writer: ReplyWriter,
    ) -> None:
        self._subscribe_cost = subscribe_cost
        self._authorizer = authorizer
        self._recovering = recovering
        self._reply_writer = reply_writer
        self._telemetry = context.telemetry
        self._background = context.background
        self._clock = context.clock
        self._jobs: dict[Session, deque[_MultiSubscribeJob]] = {}

    async def subscribe(self, session: Session, command: SubscribeEach) -> Reply:
        """Subscribe to the channels of a message; return the final reply, or `AnsweredLater`.

        Raises:
            CommandError: `LIMIT_EXCEEDED`, too many subscriptions are in progress already.
        """
        job, jobs = _MultiSubscribeJob(command), self._jobs.get(session)
        if jobs is not None:
            if sum(len(each.rest) for each in jobs) + len(job.rest) > JOINED_AT_ONCE:
                raise CommandError(ErrorKind.LIMIT_EXCEEDED)
            jobs.append(job)
            return AnsweredLater()
        while job.rest and session.alive:
            if must_wait(session):
                self._jobs[session] = deque([job])
                self._background.run(self._go_on(session))
                return AnsweredLater()
            await self._next(session, job)
        self._count(session, job)
        return job.reply

    async def _go_on(self, session: Session) -> None:
        """Finish the jobs of a session at the rate at which its client reads."""
        jobs = self._jobs[session]
        try:
            while jobs and session.alive:
                job = jobs[0]
                while job.rest and session.alive:
                    await pace(session)
                    await self._next(session, job)
                self._count(session, job)
                self._reply_writer.reply(session, job.command, job.reply)
                jobs.popleft()
        finally:
            del self._jobs[session]

    async def _next(self, session: Session, job: _MultiSubscribeJob) -> None:
        wanted = job.rest[0]
        try:
            await self._join(session, job, wanted)
        except CommandError as fault:
            self._refuse(session, job, wanted, fault)
        except Unavailable:
            self._refuse(session, job, wanted, CommandError(ErrorKind.UNAVAILABLE))
        finally:
            if job.rest and job.rest[0] is wanted:
                job.rest.popleft()

    async def _join(self, session: Session, job: _MultiSubscribeJob, wanted: Wanted) -> None:
        channel = wanted.channel
        if channel is None:
            raise CommandError(ErrorKind.INVALID_CHANNEL)
        await self._subscribe_cost.charge(session, (channel,))
        command = Subscribe(id=job.command.id, channel=channel, since=wanted.since)
        grant = await self._authorizer.grant(session, channel, command)
        reply = await self._recovering.enter(session, grant)
        self._reply_writer.reply(session, command, reply)
        job.joined.append(channel)

    def _refuse(
        self, session: Session, job: _MultiSubscribeJob, wanted: Wanted, fault: CommandError
    ) -> None:
        fault.command_id = job.command.id
        fault.about = fault.part = wanted.about
        job.failed.append(Failure(wanted.about, fault))
        self._reply_writer.reply_error(session, fault)

    def _count(self, session: Session, job: _MultiSubscribeJob) -> None:
        """Count a message once, for any number of refused channels."""
        faults = [failure.fault for failure in job.failed]
        limited = [fault for fault in faults if fault.kind in RATE_FAULTS]
        if limited:
            self._telemetry.record(
                Event.RATELIMIT_HIT,
                client=session.id,
                address=session.address,
                user=session.user,
                reason=limited[0].kind.code,
            )
            count_refusal(session, limited[-1], self._clock.monotonic())
        elif faults and not job.joined and not faults[-1].kind.temporary:
            count_fault(session, faults[-1])

    def check(self, session: Session, channel: Channel) -> None:
        """Refuse a subscription to a channel that a running job still has to subscribe to.

        Raises:
            CommandError: `UNAVAILABLE`, retry after `RETRY` milliseconds.
        """
        if any(wanted.channel == channel for wanted in self._coming(session)):
            raise CommandError(ErrorKind.UNAVAILABLE, retry_after=RETRY)

    def _coming(self, session: Session) -> list[Wanted]:
        return [wanted for job in self._jobs.get(session, ()) for wanted in job.rest]

    def drop(self, session: Session, channel: Channel) -> None:
        """Remove a channel, which the client unsubscribed from, from the remaining ones."""
        for job in self._jobs.get(session, ()):
            for wanted in [each for each in job.rest if each.channel == channel]:
                job.rest.remove(wanted)
                job.failed.append(Failure(wanted.about, CommandError(ErrorKind.NOT_SUBSCRIBED)))
