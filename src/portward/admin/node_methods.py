"""Methods about the nodes: their figures, channels and connections.

Each asks all nodes. Its questions stand before it; what a node answers is what it has itself.
"""

import re
import sys
from collections.abc import Mapping
from fnmatch import translate
from typing import Annotated, Final

from msgspec import Meta, Struct
from msgspec.structs import replace

from portward.model.node import NodeInfo
from portward.node.admin_method import (
    MAX_ITEMS,
    ApiRequest,
    ApiResult,
    MethodContext,
    Missing,
    Offset,
    PageSize,
    User,
    Word,
    method,
    question,
    yielding,
)
from portward.node.commands import SurveyedNode
from portward.node.sessions import ConnectionInfo
from portward.settings.keys import Scope

MAX_CHANNELS = 10_000
"""The most channels of a page, and of the answers of all nodes to one question."""
FEWEST_CHANNELS = 100
"""The channels that an answer of a node may have, however many nodes there are."""
_PAGES: Final = 1000
"""The most answers of one node for one list of channels."""


# -- nodes


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

    @classmethod
    def of(cls, info: NodeInfo) -> "NodeResult":
        """Make the result for the figures of a node."""
        return cls(
            uid=info.uid,
            name=info.name,
            version=info.version,
            num_clients=info.clients,
            num_users=info.users,
            num_subs=info.subscriptions,
            num_channels=info.channels,
            uptime=int(info.uptime),
        )


class InfoResult(ApiResult, frozen=True):
    """The nodes. The figures of those that are missing are the last ones known."""

    nodes: list[NodeResult]
    missing: Missing = ()


@question
async def node_figures(node: SurveyedNode, _: NothingRequest) -> NodeInfo:
    """Return the figures of this node."""
    return node.operations.info()


@method(scope=Scope.READ, summary="Describe the nodes")
async def info(call: MethodContext, request: NothingRequest) -> InfoResult:
    """Return numbers about the nodes."""
    survey = call.node.survey
    found = await survey.ask(node_figures, request)
    known = {uid: each for uid, each in survey.known.items() if uid in found.missing}
    nodes = sorted({**known, **found.answers}.items())
    return InfoResult(nodes=[NodeResult.of(each) for _, each in nodes], missing=found.missing)


# -- channels


class ChannelsRequest(ApiRequest, frozen=True):
    """Which channels to list, node by node, in the order in which they came to life there."""

    pattern: Annotated[
        str, Meta(max_length=128, description="`*`, `?` and `[…]` as in file names; empty for all.")
    ] = ""
    limit: Annotated[int, Meta(ge=1, le=MAX_CHANNELS)] = MAX_CHANNELS
    offset: Offset = 0


class ChannelResult(ApiResult, frozen=True):
    """How many connections listen to a channel."""

    num_clients: int


class ChannelsResult(ApiResult, frozen=True):
    """Channels somebody listens to, and how many there are before `limit` and `offset`."""

    channels: dict[str, ChannelResult]
    total: int
    missing: Missing = ()


class ChannelSizesRequest(Struct, frozen=True):
    """Which channels of a node are asked for: `limit` after the first `offset` that match."""

    pattern: str
    offset: int
    limit: int


class ChannelSizes(Struct, frozen=True):
    """Channels of a node with their numbers of connections, and whether there are more."""

    sizes: dict[str, int]
    more: bool


@question
async def channel_sizes(node: SurveyedNode, request: ChannelSizesRequest) -> ChannelSizes:
    """Return channels with subscribers on this node."""
    matches = re.compile(translate(request.pattern or "*")).match
    end = request.offset + request.limit
    found: dict[str, int] = {}
    count = 0
    async for name in yielding(node.operations.channel_names()):
        if matches(name):
            count += 1
            if request.offset < count <= end:
                found[str(name)] = node.operations.channel_size(name)
            if count > end:
                break
    return ChannelSizes(found, count > end)


@method(scope=Scope.READ, summary="List channels somebody listens to")
async def channels(call: MethodContext, request: ChannelsRequest) -> ChannelsResult:
    """Return the channels with subscribers, with the connections of all nodes."""
    # All answers go to every node, so they must be small in sum. A list of one process goes nowhere.
    share = max(FEWEST_CHANNELS, MAX_CHANNELS // max(1, len(call.node.survey.known)))
    limit = share if call.node.engine.shared_by_nodes else sys.maxsize
    sizes: dict[str, int] = {}
    missing: set[str] = set()
    asked: list[str] | None = None
    for page in range(_PAGES):
        part = ChannelSizesRequest(request.pattern, page * limit, limit)
        found = await call.node.survey.ask(channel_sizes, part, asked)
        missing.update(found.missing)
        for answer in found.answers.values():
            for name, size in answer.sizes.items():
                sizes[name] = sizes.get(name, 0) + size
        asked = [uid for uid, answer in found.answers.items() if answer.more]
        if not asked:
            break
    chosen = list(sizes.items())[request.offset : request.offset + request.limit]
    return ChannelsResult(
        channels={name: ChannelResult(num_clients=size) for name, size in chosen},
        total=len(sizes),
        missing=tuple(sorted(missing)),
    )


# -- connections


class ConnectionsRequest(ApiRequest, frozen=True):
    """Which connections to list: node by node, oldest first in each."""

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

    @classmethod
    def of(cls, info: ConnectionInfo) -> "ConnectionResult":
        """Make the result for a connection."""
        return cls(
            client=info.id,
            user=info.user,
            endpoint=info.endpoint,
            address=info.address,
            opened_at=info.opened_at,
            channels=[str(name) for name in info.channels],
        )


class ConnectionsResult(ApiResult, frozen=True):
    """Connections, and how many there are before `limit` and `offset`."""

    connections: list[ConnectionResult]
    total: int
    missing: Missing = ()


class ConnectionsOfNodes(Struct, frozen=True):
    """Connections by user and endpoint; `slices` has the offset and the limit for each node."""

    user: str | None
    endpoint: str | None
    slices: dict[str, tuple[int, int]] = {}


class CountAnswer(Struct, frozen=True):
    """A number of connections of one node."""

    count: int


class ConnectionsAnswer(Struct, frozen=True):
    """Connections of one node."""

    connections: list[ConnectionResult]


@question
async def connection_count(node: SurveyedNode, request: ConnectionsOfNodes) -> CountAnswer:
    """Count the open connections of this node."""
    return CountAnswer(node.operations.count_connections(request.user, request.endpoint))


@question
async def connection_list(node: SurveyedNode, request: ConnectionsOfNodes) -> ConnectionsAnswer:
    """Return open connections of this node."""
    offset, limit = request.slices[node.operations.uid]
    chosen = (request.user, request.endpoint)
    page = node.operations.connections(*chosen, offset=offset, limit=limit)
    return ConnectionsAnswer([ConnectionResult.of(each) async for each in yielding(page)])


@method(scope=Scope.READ, summary="List open connections")
async def connections(call: MethodContext, request: ConnectionsRequest) -> ConnectionsResult:
    """Return the open connections of all nodes."""
    survey = call.node.survey
    wanted = ConnectionsOfNodes(request.user, request.endpoint)
    counted = await survey.ask(connection_count, wanted)
    totals = {uid: answer.count for uid, answer in counted.answers.items()}
    shares = slices(totals, request.offset, request.limit)
    found = await survey.ask(connection_list, replace(wanted, slices=shares), shares)
    return ConnectionsResult(
        connections=[each for answer in found.answers.values() for each in answer.connections],
        total=sum(totals.values()),
        missing=tuple(sorted({*counted.missing, *found.missing})),
    )


def slices(totals: Mapping[str, int], offset: int, limit: int) -> dict[str, tuple[int, int]]:
    """Return which part of each node's list is in a slice of all lists together: its offset and length."""
    shares: dict[str, tuple[int, int]] = {}
    for uid, total in totals.items():
        count = min(max(0, total - offset), limit)
        if count:
            shares[uid] = (offset, count)
        offset = max(0, offset - total)
        limit -= count
    return shares
