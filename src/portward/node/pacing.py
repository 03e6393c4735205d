"""What brings much at once, a recovery above all, is written as fast as its reader takes it."""

import asyncio
from typing import Final

import msgspec

from portward.model.limits import KIB
from portward.model.publication import Publication
from portward.node.session import Session

PACED: Final = 256 * KIB
"""Bytes that may wait for a reader while it is being brought what it missed."""
ANSWER: Final = 512 * KIB
"""Bytes of missed publications in one answer; those beyond follow as ordinary ones."""
_AROUND: Final = 256
"""Bytes around the data of one publication, about."""


def must_wait(session: Session, size: int = 0) -> bool:
    """Whether so many bytes more should wait until the reader has taken what was written."""
    unsent = session.link.unsent()
    return unsent > 0 and ((size == 0 and unsent > PACED // 2) or unsent + size > PACED)


async def taken(session: Session) -> None:
    """Wait until the reader has taken everything, or the session is over."""
    event = asyncio.Event()
    session.link.when_taken(event.set)
    await event.wait()


async def pace(session: Session) -> None:
    """Wait for the reader, if much was written that it has not taken."""
    if must_wait(session):
        await taken(session)


def size_of(publication: Publication) -> int:
    """About how many bytes a publication takes."""
    data = publication.data
    return _AROUND + (len(data) if isinstance(data, str) else len(msgspec.json.encode(data)))


def fitting(session: Session, publications: tuple[Publication, ...]) -> int:
    """How many of the publications fit into one answer; at least one of them."""
    room = min(ANSWER, session.endpoint.rules.max_unsent // 2)
    for number, publication in enumerate(publications):
        room -= size_of(publication)
        if room < 0:
            return max(1, number)
    return len(publications)
