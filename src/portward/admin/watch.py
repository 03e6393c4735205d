"""Methods about the node itself: what it is, who is connected, what happened."""

import socket

from portward.admin.call import Call, politely
from portward.admin.requests import ConnectionsRequest, NothingRequest, SecurityEventsRequest
from portward.admin.results import (
    ConnectionResult,
    ConnectionsResult,
    InfoResult,
    NodeResult,
    SecurityEventsResult,
)
from portward.node.ports import ConnectionInfo
from portward.version import __version__


async def info(call: Call, _: NothingRequest) -> InfoResult:
    """This node in numbers."""
    numbers = call.operations.info()
    node = NodeResult(
        uid=numbers.uid,
        name=socket.gethostname(),
        version=__version__,
        num_clients=numbers.clients,
        num_users=numbers.users,
        num_subs=numbers.subscriptions,
        num_channels=numbers.channels,
        uptime=int(numbers.uptime),
    )
    return InfoResult(nodes=[node])


async def connections(call: Call, request: ConnectionsRequest) -> ConnectionsResult:
    """Open connections of this node."""
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


async def security_events(call: Call, request: SecurityEventsRequest) -> SecurityEventsResult:
    """What the audit remembers."""
    recent = call.node.telemetry.audit.recent(request.limit, request.since)
    return SecurityEventsResult(events=recent)
