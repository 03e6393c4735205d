"""The table of methods, with scope, request type, result type and handler."""

from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple

from msgspec import Struct

from portward.admin import (
    alerts,
    approvals,
    channel_methods,
    node_methods,
    requests,
    results,
    rooms,
    user_methods,
)
from portward.admin.batch import NAME as BATCH
from portward.admin.batch import batch
from portward.model.room import Room
from portward.settings.keys import Scope

Handler = Callable[[Any, Any], Awaitable[Struct]]


class Method(NamedTuple):
    """A row of the table. Without a scope any key is enough. With `act`, each success is audited."""

    scope: Scope | None
    request: type[Struct]
    result: type[Struct]
    handler: Handler
    summary: str
    act: bool = False


def _publish(request: type[Struct], result: type[Struct], run: Handler, summary: str) -> Method:
    return Method(Scope.PUBLISH, request, result, run, summary)


def _read(request: type[Struct], result: type[Struct], run: Handler, summary: str) -> Method:
    return Method(Scope.READ, request, result, run, summary)


def _act(request: type[Struct], result: type[Struct], run: Handler, summary: str) -> Method:
    return Method(Scope.MANAGE, request, result, run, summary, act=True)


METHODS: Final[dict[str, Method]] = {
    "publish": _publish(
        requests.PublishRequest, results.PositionResult, channel_methods.publish,
        "Publish to a channel",
    ),
    "broadcast": _publish(
        requests.BroadcastRequest, results.BroadcastResult, channel_methods.broadcast,
        "Publish the same to several channels",
    ),
    "alert": _publish(
        alerts.AlertRequest, results.AlertResult, alerts.alert,
        "Publish an alert about a call",
    ),
    "analysis": _publish(
        alerts.AnalysisRequest, results.AnalysisResult, alerts.analysis,
        "Publish the alerts that a call-analysis report makes",
    ),
    approvals.ASK: _publish(
        approvals.ApprovalAskRequest, results.ApprovalRequestResult, approvals.ask,
        "Ask the people of a workspace for a decision",
    ),
    approvals.GET: _read(
        approvals.ApprovalGetRequest, results.ApprovalResult, approvals.get,
        "Read a request for approval and its verdict",
    ),
    "history": _read(
        requests.HistoryRequest, results.HistoryResult, channel_methods.history,
        "Read a channel back",
    ),
    "presence": _read(
        requests.ChannelRequest, results.PresenceResult, channel_methods.presence,
        "List the connections in a channel",
    ),
    "presence_stats": _read(
        requests.ChannelRequest, results.PresenceStatsResult, channel_methods.presence_stats,
        "Count the connections and users in a channel",
    ),
    "channels": _read(
        requests.ChannelsRequest, results.ChannelsResult, channel_methods.channels,
        "List channels somebody listens to",
    ),
    "verify": _read(
        requests.VerifyRequest, results.VerifyResult, channel_methods.verify,
        "Check the signature of a signed message",
    ),
    "info": _read(
        requests.NothingRequest, results.InfoResult, node_methods.info,
        "Describe the nodes",
    ),
    "connections": _read(
        requests.ConnectionsRequest, results.ConnectionsResult, node_methods.connections,
        "List open connections",
    ),
    "security_events": _read(
        requests.SecurityEventsRequest, results.SecurityEventsResult, node_methods.security_events,
        "Read recent security events",
    ),
    "disconnect": _act(
        requests.DisconnectRequest, results.DoneResult, user_methods.disconnect,
        "End the connections of a user, or one of them",
    ),
    "unsubscribe": _act(
        requests.UnsubscribeRequest, results.DoneResult, user_methods.unsubscribe,
        "Take a user out of a channel",
    ),
    "revoke": _act(
        requests.RevokeRequest, results.RevokeResult, user_methods.revoke,
        "Take back a token, a session, or everything a user holds",
    ),
    "ticket": Method(
        Scope.MANAGE, requests.TicketRequest, results.TicketResult, user_methods.ticket,
        "Exchange a token for a single-use ticket",
    ),
    "roles_set": _act(
        requests.RolesSetRequest, results.DoneResult, user_methods.roles_set,
        "Replace the roles of a user",
    ),
    "roles_get": _read(
        requests.UserRequest, results.RolesResult, user_methods.roles_get,
        "Read the roles of a user",
    ),
    "permissions_set": _act(
        requests.PermissionsSetRequest, results.DoneResult, user_methods.permissions_set,
        "Replace the permissions of a user",
    ),
    "permissions_get": _read(
        requests.UserRequest, results.PermissionsResult, user_methods.permissions_get,
        "Read the permissions of a user",
    ),
    "membership_set": _act(
        requests.MembershipSetRequest, results.DoneResult, user_methods.membership_set,
        "Replace the workspaces a user belongs to",
    ),
    "rooms_set": _act(
        rooms.RoomsSetRequest, Room, rooms.rooms_set,
        "Make or replace the record of a room",
    ),
    "rooms_get": _read(
        rooms.RoomRequest, Room, rooms.rooms_get,
        "Read the record of a room",
    ),
    "rooms_list": _read(
        rooms.RoomsListRequest, rooms.RoomsResult, rooms.rooms_list,
        "List rooms, or messages without a record",
    ),
    "rooms_remove": _act(
        rooms.RoomRequest, rooms.RemovedResult, rooms.rooms_remove,
        "Delete what was said in a room, and its record",
    ),
    BATCH: Method(
        None, requests.BatchRequest, results.BatchResult, batch,
        "Carry out several commands in order",
    ),
}  # fmt: skip
"""Every method by name. A publish is not an `act`: it would fill the audit."""
