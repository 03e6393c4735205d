"""The requests of the API: one Struct per method. Unknown fields are refused.

Field names are Centrifugo's where it has the method. A few of its fields without an effect here are
accepted too, because its client libraries send them.
"""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from portward.model.channel import Channel
from portward.model.limits import MAX_TOKEN

MAX_ITEMS = 1000
"""The most channels of a broadcast, commands of a batch, and entries of a page."""
MAX_CHANNELS = 10_000

User = Annotated[str, Meta(min_length=1, max_length=128, description="User id (`sub`).")]
Word = Annotated[str, Meta(min_length=1, max_length=128)]
Words = Annotated[tuple[Word, ...], Meta(max_length=MAX_ITEMS)]
Client = Annotated[str, Meta(max_length=64, description="Connection id; empty means every one.")]
Identifier = Annotated[str, Meta(max_length=256)]
Offset = Annotated[int, Meta(ge=0, description="Entries to leave out at the start.")]
PageSize = Annotated[int, Meta(ge=1, le=MAX_ITEMS, description="Entries at most.")]
Once = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=256,
        description="Repeated within five minutes, it publishes nothing and returns the first"
        " position. Counts per channel.",
    ),
]
Skip = Annotated[bool, Meta(description="Known for compatibility; `true` is refused.")]


class ApiRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The common part of all requests."""


class PublishRequest(ApiRequest, frozen=True):
    """A publication: any JSON value up to 64 KiB."""

    channel: Channel
    data: Any
    key: Word | None = None
    type: Word | None = None
    idempotency_key: Once | None = None
    skip_history: Skip = False


class BroadcastRequest(ApiRequest, frozen=True):
    """The same publication for several channels."""

    channels: Annotated[tuple[Channel, ...], Meta(min_length=1, max_length=MAX_ITEMS)]
    data: Any
    key: Word | None = None
    type: Word | None = None
    idempotency_key: Once | None = None
    skip_history: Skip = False


class Since(ApiRequest, frozen=True):
    """A position in a stream. Without an epoch the current one is meant."""

    offset: Annotated[int, Meta(ge=0)]
    epoch: Annotated[str, Meta(max_length=64)] = ""


class HistoryRequest(ApiRequest, frozen=True):
    """Which part of a stream to read."""

    channel: Channel
    limit: (
        Annotated[
            int, Meta(ge=-1, description="50 by default, 100 at most; 0 for the position alone.")
        ]
        | None
    ) = None
    since: Since | None = None
    reverse: Annotated[bool, Meta(description="Newest first, and before `since`.")] = False


class ChannelRequest(ApiRequest, frozen=True):
    """One channel."""

    channel: Channel


class ChannelsRequest(ApiRequest, frozen=True):
    """Which channels to list, in the order in which they came to life."""

    pattern: Annotated[
        str, Meta(max_length=128, description="`*`, `?` and `[…]` as in file names; empty for all.")
    ] = ""
    limit: Annotated[int, Meta(ge=1, le=MAX_CHANNELS)] = MAX_CHANNELS
    offset: Offset = 0


class NothingRequest(ApiRequest, frozen=True):
    """An empty object."""


class ConnectionsRequest(ApiRequest, frozen=True):
    """Which connections to list, oldest first."""

    user: User | None = None
    endpoint: Word | None = None
    limit: PageSize = MAX_ITEMS
    offset: Offset = 0


class DisconnectRequest(ApiRequest, frozen=True):
    """Whose connections to end."""

    user: User
    client: Client = ""


class UnsubscribeRequest(ApiRequest, frozen=True):
    """Whom to take out of a channel."""

    user: User
    channel: Channel
    client: Client = ""


class RevokeRequest(ApiRequest, frozen=True):
    """What to take back: exactly one of these."""

    jti: Identifier = ""
    session: Identifier = ""
    user: Identifier = ""
    token: Annotated[str, Meta(max_length=MAX_TOKEN)] = ""

    def __repr__(self) -> str:
        return "RevokeRequest()"


class UserRequest(ApiRequest, frozen=True):
    """One user."""

    user: User


class RolesSetRequest(ApiRequest, frozen=True):
    """All roles the directory is to have for a user."""

    user: User
    roles: Words


class PermissionsSetRequest(ApiRequest, frozen=True):
    """All permissions the directory is to have for a user."""

    user: User
    permissions: Words


class MembershipSetRequest(ApiRequest, frozen=True):
    """All workspaces the directory is to have a user belong to, whatever the user's token says.

    With null the directory says nothing, and the token's workspace counts again.
    """

    user: User
    workspaces: Words | None


class TicketRequest(ApiRequest, frozen=True):
    """A user's access token."""

    token: Annotated[str, Meta(min_length=1, max_length=MAX_TOKEN)]

    def __repr__(self) -> str:
        return "TicketRequest()"


class SecurityEventsRequest(ApiRequest, frozen=True):
    """Which security events to read: the newest, or those after number `since`; oldest first."""

    limit: PageSize = 100
    since: Annotated[int, Meta(ge=0)] | None = None


class VerifyRequest(ApiRequest, frozen=True):
    """A signed message as it was delivered or read back."""

    channel: Channel
    id: Annotated[str, Meta(max_length=64)]
    user: Annotated[str, Meta(max_length=128)] | None
    data: Any
    time: Annotated[int, Meta(description="Milliseconds, as delivered.")]
    signature: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


class BatchRequest(ApiRequest, frozen=True):
    """Commands, each an object whose one key is a method and whose value is its request."""

    commands: Annotated[
        tuple[Annotated[dict[str, Any], Meta(min_length=1, max_length=1)], ...],
        Meta(max_length=MAX_ITEMS),
    ]
    parallel: Annotated[bool, Meta(description="Known for compatibility; order is kept.")] = False
