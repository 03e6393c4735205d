"""The results of the API: one Struct per kind of result, with Centrifugo's field names."""

from enum import StrEnum
from typing import Annotated, Any

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from portward.admin.errors import ErrorBody
from portward.model.approval import Decision
from portward.model.publication import Publication
from portward.telemetry import AuditEntry


class ApiResult(msgspec.Struct, frozen=True, kw_only=True):
    """The common part of all results."""


class DoneResult(ApiResult, frozen=True):
    """It was done; there is nothing else to say."""


class PositionResult(ApiResult, frozen=True):
    """Where the publication stands in its stream."""

    offset: int
    epoch: str


class PublishOutcome(ApiResult, frozen=True, omit_defaults=True):
    """How one channel of a broadcast fared: one of the two."""

    result: PositionResult | None = None
    error: ErrorBody | None = None


class BroadcastResult(ApiResult, frozen=True):
    """One outcome per channel, in the order asked for."""

    responses: list[PublishOutcome]


class PublicationResult(ApiResult, frozen=True, omit_defaults=True):
    """A publication. `time` is in Unix milliseconds; a backend's own have no `user`.

    In a combined channel, `origin` is the channel where it was said. `attachments` are bytes in base64,
    to which `data` refers by their number.
    """

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

    @classmethod
    def of(cls, publication: Publication) -> "PublicationResult":
        """Make the result for a publication."""
        shown = msgspec.convert(publication, cls, from_attributes=True)
        return shown if shown.origin is None else replace(shown, origin=str(shown.origin))


class HistoryResult(ApiResult, frozen=True):
    """A part of a stream, and where the stream stands now."""

    publications: list[PublicationResult]
    offset: int
    epoch: str


class ClientResult(ApiResult, frozen=True, omit_defaults=True):
    """One connection in a channel."""

    client: str
    user: str
    email: str | None = None


class PresenceResult(ApiResult, frozen=True):
    """The connections in a channel by their ids."""

    presence: dict[str, ClientResult]


class PresenceStatsResult(ApiResult, frozen=True):
    """How many connections and users are in a channel."""

    num_clients: int
    num_users: int


class ChannelResult(ApiResult, frozen=True):
    """How many connections of this node listen to a channel."""

    num_clients: int


class ChannelsResult(ApiResult, frozen=True):
    """Channels somebody listens to, and how many there are before `limit` and `offset`."""

    channels: dict[str, ChannelResult]
    total: int


class NodeResult(ApiResult, frozen=True):
    """A node in numbers. `uptime` is in seconds."""

    uid: str
    name: str
    version: str
    num_clients: int
    num_users: int
    num_subs: int
    num_channels: int
    uptime: int


class InfoResult(ApiResult, frozen=True):
    """The nodes."""

    nodes: list[NodeResult]


class ConnectionResult(ApiResult, frozen=True):
    """An open connection. `address` is masked, `opened_at` in Unix seconds."""

    client: str
    user: str | None
    endpoint: str
    address: str
    opened_at: float
    channels: list[str]


class ConnectionsResult(ApiResult, frozen=True):
    """Connections, and how many there are before `limit` and `offset`."""

    connections: list[ConnectionResult]
    total: int


class RevokeResult(ApiResult, frozen=True):
    """How many connections of this node ended."""

    ended: int


class RolesResult(ApiResult, frozen=True):
    """The roles the directory has for a user; those of tokens are not among them."""

    roles: list[str]


class PermissionsResult(ApiResult, frozen=True):
    """The permissions the directory has for a user; those of tokens are not among them."""

    permissions: list[str]


class TicketResult(ApiResult, frozen=True):
    """A ticket that works once, within `expires_in` seconds."""

    ticket: str
    expires_in: int

    def __repr__(self) -> str:
        return "TicketResult()"


class SecurityEventsResult(ApiResult, frozen=True):
    """Security events, oldest first; give the last `seq` as `since` to read on."""

    events: list[AuditEntry]


class VerifyResult(ApiResult, frozen=True):
    """Whether the signature is that of the message."""

    valid: bool


class AlertResult(ApiResult, frozen=True):
    """The id of the alert, as subscribers are told it."""

    id: str


class AnalysisResult(ApiResult, frozen=True):
    """The ids of the alerts the report made, in its order."""

    ids: list[str]


class ApprovalRequestResult(ApiResult, frozen=True):
    """What to ask by, and until when somebody may decide (Unix seconds)."""

    id: str
    expires_at: float


class ApprovalStatus(StrEnum):
    """How a request for approval stands."""

    PENDING = "pending"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRED = "expired"

    @classmethod
    def of(cls, decision: Decision) -> "ApprovalStatus":
        """Return the status for a decision."""
        return cls.APPROVED if decision is Decision.APPROVE else cls.REJECTED


class ApprovalResult(ApiResult, frozen=True, omit_defaults=True):
    """A request for approval; the last four once it is decided. Times are Unix seconds."""

    id: str
    workspace: str
    title: str
    data: Any
    status: ApprovalStatus
    created_at: float
    expires_at: float
    decision: Decision | None = None
    user: str | None = None
    comment: str | None = None
    decided_at: float | None = None


Reply = Annotated[msgspec.Raw, Meta(extra_json_schema={"type": "object"})]


class BatchResult(ApiResult, frozen=True):
    """One reply per command, in order: `{"<method>": <result>}` or `{"error": {…}}`."""

    replies: list[Reply]
