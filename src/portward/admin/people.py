"""Methods about users: their connections, credentials and rights; and about rooms."""

from portward.admin.call import Call
from portward.admin.requests import (
    DisconnectRequest,
    MembershipSetRequest,
    PermissionsSetRequest,
    RevokeRequest,
    RolesSetRequest,
    RoomRequest,
    RoomsListRequest,
    RoomsSetRequest,
    TicketRequest,
    UnsubscribeRequest,
    UserRequest,
)
from portward.admin.results import (
    DoneResult,
    PermissionsResult,
    RemovedResult,
    RevokeResult,
    RolesResult,
    RoomResult,
    RoomsResult,
    TicketResult,
)
from portward.model.channel import Channel
from portward.model.faults import Fault, FaultKind
from portward.model.limits import TICKET_TIME
from portward.model.revocation import RevocationKind
from portward.model.room import Room

_DONE = DoneResult()


async def disconnect(call: Call, request: DisconnectRequest) -> DoneResult:
    """End a user's connections, or one of them."""
    await call.operations.disconnect(request.user, request.client or None)
    return _DONE


async def unsubscribe(call: Call, request: UnsubscribeRequest) -> DoneResult:
    """Take a user out of a channel."""
    await call.operations.unsubscribe(request.user, request.channel, request.client or None)
    return _DONE


async def revoke(call: Call, request: RevokeRequest) -> RevokeResult:
    """Take back one thing."""
    named = {kind: getattr(request, kind.value) for kind in RevocationKind}
    chosen = [(kind, value) for kind, value in named.items() if value]
    if len(chosen) != 1:
        raise Fault(
            FaultKind.INVALID_STRUCTURE, detail="name exactly one of jti, session, user and token"
        )
    return RevokeResult(ended=await call.operations.revoke(*chosen[0]))


async def ticket(call: Call, request: TicketRequest) -> TicketResult:
    """Exchange a token for a ticket."""
    made = await call.operations.ticket(request.token)
    return TicketResult(ticket=made, expires_in=int(TICKET_TIME))


async def roles_set(call: Call, request: RolesSetRequest) -> DoneResult:
    """Replace a user's roles."""
    await call.operations.set_roles(request.user, request.roles)
    return _DONE


async def roles_get(call: Call, request: UserRequest) -> RolesResult:
    """Read a user's roles."""
    facts = await call.operations.facts(request.user)
    return RolesResult(roles=sorted(facts.roles))


async def permissions_set(call: Call, request: PermissionsSetRequest) -> DoneResult:
    """Replace a user's permissions."""
    await call.operations.set_permissions(request.user, request.permissions)
    return _DONE


async def permissions_get(call: Call, request: UserRequest) -> PermissionsResult:
    """Read a user's permissions."""
    facts = await call.operations.facts(request.user)
    return PermissionsResult(permissions=sorted(facts.permissions))


async def membership_set(call: Call, request: MembershipSetRequest) -> DoneResult:
    """Replace the workspaces a user belongs to."""
    await call.operations.set_workspaces(request.user, request.workspaces)
    return _DONE


async def rooms_set(call: Call, request: RoomsSetRequest) -> Room:
    """Make or replace a room."""
    record = Room(**{name: getattr(request, name) for name in Room.__struct_fields__})
    return await call.operations.set_room(request.channel, record, ttl=request.ttl)


async def rooms_get(call: Call, request: RoomRequest) -> Room:
    """Read a room."""
    record = await call.operations.room(request.channel)
    if record is None:
        raise Fault(FaultKind.UNKNOWN_CHANNEL, detail="there is no such room")
    return record.room


async def rooms_list(call: Call, request: RoomsListRequest) -> RoomsResult:
    """List rooms, or channels that have lost their record."""
    first, last = request.offset, request.offset + request.limit
    if request.orphans:
        orphans = await call.operations.orphans()
        found = [str(each) for each in orphans if _asked(request, each)]
        return RoomsResult(rooms=[], orphans=found[first:last], total=len(found))
    records = await call.operations.rooms()
    channels = sorted(each for each in records if _asked(request, each))
    shown = [RoomResult.of(each, records[each]) for each in channels[first:last]]
    return RoomsResult(rooms=shown, orphans=[], total=len(channels))


def _asked(request: RoomsListRequest, channel: Channel) -> bool:
    return request.namespace in {None, channel.namespace}


async def rooms_remove(call: Call, request: RoomRequest) -> RemovedResult:
    """Forget a room."""
    return RemovedResult(removed=await call.operations.remove_room(request.channel))
