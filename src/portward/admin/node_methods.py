"""Methods about the nodes: their figures, channels, connections and security events."""

import re
from collections.abc import AsyncIterator
from fnmatch import translate
from typing import Annotated

from msgspec import Meta

from portward.model.channel import Channel
from portward.model.node import NodeInfo
from portward.node.admin_method import (
    MAX_ITEMS,
    ApiRequest,
    ApiResult,
    MethodContext,
    Offset,
    PageSize,
    User,
    Word,
    method,
    yielding,
)
from portward.node.ports import ConnectionInfo
from portward.settings.keys import Scope
from portward.telemetry import AuditEntry

MAX_CHANNELS = 10_000


class ChannelsRequest(ApiRequest, frozen=True):
    """Which channels to list, in the order in which they came to life."""

    pattern: Annotated[
        str, Meta(max_length=128, description="`*`, `?` and `[…]` as in file names; empty for all.")
    ] = ""
    limit: Annotated[int, Meta(ge=1, le=MAX_CHANNELS)] = MAX_CHANNELS
    offset: Offset = 0


class ChannelResult(ApiResult, frozen=True):
    """How many connections of this node listen to a channel."""

    num_clients: int


class ChannelsResult(ApiResult, frozen=True):
    """Channels somebody listens to, and how many there are before `limit` and `offset`."""

    channels: dict[str, ChannelResult]
    total: int


class NothingRequest(ApiRequest, frozen=True):
    """An empty object."""


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


class ConnectionsRequest(ApiRequest, frozen=True):
    """Which connections to list, oldest first."""

    user: User | None = None
    endpoint: Word | None = None
    limit: PageSize = MAX_ITEMS
    offset: Offset = 0


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


class SecurityEventsRequest(ApiRequest, frozen=True):
    """Which security events to read: the newest, or those after number `since`; oldest first."""

    limit: PageSize = 100
    since: Annotated[int, Meta(ge=0)] | None = None


class SecurityEventsResult(ApiResult, frozen=True):
    """Security events, oldest first; give the last `seq` as `since` to read on."""

    events: list[AuditEntry]


@method(scope=Scope.READ, summary="List channels somebody listens to")
async def channels(call: MethodContext, request: ChannelsRequest) -> ChannelsResult:
    """Return the channels with subscribers on this node."""
    found: dict[str, ChannelResult] = {}
    total = 0
    async for name in _matching(call, request.pattern):
        if request.offset <= total < request.offset + request.limit:
            found[str(name)] = ChannelResult(num_clients=call.operations.channel_size(name))
        total += 1
    return ChannelsResult(channels=found, total=total)


async def _matching(call: MethodContext, pattern: str) -> AsyncIterator[Channel]:
    matches = re.compile(translate(pattern or "*")).match
    async for name in yielding(call.operations.channel_names()):
        if matches(name):
            yield name


@method(scope=Scope.READ, summary="Describe the nodes")
async def info(call: MethodContext, _: NothingRequest) -> InfoResult:
    """Return numbers about the nodes."""
    return InfoResult(nodes=[_node(each) for each in await call.operations.nodes()])


def _node(each: NodeInfo) -> NodeResult:
    return NodeResult(
        uid=each.uid,
        name=each.name,
        version=each.version,
        num_clients=each.clients,
        num_users=each.users,
        num_subs=each.subscriptions,
        num_channels=each.channels,
        uptime=int(each.uptime),
    )


@method(scope=Scope.READ, summary="List open connections")
async def connections(call: MethodContext, request: ConnectionsRequest) -> ConnectionsResult:
    """Return the open connections of this node."""
    operations, chosen = call.operations, (request.user, request.endpoint)
    page = operations.connections(*chosen, offset=request.offset, limit=request.limit)
    return ConnectionsResult(
        connections=[_connection(each) async for each in yielding(page)],
        total=operations.count_connections(*chosen),
    )


def _connection(each: ConnectionInfo) -> ConnectionResult:
    return ConnectionResult(
        client=each.id,
        user=each.user,
        endpoint=each.endpoint,
        address=each.address,
        opened_at=each.opened_at,
        channels=[str(name) for name in each.channels],
    )


@method(scope=Scope.READ, summary="Read recent security events")
async def security_events(
    call: MethodContext, request: SecurityEventsRequest
) -> SecurityEventsResult:
    """Return the security events that the audit has in memory."""
    recent = call.node.telemetry.audit.recent(request.limit, request.since)
    return SecurityEventsResult(events=recent)
