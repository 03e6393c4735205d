"""Methods about users: their connections, credentials and rights."""

from portward.admin.context import MethodContext
from portward.admin.requests import (
    DisconnectRequest,
    MembershipSetRequest,
    PermissionsSetRequest,
    RevokeRequest,
    RolesSetRequest,
    TicketRequest,
    UnsubscribeRequest,
    UserRequest,
)
from portward.admin.results import (
    DoneResult,
    PermissionsResult,
    RevokeResult,
    RolesResult,
    TicketResult,
)
from portward.model.errors import CommandError, ErrorKind
from portward.model.limits import TICKET_TIME
from portward.model.revocation import RevocationKind

_DONE = DoneResult()


async def disconnect(call: MethodContext, request: DisconnectRequest) -> DoneResult:
    """Close a user's connections, or one of them."""
    await call.operations.disconnect(request.user, request.client or None)
    return _DONE


async def unsubscribe(call: MethodContext, request: UnsubscribeRequest) -> DoneResult:
    """Take a user out of a channel."""
    await call.operations.unsubscribe(request.user, request.channel, request.client or None)
    return _DONE


async def revoke(call: MethodContext, request: RevokeRequest) -> RevokeResult:
    """Revoke a token, a session, or all credentials of a user."""
    named = {kind: getattr(request, kind.value) for kind in RevocationKind}
    chosen = [(kind, value) for kind, value in named.items() if value]
    if len(chosen) != 1:
        raise CommandError(
            ErrorKind.INVALID_STRUCTURE, detail="name exactly one of jti, session, user and token"
        )
    return RevokeResult(ended=await call.operations.revoke(*chosen[0]))


async def ticket(call: MethodContext, request: TicketRequest) -> TicketResult:
    """Exchange a token for a ticket."""
    made = await call.operations.ticket(request.token)
    return TicketResult(ticket=made, expires_in=int(TICKET_TIME))


async def roles_set(call: MethodContext, request: RolesSetRequest) -> DoneResult:
    """Replace a user's roles."""
    await call.operations.set_roles(request.user, request.roles)
    return _DONE


async def roles_get(call: MethodContext, request: UserRequest) -> RolesResult:
    """Read a user's roles."""
    facts = await call.operations.facts(request.user)
    return RolesResult(roles=sorted(facts.roles))


async def permissions_set(call: MethodContext, request: PermissionsSetRequest) -> DoneResult:
    """Replace a user's permissions."""
    await call.operations.set_permissions(request.user, request.permissions)
    return _DONE


async def permissions_get(call: MethodContext, request: UserRequest) -> PermissionsResult:
    """Read a user's permissions."""
    facts = await call.operations.facts(request.user)
    return PermissionsResult(permissions=sorted(facts.permissions))


async def membership_set(call: MethodContext, request: MembershipSetRequest) -> DoneResult:
    """Replace the workspaces a user belongs to."""
    await call.operations.set_workspaces(request.user, request.workspaces)
    return _DONE
