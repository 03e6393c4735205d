"""Interface of an engine: ten ports, start and stop. `portward.testing.engine_contract` tests it.

    Engine
    |- streams       publications with positions, and the bus between nodes
    |- presence      who is in a channel, by connection
    |- directory     roles, permissions and memberships of users; records of rooms
    |- sessions      resumable sessions and single-use tickets
    |- revocations   credentials, users and sessions that were taken back
    |- approvals     decisions that humans are asked for
    |- user_state    state that the connections of one user share
    |- nodes         the nodes that run on the same store
    |- counters      limits that count across nodes
    `- kv            texts by key, and lists of the newest

Every method may raise `EngineUnavailable`; none may need the caller to be a Task (see `node.sessions`).
Times are Unix seconds unless said otherwise.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Protocol

import msgspec

from portward.model.approval import Approval, Verdict
from portward.model.channel import Channel
from portward.model.errors import Unavailable
from portward.model.events import BusEvent
from portward.model.identity import Identity
from portward.model.namespace import Namespace
from portward.model.node import NodeInfo
from portward.model.position import Position
from portward.model.publication import Draft, HistoryPage, HistoryQuery, Publication
from portward.model.revocation import Revocation
from portward.model.room import Room, RoomOrigin, RoomRecord
from portward.model.shared import SharedValue


class EngineUnavailable(Unavailable):
    """The store cannot be reached now; the command was not carried out, and may be tried again."""


class RoomEnded(Exception):  # noqa: N818 - an answer, not an error of the program
    """The room record that allowed the publish has been removed since; nothing was stored."""


class RevocationsFull(Exception):  # noqa: N818 - an answer, not an error of the program
    """The engine has as many revocations as it can store; this one was not stored, and none was removed."""


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


class UserRights(msgspec.Struct, frozen=True):
    """Roles, permissions and workspaces of a user, as the directory has them."""

    roles: frozenset[str] = frozenset()
    permissions: frozenset[str] = frozenset()
    workspaces: frozenset[str] | None = None
    """None when the directory has no entry; an empty set when the user belongs to none."""

    def __bool__(self) -> bool:
        return bool(self.roles or self.permissions) or self.workspaces is not None


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


class Directory(Protocol):
    """Facts about users and rooms. The caller that changes them also announces `RightsChanged`.

    The record of a room guards its stream. Removing a record deletes the stream first, or both in one
    step, so that there is never the stream without the record. A record ends in one of three ways: it is
    removed; its `expires` has passed; or its origin `ends_unused`, and the sweep finds that it has not
    been used for its idle time, that no connection is in the room, and that nothing is stored. The sweep
    announces `RightsChanged` for each room that it ends.
    """

    async def rights(self, user: str) -> UserRights:
        """Roles, permissions and workspaces of a user, empty when unknown."""

    async def set_roles(self, user: str, roles: frozenset[str]) -> None:
        """Replace the roles of a user."""

    async def set_permissions(self, user: str, permissions: frozenset[str]) -> None:
        """Replace the permissions of a user."""

    async def set_workspaces(self, user: str, workspaces: frozenset[str] | None) -> None:
        """Replace the workspaces a user belongs to; None removes the entry."""

    async def room(self, channel: Channel) -> RoomRecord | None:
        """The record of a room, None when there is none or it has expired."""

    async def rooms(self) -> Mapping[Channel, RoomRecord]:
        """All records."""

    async def save_room(
        self, channel: Channel, room: Room, origin: RoomOrigin, *, expires: float | None = None
    ) -> None:
        """Make or replace a record that no bound applies to, and that is not removed for being unused.

        A record that replaces another keeps its `life`, and with the origin `ADMIN` its maker.
        """

    async def make_room(
        self, channel: Channel, room: Room, origin: RoomOrigin, maker: str, idle: float
    ) -> RoomMade:
        """Make a record that may end when it was not used for `idle` seconds.

        It replaces none, and none is made where something is stored in the channel already. Those with a
        maker are bounded: `MAX_ROOMS` of all makers, `MAX_ROOMS_OF_USER` of one.
        """

    async def use_room(self, channel: Channel, idle: float) -> None:
        """Record a use of a room whose record ends unused."""

    async def remove_room(self, channel: Channel) -> bool:
        """Delete the stream, then the record. False when there was neither."""


class SessionRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A session that can be resumed. `nonce` is the id of the only session token that is still valid."""

    id: str
    identity: Identity
    nonce: str
    client: str

    def __repr__(self) -> str:
        return f"SessionRecord(id={self.id[:6]!r}…)"


class Sessions(Protocol):
    """Resumable sessions, and tickets."""

    async def save(self, record: SessionRecord, ttl: float) -> None:
        """Store a record for `ttl` seconds."""

    async def swap(self, session: str, nonce: str, new: str, client: str) -> SessionRecord | None:
        """Exchange the nonce of a record, in one step: of two callers only one succeeds.

        When the record exists and its nonce is `nonce`, it gets `new` and `client` and is returned as
        it now is; else None.
        """

    async def release(self, session: str, client: str, ttl: float) -> None:
        """Keep the record of a closed connection for `ttl` seconds more, if it still belongs to `client`."""

    async def drop(self, session: str) -> None:
        """Remove a record."""

    async def put_ticket(self, ticket: str, identity: Identity, ttl: float) -> None:
        """Store an identity under the digest of a ticket."""

    async def take_ticket(self, ticket: str) -> Identity | None:
        """The identity stored under the digest of a ticket, once."""

    async def put_returns(self, user: str, channels: tuple[Channel, ...], ttl: float) -> None:
        """Store for `ttl` seconds that a connection of a user was lost while in these channels.

        The number is bounded; the oldest entries are removed first.
        """

    async def take_returns(self, user: str, channels: tuple[Channel, ...]) -> frozenset[Channel]:
        """Those of the channels that are stored for the user, each once."""


class Revocations(Protocol):
    """Revocations, each stored until what it revokes would have expired."""

    async def add(self, revocation: Revocation) -> None:
        """Store a revocation. The caller announces it.

        Raises:
            RevocationsFull: there is no place for it.
        """

    async def is_revoked(self, identity: Identity, session: str | None) -> bool:
        """Whether this identity, or this session id, was revoked."""

    async def token_revoked(self, token: str) -> bool:
        """Whether another application that shares the store revoked exactly this token.

        False where no other application can. Such a revocation is not announced.
        """

    async def since(self, at: float) -> tuple[Revocation, ...]:
        """Revocations made at or after `at`."""


MAX_PENDING = 1000
"""Most requests of one channel that may wait for a decision."""
APPROVAL_KEPT = 86400.0
"""Seconds a request stays readable after the time at which it expires."""


class Approvals(Protocol):
    """Requests for a decision."""

    async def add(self, approval: Approval) -> bool:
        """Store a request until `APPROVAL_KEPT` after it expires.

        False, and nothing is stored, when the id is taken or `MAX_PENDING` of its channel wait already.
        """

    async def get(self, approval: str) -> Approval | None:
        """The request with this id, decided or not."""

    async def pending(self, channel: Channel) -> tuple[Approval, ...]:
        """Requests of a channel that can still be decided, the oldest first."""

    async def decide(self, approval: str, verdict: Verdict) -> tuple[Approval | None, bool]:
        """Decide, in one step: of two callers only one succeeds.

        Returns the request as it now is, None when there is none, and whether this call decided it. One
        that has expired at `verdict.at` is not decided.
        """


SHARED_KEYS = 100
"""Most keys of one owner; of more, the one set longest ago is removed."""


class UserState(Protocol):
    """Small values by owner and key, stored for as long as they are used."""

    async def put(
        self, owner: str, key: str, value: Any, version: int | None, ttl: float
    ) -> tuple[SharedValue, bool]:
        """Set a value, in one step, and keep all of the owner's for `ttl` seconds more.

        With a `version` only when that is the current one (0 for none). Returns what is stored now, and
        whether it was set.
        """


class Nodes(Protocol):
    """The nodes that run on the same store."""

    async def register(self, node: NodeInfo, ttl: float) -> None:
        """Register a node for the next `ttl` seconds."""

    async def withdraw(self, uid: str) -> None:
        """Remove a node."""

    async def present(self) -> tuple[NodeInfo, ...]:
        """Every node, ordered by id."""


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


class KeyValue(Protocol):
    """Texts that the gateway has to keep, or writes for other readers of the store.

    Keys are few and come from the gateway itself, never empty. A key has a text or a list, never both.
    """

    async def get(self, key: str) -> str | None:
        """The text under a key."""

    async def set(self, key: str, value: str) -> None:
        """Store a text until another is set in its place."""

    async def prepend(self, key: str, texts: tuple[str, ...], limit: int) -> None:
        """Put texts before a list, in one step: the last of them is the newest.

        The newest `limit` of the list are kept.
        """

    async def read(self, key: str, limit: int) -> tuple[str, ...]:
        """The newest `limit` of a list, the newest first."""


class Engine(Protocol):
    """An engine: ten ports, with start, stop and sweep."""

    @property
    def name(self) -> str:
        """The name in settings and logs."""

    @property
    def shared_by_nodes(self) -> bool:
        """Whether several processes may run on it at a time."""

    @property
    def streams(self) -> Streams:
        """Streams and the bus."""

    @property
    def presence(self) -> Presence:
        """Presence of users in channels."""

    @property
    def directory(self) -> Directory:
        """Facts about users and rooms."""

    @property
    def sessions(self) -> Sessions:
        """Sessions and tickets."""

    @property
    def revocations(self) -> Revocations:
        """Revocations."""

    @property
    def approvals(self) -> Approvals:
        """Decisions that humans are asked for."""

    @property
    def user_state(self) -> UserState:
        """State that the connections of a user share."""

    @property
    def nodes(self) -> Nodes:
        """The nodes on the same store."""

    @property
    def counters(self) -> Counters:
        """Limits over all nodes."""

    @property
    def kv(self) -> KeyValue:
        """Texts and lists by key."""

    async def start(self, sink: EngineEvents) -> None:
        """Connect; announcements go to `sink` from now on."""

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
