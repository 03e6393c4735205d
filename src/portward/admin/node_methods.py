"""Methods about the node: its numbers, its connections, its security events."""

from portward.admin.context import MethodContext, politely
from portward.admin.requests import ConnectionsRequest, NothingRequest, SecurityEventsRequest
from portward.admin.results import (
    ConnectionResult,
    ConnectionsResult,
    InfoResult,
    NodeResult,
    SecurityEventsResult,
)
from portward.model.node import NodeInfo
from portward.node.ports import ConnectionInfo


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


async def connections(call: MethodContext, request: ConnectionsRequest) -> ConnectionsResult:
    """Return the open connections of this node."""
    operations, chosen = call.operations, (request.user, request.endpoint)
    page = operations.connections(*chosen, offset=request.offset, limit=request.limit)
    return ConnectionsResult(
        connections=[_connection(each) async for each in politely(page)],
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


async def security_events(
    call: MethodContext, request: SecurityEventsRequest
) -> SecurityEventsResult:
    """Return the security events that the audit has in memory."""
    recent = call.node.telemetry.audit.recent(request.limit, request.since)
    return SecurityEventsResult(events=recent)
