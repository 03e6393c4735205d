"""Methods about channels: their publications and their subscribers."""

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta
from msgspec.structs import replace

from portward.admin.errors import ErrorBody, explain
from portward.model.channel import Channel
from portward.model.commands import Publish, ReadHistory
from portward.model.errors import CommandError, ErrorKind, Unavailable
from portward.model.limits import HISTORY_LIMIT
from portward.model.position import Position
from portward.model.publication import HistoryPage, Publication
from portward.node.admin_method import (
    MAX_ITEMS,
    ApiRequest,
    ApiResult,
    MethodContext,
    Once,
    Word,
    method,
    yielding,
)
from portward.security.signing import parts, verify_message
from portward.settings.keys import Scope

Skip = Annotated[bool, Meta(description="Known for compatibility; `true` is refused.")]
_EVERYTHING: Final = -1
"""The value of `limit` that requests as many publications as possible."""


class PublishRequest(ApiRequest, frozen=True):
    """A publication: any JSON value up to 64 KiB."""

    channel: Channel
    data: Any
    key: Word | None = None
    type: Word | None = None
    idempotency_key: Once | None = None
    skip_history: Skip = False


class BroadcastRequest(ApiRequest, frozen=True):
    """The same publication for several channels."""

    channels: Annotated[tuple[Channel, ...], Meta(min_length=1, max_length=MAX_ITEMS)]
    data: Any
    key: Word | None = None
    type: Word | None = None
    idempotency_key: Once | None = None
    skip_history: Skip = False


class PositionResult(ApiResult, frozen=True):
    """Where the publication stands in its stream."""

    offset: int
    epoch: str


class PublishOutcome(ApiResult, frozen=True, omit_defaults=True):
    """How one channel of a broadcast fared: one of the two."""

    result: PositionResult | None = None
    error: ErrorBody | None = None


class BroadcastResult(ApiResult, frozen=True):
    """One outcome per channel, in the order asked for."""

    responses: list[PublishOutcome]


class Since(ApiRequest, frozen=True):
    """A position in a stream. Without an epoch the current one is meant."""

    offset: Annotated[int, Meta(ge=0)]
    epoch: Annotated[str, Meta(max_length=64)] = ""


class HistoryRequest(ApiRequest, frozen=True):
    """Which part of a stream to read."""

    channel: Channel
    limit: (
        Annotated[
            int, Meta(ge=-1, description="50 by default, 100 at most; 0 for the position alone.")
        ]
        | None
    ) = None
    since: Since | None = None
    reverse: Annotated[bool, Meta(description="Newest first, and before `since`.")] = False


class PublicationResult(ApiResult, frozen=True, omit_defaults=True):
    """A publication. `time` is in Unix milliseconds; a backend's own have no `user`.

    In a combined channel, `origin` is the channel where it was said. `attachments` are bytes in base64,
    to which `data` refers by their number.
    """

    data: Any
    offset: int
    id: str
    time: int
    key: str | None = None
    type: str | None = None
    user: str | None = None
    email: str | None = None
    signature: str | None = None
    origin: str | None = None
    attachments: tuple[bytes, ...] = ()

    @classmethod
    def of(cls, publication: Publication) -> "PublicationResult":
        """Make the result for a publication."""
        shown = msgspec.convert(publication, cls, from_attributes=True)
        return shown if shown.origin is None else replace(shown, origin=str(shown.origin))


class HistoryResult(ApiResult, frozen=True):
    """A part of a stream, and where the stream stands now."""

    publications: list[PublicationResult]
    offset: int
    epoch: str


class ChannelRequest(ApiRequest, frozen=True):
    """One channel."""

    channel: Channel


class ClientResult(ApiResult, frozen=True, omit_defaults=True):
    """One connection in a channel."""

    client: str
    user: str
    email: str | None = None


class PresenceResult(ApiResult, frozen=True):
    """The connections in a channel by their ids."""

    presence: dict[str, ClientResult]


class PresenceStatsResult(ApiResult, frozen=True):
    """How many connections and users are in a channel."""

    num_clients: int
    num_users: int


class VerifyRequest(ApiRequest, frozen=True):
    """A signed message as it was delivered or read back."""

    channel: Channel
    id: Annotated[str, Meta(max_length=64)]
    user: Annotated[str, Meta(max_length=128)] | None
    data: Any
    time: Annotated[int, Meta(description="Milliseconds, as delivered.")]
    signature: Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]


class VerifyResult(ApiResult, frozen=True):
    """Whether the signature is that of the message."""

    valid: bool


@method(scope=Scope.PUBLISH, summary="Publish to a channel")
async def publish(call: MethodContext, request: PublishRequest) -> PositionResult:
    """Publish to one channel."""
    return await _publish(call, request, request.channel)


@method(scope=Scope.PUBLISH, summary="Publish the same to several channels")
async def broadcast(call: MethodContext, request: BroadcastRequest) -> BroadcastResult:
    """Publish to each channel in turn; one that fails does not stop the others."""
    outcomes = []
    async for channel in yielding(request.channels):
        try:
            outcome = PublishOutcome(result=await _publish(call, request, channel))
        except (CommandError, Unavailable) as error:
            outcome = PublishOutcome(error=explain(error).body)
        outcomes.append(outcome)
    return BroadcastResult(responses=outcomes)


async def _publish(
    call: MethodContext, request: PublishRequest | BroadcastRequest, channel: Channel
) -> PositionResult:
    if request.skip_history:
        raise CommandError(ErrorKind.INVALID_STRUCTURE, detail="skip_history is not supported")
    command = Publish(
        channel=channel,
        data=request.data,
        key=request.key,
        type=request.type,
        idempotency_key=request.idempotency_key,
    )
    position = (await call.operations.publish(command)).position
    return PositionResult(offset=position.offset, epoch=position.epoch)


@method(scope=Scope.READ, summary="Read a channel back")
async def history(call: MethodContext, request: HistoryRequest) -> HistoryResult:
    """Read a channel's history. With `reverse` the newest is first, as in Centrifugo."""
    if request.limit == 0:
        page = HistoryPage((), await call.operations.position(request.channel))
    else:
        page = await call.operations.history(_reading(request))
    _check_epoch(request, page.position)
    found = [PublicationResult.of(each) for each in page.publications]
    if request.reverse:
        found.reverse()
    position = page.position
    return HistoryResult(publications=found, offset=position.offset, epoch=position.epoch)


def _reading(request: HistoryRequest) -> ReadHistory:
    """Return the command for a request: with `reverse`, `since` is the end of the range, not its start."""
    limit = HISTORY_LIMIT if request.limit == _EVERYTHING else request.limit
    since = request.since
    offset = since.offset if since is not None else None
    return ReadHistory(
        channel=request.channel,
        limit=limit,
        since=None if request.reverse else offset,
        epoch=since.epoch or None if since is not None else None,
        before=offset if request.reverse else None,
        reverse=request.reverse,
    )


def _check_epoch(request: HistoryRequest, position: Position) -> None:
    since = request.since
    if since is not None and since.epoch not in {"", position.epoch}:
        raise CommandError(ErrorKind.UNRECOVERABLE)


@method(scope=Scope.READ, summary="List the connections in a channel")
async def presence(call: MethodContext, request: ChannelRequest) -> PresenceResult:
    """Return every connection in a channel."""
    members = await call.operations.presence(request.channel)
    found = {
        each.client: ClientResult(client=each.client, user=each.user, email=each.email)
        async for each in yielding(members)
    }
    return PresenceResult(presence=found)


@method(scope=Scope.READ, summary="Count the connections and users in a channel")
async def presence_stats(call: MethodContext, request: ChannelRequest) -> PresenceStatsResult:
    """Return the number of connections and users in a channel."""
    members = await call.operations.presence(request.channel)
    users = {each.user for each in members}
    return PresenceStatsResult(num_clients=len(members), num_users=len(users))


@method(scope=Scope.READ, summary="Check the signature of a signed message")
async def verify(call: MethodContext, request: VerifyRequest) -> VerifyResult:
    """Compare a signature with those that the endpoints of the namespace would make."""
    namespace = request.channel.namespace
    secrets = [
        endpoint.rules.sign_key
        for endpoint in call.node.endpoints.values()
        if endpoint.namespace is not None and endpoint.namespace.name == namespace
    ]
    if not any(secrets):
        raise CommandError(
            ErrorKind.UNAVAILABLE, detail="messages of this namespace are not signed"
        )
    message = parts(request.id, request.user, request.data, request.time)
    valid = [
        verify_message(request.channel, message, request.signature, secret.encode())
        for secret in secrets
        if secret
    ]
    return VerifyResult(valid=any(valid))
