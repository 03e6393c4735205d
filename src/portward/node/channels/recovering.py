"""Subscribing to one channel; a large recovery is sent as fast as the client reads."""

from typing import Final

from msgspec.structs import replace

from portward.engines.port import Engine
from portward.hub.recovery import merge
from portward.model.commands import Subscribe
from portward.model.errors import CommandError
from portward.model.grants import Grant
from portward.model.position import Position
from portward.model.publication import HistoryPage, HistoryQuery
from portward.model.replies import (
    INSUFFICIENT_STATE,
    AnsweredLater,
    Delivery,
    Reply,
    Subscribed,
)
from portward.node.channels.subscriptions import Prepared, Subscriptions
from portward.node.sessions import PACED, ReplyWriter, Session, fitting, must_wait, size_of, taken

CHUNK: Final = 64
"""Publications read at a time after a reply that could not take them all."""


class Recovering:
    """Subscribes sessions. When a recovery exceeds one reply, the rest is sent as ordinary publications."""

    def __init__(
        self, engine: Engine, subscriptions: Subscriptions, reply_writer: ReplyWriter
    ) -> None:
        self._engine = engine
        self._subscriptions = subscriptions
        self._reply_writer = reply_writer

    async def enter(self, session: Session, grant: Grant[Subscribe]) -> Reply:
        """Subscribe. Returns the reply, or `AnsweredLater` when it was sent in parts.

        Raises:
            CommandError: as `Subscriptions.subscribe`.
        """
        prepared = await self._subscriptions.prepare(session, grant)
        try:
            publications = prepared.page.publications
            if publications and merge(prepared.since, prepared.page, []).recovered:
                count = fitting(session, publications)
                if count < len(publications):
                    return await self._in_parts(session, grant.command, prepared, count)
                if must_wait(session, sum(map(size_of, publications))):
                    await taken(session)
        except BaseException:
            self._subscriptions.rollback(session, prepared)
            raise
        return self._subscriptions.complete(session, prepared)

    async def _in_parts(
        self, session: Session, command: Subscribe, prepared: Prepared, count: int
    ) -> Reply:
        """Reply with the first missed publications, and send the rest as the client reads."""
        page, channel = prepared.page, command.channel
        first = page.publications[:count]
        at = first[-1].offset
        if must_wait(session, PACED):
            await taken(session)
        self._subscriptions.check_current(session, prepared.subscription)
        answer = Subscribed(
            channel=channel,
            position=Position(at, page.position.epoch),
            participants=prepared.participants,
            recovered=True,
            publications=first,
        )
        self._reply_writer.reply(session, command, answer)
        # From here on the client is subscribed: a later failure must be reported to it.
        prepared.known = prepared.subscription.settled = True
        prepared.page = replace(page, publications=())
        while at < page.position.offset:
            await taken(session)
            following = await self._following(session, prepared, at)
            if following is None:
                return AnsweredLater()
            at = self._write_page(session, prepared, following)
        prepared.since = page.position
        reply = self._subscriptions.complete(session, prepared)
        for push in reply.later:
            session.push(push)
        return AnsweredLater()

    async def _following(self, session: Session, prepared: Prepared, at: int) -> HistoryPage | None:
        """Return the publications after an offset; None when the session is no longer subscribed."""
        subscription, epoch = prepared.subscription, prepared.page.position.epoch
        query = HistoryQuery(limit=CHUNK, since=Position(at, epoch))
        channel = subscription.channel
        page = await self._engine.streams.history(channel, query, prepared.namespace)
        try:
            await self._subscriptions.recheck_record(session, subscription)
            self._subscriptions.check_current(session, subscription)
        except CommandError:
            # The code that removed the subscription has informed the client.
            return None
        whole = page.complete and page.position.epoch == epoch and page.publications
        if whole and page.publications[0].offset == at + 1:
            return page
        self._subscriptions.remove(session, channel, INSUFFICIENT_STATE)
        return None

    @staticmethod
    def _write_page(session: Session, prepared: Prepared, page: HistoryPage) -> int:
        """Write part of a page as ordinary publications. Returns the last offset written."""
        at, room = 0, PACED
        channel, epoch = prepared.subscription.channel, page.position.epoch
        for publication in page.publications:
            if publication.offset > prepared.page.position.offset or (room <= 0 and at):
                break
            session.push(Delivery(channel=channel, publication=publication, epoch=epoch))
            at, room = publication.offset, room - size_of(publication)
        return at
