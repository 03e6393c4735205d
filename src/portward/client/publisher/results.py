"""The answers of the admin API, as structs. Keys that later versions add are ignored."""

from typing import Any

import msgspec


class Published(msgspec.Struct, frozen=True):
    """The position of a publication in its channel."""

    offset: int
    epoch: str


class StoredPublication(msgspec.Struct, frozen=True, kw_only=True):
    """A publication that was read back. `time` is in Unix milliseconds."""

    data: Any
    offset: int
    id: str
    time: int
    key: str | None = None
    type: str | None = None
    user: str | None = None
    email: str | None = None
    signature: str | None = None
    origin: str | None = None
    attachments: tuple[bytes, ...] = ()


class History(msgspec.Struct, frozen=True):
    """A part of a channel, and the current position of the channel."""

    publications: list[StoredPublication]
    offset: int
    epoch: str

    @property
    def position(self) -> Published:
        """The current position of the channel."""
        return Published(self.offset, self.epoch)


class OutcomeError(msgspec.Struct, frozen=True):
    """The error for one channel of a broadcast: a number, and a sentence."""

    code: int
    message: str


class BroadcastOutcome(msgspec.Struct, frozen=True):
    """The outcome for one channel of a broadcast: one of the two."""

    result: Published | None = None
    error: OutcomeError | None = None


class PresentClient(msgspec.Struct, frozen=True):
    """One connection in a channel."""

    client: str
    user: str
    email: str | None = None


class PresenceCount(msgspec.Struct, frozen=True):
    """The numbers of connections and users in a channel."""

    num_clients: int
    num_users: int


class NodeInfo(msgspec.Struct, frozen=True):
    """A node in numbers. `uptime` is in seconds."""

    uid: str
    name: str
    version: str
    num_clients: int
    num_users: int
    num_subs: int
    num_channels: int
    uptime: int


class OpenConnection(msgspec.Struct, frozen=True):
    """An open connection. `address` is masked, `opened_at` in Unix seconds."""

    client: str
    user: str | None
    endpoint: str
    address: str
    opened_at: float
    channels: list[str]


class Connections(msgspec.Struct, frozen=True):
    """A page of open connections, and how many there are.

    `missing` are the ids of nodes that did not answer in time: their connections are not among them.
    """

    connections: list[OpenConnection]
    total: int
    missing: tuple[str, ...] = ()


class SecurityEvent(msgspec.Struct, frozen=True):
    """An audited event."""

    seq: int
    time: str
    event: str
    fields: dict[str, Any]


class Ticket(msgspec.Struct, frozen=True):
    """A ticket that opens one connection within `expires_in` seconds. It is a secret."""

    ticket: str
    expires_in: int

    def __repr__(self) -> str:
        return "Ticket()"


class Permissions(msgspec.Struct, frozen=True):
    """The roles that may read, write and administer a room."""

    read: tuple[str, ...]
    write: tuple[str, ...]
    admin: tuple[str, ...]


class RoomRecord(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The record of a room; where rooms are listed, with its origin."""

    id: str
    name: str
    type: str
    permissions: Permissions
    max_participants: int
    sanitize: str | None
    namespace: str | None = None
    origin: str | None = None
    user: str | None = None
    expires_at: float | None = None


class Rooms(msgspec.Struct, frozen=True):
    """A page of rooms, or of channels without a record, and how many there are."""

    rooms: list[RoomRecord]
    orphans: list[str]
    total: int


class AskedApproval(msgspec.Struct, frozen=True):
    """A request for approval that was made. `expires_at` is in Unix seconds."""

    id: str
    expires_at: float


class ApprovalState(msgspec.Struct, frozen=True, kw_only=True):
    """A request for approval, with the verdict once there is one. Times are Unix seconds."""

    id: str
    workspace: str
    title: str
    data: Any
    status: str
    created_at: float
    expires_at: float
    decision: str | None = None
    user: str | None = None
    comment: str | None = None
    decided_at: float | None = None
