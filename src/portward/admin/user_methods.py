"""Methods about users: their connections, credentials and rights."""

from typing import Annotated

from msgspec import Meta, Struct

from portward.model.channel import Channel
from portward.model.errors import CommandError, ErrorKind
from portward.model.limits import MAX_TOKEN, TICKET_TIME
from portward.model.revocation import Revocation, RevocationKind
from portward.node.admin_method import (
    MAX_ITEMS,
    ApiRequest,
    ApiResult,
    DoneResult,
    MethodContext,
    Missing,
    User,
    Word,
    method,
    question,
)
from portward.node.commands import SurveyedNode
from portward.settings.keys import Scope

Words = Annotated[tuple[Word, ...], Meta(max_length=MAX_ITEMS)]
Client = Annotated[str, Meta(max_length=64, description="Connection id; empty means every one.")]
Identifier = Annotated[str, Meta(max_length=256)]
_DONE = DoneResult()


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


class RevokeResult(ApiResult, frozen=True):
    """How many connections ended."""

    ended: int
    missing: Missing = ()


class RevocationRequest(Struct, frozen=True):
    """A revocation that was made."""

    revocation: Revocation


class EndedAnswer(Struct, frozen=True):
    """How many connections of one node ended."""

    ended: int


class TicketRequest(ApiRequest, frozen=True):
    """A user's access token."""

    token: Annotated[str, Meta(min_length=1, max_length=MAX_TOKEN)]

    def __repr__(self) -> str:
        return "TicketRequest()"


class TicketResult(ApiResult, frozen=True):
    """A ticket that works once, within `expires_in` seconds."""

    ticket: str
    expires_in: int

    def __repr__(self) -> str:
        return "TicketResult()"


class UserRequest(ApiRequest, frozen=True):
    """One user."""

    user: User


class RolesSetRequest(ApiRequest, frozen=True):
    """All roles the directory is to have for a user."""

    user: User
    roles: Words


class RolesResult(ApiResult, frozen=True):
    """The roles the directory has for a user; those of tokens are not among them."""

    roles: list[str]


class PermissionsSetRequest(ApiRequest, frozen=True):
    """All permissions the directory is to have for a user."""

    user: User
    permissions: Words


class PermissionsResult(ApiResult, frozen=True):
    """The permissions the directory has for a user; those of tokens are not among them."""

    permissions: list[str]


class MembershipSetRequest(ApiRequest, frozen=True):
    """All workspaces the directory is to have a user belong to, whatever the user's token says.

    With null the directory says nothing, and the token's workspace counts again.
    """

    user: User
    workspaces: Words | None


@method(scope=Scope.MANAGE, summary="End the connections of a user, or one of them")
async def disconnect(call: MethodContext, request: DisconnectRequest) -> DoneResult:
    """Close a user's connections, or one of them."""
    await call.operations.disconnect(request.user, request.client or None)
    return _DONE


@method(scope=Scope.MANAGE, summary="Take a user out of a channel")
async def unsubscribe(call: MethodContext, request: UnsubscribeRequest) -> DoneResult:
    """Take a user out of a channel."""
    await call.operations.unsubscribe(request.user, request.channel, request.client or None)
    return _DONE


@question
async def ended_sessions(node: SurveyedNode, request: RevocationRequest) -> EndedAnswer:
    """Return how many connections of this node a revocation closed."""
    return EndedAnswer(node.rights_events.ended_by(request.revocation))


@method(
    scope=Scope.MANAGE,
    summary="Take back a token, a session, or everything a user holds",
)
async def revoke(call: MethodContext, request: RevokeRequest) -> RevokeResult:
    """Revoke a token, a session, or all credentials of a user."""
    named = {kind: getattr(request, kind.value) for kind in RevocationKind}
    chosen = [(kind, value) for kind, value in named.items() if value]
    if len(chosen) != 1:
        raise CommandError(
            ErrorKind.INVALID_STRUCTURE, detail="name exactly one of jti, session, user and token"
        )
    made = await call.operations.revoke(*chosen[0])
    # On the bus the question is behind the revocation, so every node has closed its connections.
    found = await call.node.survey.ask(ended_sessions, RevocationRequest(made.revocation))
    others = [each.ended for uid, each in found.answers.items() if uid != call.operations.uid]
    return RevokeResult(ended=made.ended + sum(others), missing=found.missing)


@method(scope=Scope.MANAGE, summary="Exchange a token for a single-use ticket", act=False)
async def ticket(call: MethodContext, request: TicketRequest) -> TicketResult:
    """Exchange a token for a ticket."""
    made = await call.operations.ticket(request.token)
    return TicketResult(ticket=made, expires_in=int(TICKET_TIME))


@method(scope=Scope.MANAGE, summary="Replace the roles of a user")
async def roles_set(call: MethodContext, request: RolesSetRequest) -> DoneResult:
    """Replace a user's roles."""
    await call.operations.set_roles(request.user, request.roles)
    return _DONE


@method(scope=Scope.READ, summary="Read the roles of a user")
async def roles_get(call: MethodContext, request: UserRequest) -> RolesResult:
    """Read a user's roles."""
    facts = await call.operations.facts(request.user)
    return RolesResult(roles=sorted(facts.roles))


@method(scope=Scope.MANAGE, summary="Replace the permissions of a user")
async def permissions_set(call: MethodContext, request: PermissionsSetRequest) -> DoneResult:
    """Replace a user's permissions."""
    await call.operations.set_permissions(request.user, request.permissions)
    return _DONE


@method(scope=Scope.READ, summary="Read the permissions of a user")
async def permissions_get(call: MethodContext, request: UserRequest) -> PermissionsResult:
    """Read a user's permissions."""
    facts = await call.operations.facts(request.user)
    return PermissionsResult(permissions=sorted(facts.permissions))


@method(scope=Scope.MANAGE, summary="Replace the workspaces a user belongs to")
async def membership_set(call: MethodContext, request: MembershipSetRequest) -> DoneResult:
    """Replace the workspaces a user belongs to."""
    await call.operations.set_workspaces(request.user, request.workspaces)
    return _DONE
