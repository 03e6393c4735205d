"""One message in a channel: as it is handed to the engine, and as the engine returns it."""

from typing import Any

import msgspec

from portward.model.channel import Channel
from portward.model.position import Position


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """A publication before the engine gave it a position. `data` is any JSON value, `time` milliseconds."""

    id: str
    time: int
    data: Any
    key: str | None = None
    type: str | None = None
    user: str | None = None
    email: str | None = None
    signature: str | None = None
    origin: Channel | None = None
    """In a combined channel: where it was said."""
    attachments: tuple[bytes, ...] = ()
    """Bytes that `data` refers to by their number, for dialects that can carry them."""
    exclude: str | None = None
    """Id of the one connection that is not sent this publication."""


class Publication(msgspec.Struct, frozen=True, kw_only=True):
    """A publication with its offset; the epoch belongs to the stream and travels beside it."""

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
        """Give a draft its offset."""
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
    """Some publications of a stream in offset order, and the stream's position when they were read."""

    publications: tuple[Publication, ...]
    position: Position
    complete: bool = True
    """False when publications between the asked-for start and the first one here are gone."""
    latest: tuple[Publication, ...] = ()
    """The last publication of every key at this position, in offset order; when it was asked for."""


class HistoryQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which part of a stream to read: after `since`, before offset `before`, at most `limit`.

    With `reverse` the newest `limit` publications are meant (returned oldest first all the same).
    With `latest` the last publication of every key comes along.
    """

    limit: int
    since: Position | None = None
    before: int | None = None
    reverse: bool = False
    latest: bool = False
