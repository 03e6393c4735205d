"""Interface of an engine: four ports, start and stop. `portward.testing.engine_contract` tests it.

    Engine
    |- streams       publications with positions, and the bus between nodes
    |  `- rooms      records that guard the streams of their channels
    |- presence      who is in a channel, by connection
    |- counters      limits that count across nodes
    `- kv            values, records and lists by key; `node.stores` keeps its facts there

Every method may raise `EngineUnavailable`. No method may need the caller to be a Task (see
`node.sessions.eager_task`). Times are Unix seconds unless said otherwise.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple, Protocol

import msgspec

from portward.model.channel import Channel
from portward.model.errors import Unavailable
from portward.model.events import BusEvent
from portward.model.namespace import Namespace
from portward.model.position import Position
from portward.model.publication import Draft, HistoryPage, HistoryQuery, Publication
from portward.model.room import Room, RoomOrigin, RoomRecord


class EngineUnavailable(Unavailable):
    """The store does not answer now; the same command may succeed later.

    The command was not carried out, or its answer was lost: then it may have been carried out.
    """


class RoomEnded(Exception):  # noqa: N818 - an answer, not an error of the program
    """The room record that allowed the publish has been removed since; nothing was stored."""


class PublishResult(msgspec.Struct, frozen=True):
    """Result of a publish. With `duplicate` nothing new was stored or announced."""

    id: str
    position: Position
    duplicate: bool = False


class EngineEvents(Protocol):
    """Receiver of an engine's announcements, on every node. Called on the event loop; never raises."""

    def on_publication(
        self, channel: Channel, publication: Publication, epoch: str, exclude: str | None
    ) -> None:
        """Handle a publication that has its position."""

    def on_control(self, event: BusEvent) -> None:
        """Handle an event that some node, or this one, sent on the bus."""

    def on_interrupted(self) -> None:
        """Handle that announcements may have been lost; from now on they arrive again."""

    def on_health_changed(self, up: bool) -> None:
        """Handle that the store stopped answering, or answers again."""

    def on_eviction_changed(self, possible: bool) -> None:
        """Handle that the store may drop keys when its memory is full, or no longer may."""

    def on_keys_dropped(self) -> None:
        """Handle that the store may have dropped keys: what the node knows is written again."""


class Streams(Protocol):
    """Streams with dense offsets, and the bus."""

    async def publish(
        self,
        channel: Channel,
        draft: Draft,
        namespace: Namespace,
        idempotency_key: str | None,
        life: str | None = None,
    ) -> PublishResult:
        """Assign the offset, store and announce in one step.

        A key used within `IDEMPOTENCY_TIME` on this channel returns the first result. `life` is that of
        the room record by which this is allowed.

        Raises:
            RoomEnded: that record has been removed; the stream it guarded stays removed.
        """

    async def history(
        self, channel: Channel, query: HistoryQuery, namespace: Namespace
    ) -> HistoryPage:
        """Read a part of the stream together with its position.

        Reading a channel without a stream makes none. Its position has the offset 0 and the epoch that the
        stream gets when the first publication makes it. Every stream of a channel has another epoch than
        the streams before it, however those ended.
        """

    async def publish_control(self, event: BusEvent) -> None:
        """Send an event to every node."""

    async def subscribe(self, channel: Channel) -> None:
        """Start to receive a channel: this node has its first subscriber."""

    async def unsubscribe(self, channel: Channel) -> None:
        """Stop receiving a channel: this node's last subscriber left."""

    async def remove(self, channel: Channel) -> None:
        """Remove a channel's stream; its next stream has another epoch."""

    async def is_readable(self, channel: Channel) -> bool:
        """Whether anything can be read back from a channel: a publication, or the last one of a key."""

    async def channels(self) -> tuple[Channel, ...]:
        """Channels that have a stream."""

    def stream_counts(self) -> Mapping[str, int]:
        """How many channels this process has state of, by namespace."""


class Member(msgspec.Struct, frozen=True):
    """One connection in a channel."""

    client: str
    user: str
    email: str | None = None


LEASE = 30.0
"""Seconds an entry of presence is valid without being renewed, in a store that outlives its nodes."""


class Presence(Protocol):
    """Presence of users in channels. Entries are per connection, events per user."""

    async def enter(self, channel: Channel, member: Member, limit: int = 0) -> int | None:
        """Add a connection. Above 0: it is the user's first there; 0: it is not.

        The number orders the joins and leaves of a user in a channel: at whichever node they happen, a later
        one has a larger number. None: rejected, because `limit` other users are there already (0 means no
        limit).
        """

    async def leave(self, channel: Channel, client: str, user: str) -> int:
        """Remove a connection. The number of the leave (above 0) when it was the user's last; else 0."""

    async def renew(self, entries: list[tuple[Channel, Member]]) -> None:
        """Renew the leases of this node's connections; a swept one is entered again, without an event."""

    async def members(self, channel: Channel) -> tuple[Member, ...]:
        """Every connection in the channel, in the order of entering."""

    async def sweep(self) -> None:
        """Remove the connections whose lease has expired, and announce which users left with them."""


MAX_ROOMS = 10_000
"""Most rooms made by joins that exist at a time."""
MAX_ROOMS_OF_USER = 100
"""Most of those rooms that the joins of one user have made."""


class RoomMade(StrEnum):
    """Result of making a room that was not declared."""

    MADE = "made"
    EXISTS = "exists"
    FULL = "too many rooms"
    MAKER_FULL = "too many rooms of this user"
    ORPHAN = "messages are kept there without a record"


class RoomStore(Protocol):
    """Records of rooms, each of which guards the stream of its channel. An extension of `Streams`.

    Removing a record deletes the stream first, or both in one step, so that there is never the stream
    without the record. A record ends in one of three ways: it is removed; its `expires` has passed; or its
    origin `ends_unused`, and the sweep finds that it has not been used for its idle time, that no connection
    is in the room, and that nothing is stored. The sweep announces `RightsChanged` for each room that it
    ends; a caller that changes a record announces it itself.
    """

    async def get(self, channel: Channel) -> RoomRecord | None:
        """The record of a room, None when there is none or it has expired."""

    async def all(self) -> Mapping[Channel, RoomRecord]:
        """All records."""

    async def save(
        self, channel: Channel, room: Room, origin: RoomOrigin, *, expires: float | None = None
    ) -> None:
        """Make or replace a record that no bound applies to, and that is not removed for being unused.

        A record that replaces another keeps its `life`, and with the origin `ADMIN` its maker.
        """

    async def make(
        self, channel: Channel, room: Room, origin: RoomOrigin, maker: str, idle: float
    ) -> RoomMade:
        """Make a record that may end when it was not used for `idle` seconds.

        It replaces none, and none is made where something is stored in the channel already. Those with a
        maker are bounded: `MAX_ROOMS` of all makers, `MAX_ROOMS_OF_USER` of one.
        """

    async def use(self, channel: Channel, idle: float) -> None:
        """Record a use of a room whose record ends unused."""

    async def remove(self, channel: Channel) -> bool:
        """Delete the stream, then the record. False when there was neither."""


class Counters(Protocol):
    """Limits over all nodes: rates (GCRA), and counters.

    An engine of one process allows every rate: the node's own limit is enough.
    """

    async def take(self, key: str, interval: float, burst: int, cost: float = 1.0) -> float:
        """Count an event that costs as much as `cost` of them, and at most the whole burst.

        Returns the seconds to wait, 0.0 when allowed.
        """

    async def add(self, key: str, amount: int, ttl: float) -> int:
        """Add to a counter and return its value; with 0 it is only read.

        It is removed `ttl` seconds after its first addition.
        """


class Key(NamedTuple):
    """Name of an entry. The entries of one `group` are on one server, so that one step may change several.

    The names in a group, and those without a group, come from the gateway and do not collide. Other
    applications that share the store read or write an `external` entry, under its name without a prefix.
    """

    name: str
    group: str = ""
    external: bool = False

    @property
    def family(self) -> str:
        """What the entry is about: the part before the first colon."""
        return (self.group or self.name).partition(":")[0]


class LeaseKey(NamedTuple):
    """Name of leases: of the times when they end, and of their values, which are empty without a place."""

    until: Key
    values: Key | None = None


class IndexKey(NamedTuple):
    """Name of an index for reading. The record of a member has in the group the name `base` with the member.

    `until` is an index with the same members, whose scores are the Unix times when their records end.
    """

    key: Key
    base: str = ":"
    until: Key | None = None


NEWEST = math.inf
"""A score above all others of an index."""


class IndexEntry(NamedTuple):
    """A change of an index: an ordered set of members with scores, in the group of a record.

    An entry ends with the record. With `floor`, members of that score or less are removed first. With a
    `limit` there are never more members: the change is refused, or, with `evict`, the members with the lowest
    scores are removed together with the fields of the record that have their names.
    """

    key: Key
    member: str
    score: float | None
    """None removes the member; `NEWEST` is one more than the highest score."""
    limit: int = 0
    floor: float | None = None
    evict: bool = False
    named_in: str = ""
    """A field in which nodes of the version before expect the name of the index; others leave it out."""


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A change of a record, all of it or nothing.

    `when` has the values that the fields must have now, None for a field that must not exist. `ttl` seconds
    from now the record is removed; None leaves that time as it is, which is never for a new record. `read`
    names the fields to return. With `existing` no record is made.

    With `counted` the values that are set are stored as `<number> <value>`. The number says how often the
    field was set; unless `version` is None, that is the number now.
    """

    set: Mapping[str, bytes] = {}
    when: Mapping[str, bytes | None] = {}
    ttl: float | None = None
    indexes: tuple[IndexEntry, ...] = ()
    read: tuple[str, ...] = ()
    existing: bool = False
    counted: bool = False
    version: int | None = None

    def fits(self, fields: Mapping[str, bytes]) -> bool:
        """Whether a record with these fields is as expected; for engines that compare it themselves."""
        if self.version is not None:
            return all(_number(fields.get(name)) == self.version for name in self.set)
        return all(fields.get(name) == value for name, value in self.when.items())

    def values(self, fields: Mapping[str, bytes]) -> Mapping[str, bytes]:
        """What the fields become; for the same engines."""
        if not self.counted:
            return self.set
        return {
            name: b"%d %s" % (_number(fields.get(name)) + 1, value)
            for name, value in self.set.items()
        }


def _number(value: bytes | None) -> int:
    return 0 if value is None else int(value.partition(b" ")[0])


class KeyValueFull(EngineUnavailable):
    """The engine has no place for another entry of this family; nothing was stored, and none was removed."""


class KeyValue(Protocol):
    """Values, records, leases, sets of names and lists, by key. Each call is one step.

    A key has an entry of one kind for ever. An entry with a `ttl` is absent after so many seconds.
    """

    async def get(self, key: Key) -> bytes | None:
        """The value of a key."""

    async def put(self, key: Key, value: bytes, ttl: float | None = None) -> None:
        """Set the value of a key."""

    async def take(self, key: Key) -> bytes | None:
        """Remove the value of a key and return it: of two callers only one gets it."""

    async def exists(self, key: Key) -> bool:
        """Whether a key has a value, a record or names."""

    async def delete(self, key: Key) -> None:
        """Remove a value or a record."""

    # -- records: fields with values, and indexes of them

    async def records(self, keys: Sequence[Key], fields: tuple[str, ...]) -> list[dict[str, bytes]]:
        """These fields of records, which are all in one group; a field that does not exist is left out."""

    async def update(self, key: Key, change: Change) -> tuple[bool, dict[str, bytes]]:
        """Change a record and its indexes if its fields are as expected; make it if there is none.

        Returns whether it was changed, and the fields of `change.read` as they are now.

        Raises:
            KeyValueFull: there is no place for it.
        """

    async def indexed(
        self, index: IndexKey, fields: tuple[str, ...], low: float, limit: int = 0
    ) -> list[tuple[str, dict[str, bytes]]]:
        """The members of an index that score `low` or more, the lowest first, with fields of their records.

        A member without its record is left out. With a `limit` there are not more.
        """

    # -- leases: members that are valid for a time

    async def lease(
        self, key: LeaseKey, members: Mapping[str, bytes], ttl: float, limit: int = 0
    ) -> None:
        """Add members, or renew them. Of more than `limit` those that end first are removed.

        An engine of one process may lose leases with it.
        """

    async def leased(self, key: LeaseKey) -> dict[str, bytes]:
        """The members whose lease is valid, with their values."""

    async def release(self, key: LeaseKey, members: Collection[str]) -> frozenset[str]:
        """Remove members; returns those whose lease was valid, each to one caller."""

    # -- sets of names, and lists

    async def names(self, keys: Sequence[Key]) -> list[frozenset[str]]:
        """The names in each of these sets."""

    async def set_names(self, key: Key, names: Collection[str]) -> None:
        """Replace a set of names; without any it is removed."""

    async def prepend(self, key: Key, texts: tuple[str, ...], limit: int) -> None:
        """Put texts before a list: the last of them is the newest. The newest `limit` are kept."""

    async def read(self, key: Key, limit: int) -> tuple[str, ...]:
        """The newest `limit` of a list, the newest first."""


class Engine(Protocol):
    """An engine: four ports and the rooms, with start, stop and sweep."""

    @property
    def name(self) -> str:
        """The name in settings and logs."""

    @property
    def shared_by_nodes(self) -> bool:
        """Whether several processes may run on it at a time."""

    @property
    def exclusive(self) -> bool:
        """Whether only this process changes the store, so that the node may keep copies of entries."""

    @property
    def streams(self) -> Streams:
        """Streams and the bus."""

    @property
    def rooms(self) -> RoomStore:
        """Records of rooms, which guard streams."""

    @property
    def presence(self) -> Presence:
        """Presence of users in channels."""

    @property
    def counters(self) -> Counters:
        """Limits over all nodes."""

    @property
    def kv(self) -> KeyValue:
        """Values and records by key."""

    async def start(self, events: EngineEvents) -> None:
        """Connect; announcements go to `events` from now on."""

    async def stop(self) -> None:
        """Disconnect."""

    async def sweep(self) -> None:
        """Remove what has expired, and announce which users left with a node that failed.

        The node calls it every few seconds.
        """

    @property
    def healthy(self) -> bool:
        """Whether the store answered the last time."""

    @property
    def may_evict(self) -> bool:
        """Whether the store may drop keys, revocations among them, although that was not allowed."""
