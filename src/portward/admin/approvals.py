"""Methods about requests for approval: the backend asks members of a workspace and reads the decision.

Both also have their own paths: `POST /api/approvals` and `GET /api/approvals/{id}`.
"""

from typing import Annotated, Any, Final

from msgspec import Meta

from portward.admin.context import MethodContext
from portward.admin.errors import NOT_FOUND, ApiError, bad_request
from portward.admin.requests import ApiRequest, Word
from portward.admin.results import ApprovalRequestResult, ApprovalResult, ApprovalStatus
from portward.model.approval import Approval
from portward.model.channel import Channel
from portward.model.errors import CommandError, ErrorKind
from portward.node.approvals import DEFAULT_LIFE, MAX_ID, MAX_LIFE, MAX_TITLE
from portward.protocols.socketio.payloads import APPROVALS

ASK: Final = "approval_request"
GET: Final = "approval_get"

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


async def ask(call: MethodContext, request: ApprovalAskRequest) -> ApprovalRequestResult:
    """Ask for a decision."""
    approval = await call.node.requests.ask(
        _channel(call, request),
        request.title,
        request.data,
        life=request.expires_in,
        id=request.id,
    )
    return ApprovalRequestResult(id=approval.id, expires_at=approval.expires_at)


def _channel(call: MethodContext, request: ApprovalAskRequest) -> Channel:
    """Return the channel of the deciding users. A request in an unknown namespace would reach nobody."""
    if request.namespace not in call.node.namespaces:
        raise CommandError(ErrorKind.UNKNOWN_CHANNEL)
    try:
        return Channel.parse(f"{request.namespace}:{request.workspace}:{APPROVALS}")
    except ValueError as error:
        raise bad_request(f"{error} - at `$.workspace`") from None


async def get(call: MethodContext, request: ApprovalGetRequest) -> ApprovalResult:
    """Read a request and its decision."""
    approval = await call.node.requests.get(request.id)
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
    pending = call.node.requests.pending(approval)
    return ApprovalStatus.PENDING if pending else ApprovalStatus.EXPIRED
