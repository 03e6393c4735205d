"""Methods about requests for approval: the backend asks members of a workspace and reads the decision.

Both also have their own paths: `POST /api/approvals` and `GET /api/approvals/{id}`.
"""

from enum import StrEnum
from typing import Annotated, Any

from msgspec import Meta

from portward.model.approval import Approval, Decision
from portward.model.channel import Channel
from portward.model.errors import CommandError, ErrorKind
from portward.node.admin_method import (
    NOT_FOUND,
    ApiError,
    ApiRequest,
    ApiResult,
    MethodContext,
    Word,
    method,
)
from portward.protocols.workspaces.approvals import (
    DEFAULT_LIFE,
    MAX_ID,
    MAX_LIFE,
    MAX_TITLE,
    ApprovalRequests,
)
from portward.protocols.workspaces.payloads import APPROVALS
from portward.protocols.workspaces.service import WorkspacesService
from portward.settings.keys import Scope

ApprovalId = Annotated[str, Meta(min_length=1, max_length=MAX_ID)]


class ApprovalAskRequest(ApiRequest, frozen=True):
    """What is to be decided, and by whom: the members of `workspace` who may.

    Asking again with the same `id` and content changes nothing, and answers what was asked first.
    """

    workspace: Annotated[
        str,
        Meta(min_length=1, max_length=64, pattern="^[^:/][^:]*$", examples=["acme"]),
    ]
    title: Annotated[str, Meta(min_length=1, max_length=MAX_TITLE)]
    data: Any = None
    expires_in: Annotated[
        float, Meta(gt=0, le=MAX_LIFE, description="Seconds in which it can be decided.")
    ] = DEFAULT_LIFE
    id: ApprovalId | None = None
    namespace: Word = "workspaces"


class ApprovalGetRequest(ApiRequest, frozen=True):
    """The id of a request for approval."""

    id: ApprovalId


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


@method(
    scope=Scope.PUBLISH,
    summary="Ask the people of a workspace for a decision",
    alias=("POST", "/approvals"),
)
async def approval_request(
    call: MethodContext, request: ApprovalAskRequest
) -> ApprovalRequestResult:
    """Ask for a decision."""
    approval = await _requests(call).ask(
        _channel(call, request),
        request.title,
        request.data,
        life=request.expires_in,
        id=request.id,
    )
    return ApprovalRequestResult(id=approval.id, expires_at=approval.expires_at)


def _requests(call: MethodContext) -> ApprovalRequests:
    return call.node.protocols.of(WorkspacesService).approvals


def _channel(call: MethodContext, request: ApprovalAskRequest) -> Channel:
    """Return the channel of the deciding users. A request in an unknown namespace would reach nobody."""
    if request.namespace not in call.node.namespaces:
        raise CommandError(ErrorKind.UNKNOWN_CHANNEL)
    try:
        return Channel.parse(f"{request.namespace}:{request.workspace}:{APPROVALS}")
    except ValueError as error:
        raise CommandError(ErrorKind.INVALID_FORMAT, detail=f"{error} - at `$.workspace`") from None


@method(
    scope=Scope.READ,
    summary="Read a request for approval and its verdict",
    alias=("GET", "/approvals/{id}"),
)
async def approval_get(call: MethodContext, request: ApprovalGetRequest) -> ApprovalResult:
    """Read a request and its decision."""
    approval = await _requests(call).get(request.id)
    if approval is None:
        raise ApiError(404, NOT_FOUND, "unknown approval")
    return _shown(call, approval)


def _shown(call: MethodContext, approval: Approval) -> ApprovalResult:
    verdict = approval.verdict
    return ApprovalResult(
        id=approval.id,
        workspace=approval.channel.name.rpartition(":")[0],
        title=approval.title,
        data=approval.data,
        status=_status(call, approval),
        created_at=approval.created_at,
        expires_at=approval.expires_at,
        decision=verdict.decision if verdict is not None else None,
        user=verdict.user if verdict is not None else None,
        comment=verdict.comment if verdict is not None else None,
        decided_at=verdict.at if verdict is not None else None,
    )


def _status(call: MethodContext, approval: Approval) -> ApprovalStatus:
    if approval.verdict is not None:
        return ApprovalStatus.of(approval.verdict.decision)
    pending = _requests(call).pending(approval)
    return ApprovalStatus.PENDING if pending else ApprovalStatus.EXPIRED
