"""A message of a channel: before the engine stores it, and as the engine returns it."""

from typing import Any

import msgspec

from portward.model.channel import Channel
from portward.model.position import Position


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """A publication that has no position yet. `data` is any JSON value; `time` is Unix milliseconds."""

    id: str
    time: int
    data: Any
    key: str | None = None
    type: str | None = None
    user: str | None = None
    email: str | None = None
    signature: str | None = None
    origin: Channel | None = None
    """In a combined channel: the channel it was published in."""
    attachments: tuple[bytes, ...] = ()
    """Bytes that `data` refers to by their number, for protocols that can carry them."""
    exclude: str | None = None
    """The id of the one connection that does not get this publication."""


class Publication(msgspec.Struct, frozen=True, kw_only=True):
    """A publication with its offset; the epoch belongs to the stream and is passed separately."""

    id: str
    offset: int
    time: int
    data: Any
    key: str | None = None
    type: str | None = None
    user: str | None = None
    email: str | None = None
    signature: str | None = None
    origin: Channel | None = None
    attachments: tuple[bytes, ...] = ()

    @classmethod
    def at(cls, offset: int, draft: Draft) -> "Publication":
        """Make a publication from a draft and its offset."""
        return cls(
            id=draft.id,
            offset=offset,
            time=draft.time,
            data=draft.data,
            key=draft.key,
            type=draft.type,
            user=draft.user,
            email=draft.email,
            signature=draft.signature,
            origin=draft.origin,
            attachments=draft.attachments,
        )


class HistoryPage(msgspec.Struct, frozen=True):
    """Publications of a stream in offset order, and the position of the stream when they were read."""

    publications: tuple[Publication, ...]
    position: Position
    complete: bool = True
    """False when publications between the requested start and the first one here are lost."""
    latest: tuple[Publication, ...] = ()
    """The last publication of every key at this position, in offset order, when requested."""


class HistoryQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The part of a stream to read: after `since`, before offset `before`, at most `limit`.

    With `reverse`, the newest `limit` publications are read (but returned oldest first). With `latest`, the
    last publication of every key is returned too.
    """

    limit: int
    since: Position | None = None
    before: int | None = None
    reverse: bool = False
    latest: bool = False
