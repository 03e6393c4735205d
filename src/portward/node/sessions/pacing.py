"""Flow control for large writes, such as a recovery: they are written as fast as the client reads."""

import asyncio
from typing import Final

import msgspec

from portward.model.limits import KIB
from portward.model.publication import Publication
from portward.node.sessions.session import Session

PACED: Final = 256 * KIB
"""Bytes that may be unsent while a client gets what it missed."""
ANSWER: Final = 512 * KIB
"""Bytes of missed publications in one reply; the rest follows as ordinary publications."""
_AROUND: Final = 256
"""The approximate size of a publication without its data, in bytes."""


def must_wait(session: Session, size: int = 0) -> bool:
    """Return whether writing `size` more bytes must wait until the client has read more."""
    unsent = session.transport.unsent()
    return unsent > 0 and ((size == 0 and unsent > PACED // 2) or unsent + size > PACED)


async def taken(session: Session) -> None:
    """Wait until nothing is unsent, or the session is closed."""
    event = asyncio.Event()
    session.transport.when_sent(event.set)
    await event.wait()


async def pace(session: Session) -> None:
    """Wait until nothing is unsent, if much is unsent."""
    if must_wait(session):
        await taken(session)


def size_of(publication: Publication) -> int:
    """Return the approximate size of a publication in bytes."""
    data = publication.data
    return _AROUND + (len(data) if isinstance(data, str) else len(msgspec.json.encode(data)))


def fitting(session: Session, publications: tuple[Publication, ...]) -> int:
    """Return how many of the publications fit into one reply; at least one."""
    room = min(ANSWER, session.endpoint.rules.backpressure_threshold // 2)
    for number, publication in enumerate(publications):
        room -= size_of(publication)
        if room < 0:
            return max(1, number)
    return len(publications)
