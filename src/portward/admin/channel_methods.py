"""Methods about channels: their publications and their subscribers."""

import re
from collections.abc import AsyncIterator
from fnmatch import translate
from typing import Final

from portward.admin.context import MethodContext, politely
from portward.admin.errors import explain
from portward.admin.requests import (
    BroadcastRequest,
    ChannelRequest,
    ChannelsRequest,
    HistoryRequest,
    PublishRequest,
    VerifyRequest,
)
from portward.admin.results import (
    BroadcastResult,
    ChannelResult,
    ChannelsResult,
    ClientResult,
    HistoryResult,
    PositionResult,
    PresenceResult,
    PresenceStatsResult,
    PublicationResult,
    PublishOutcome,
    VerifyResult,
)
from portward.model.channel import Channel
from portward.model.commands import Publish, ReadHistory
from portward.model.errors import CommandError, ErrorKind, Unavailable
from portward.model.limits import HISTORY_LIMIT
from portward.model.position import Position
from portward.model.publication import HistoryPage
from portward.security.signing import parts, verify_message

_EVERYTHING: Final = -1
"""The value of `limit` that requests as many publications as possible."""


async def publish(call: MethodContext, request: PublishRequest) -> PositionResult:
    """Publish to one channel."""
    return await _publish(call, request, request.channel)


async def broadcast(call: MethodContext, request: BroadcastRequest) -> BroadcastResult:
    """Publish to each channel in turn; one that fails does not stop the others."""
    outcomes = []
    async for channel in politely(request.channels):
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


async def presence(call: MethodContext, request: ChannelRequest) -> PresenceResult:
    """Return every connection in a channel."""
    members = await call.operations.presence(request.channel)
    found = {
        each.client: ClientResult(client=each.client, user=each.user, email=each.email)
        async for each in politely(members)
    }
    return PresenceResult(presence=found)


async def presence_stats(call: MethodContext, request: ChannelRequest) -> PresenceStatsResult:
    """Return the number of connections and users in a channel."""
    members = await call.operations.presence(request.channel)
    users = {each.user for each in members}
    return PresenceStatsResult(num_clients=len(members), num_users=len(users))


async def channels(call: MethodContext, request: ChannelsRequest) -> ChannelsResult:
    """Return the channels with subscribers on this node."""
    found: dict[str, ChannelResult] = {}
    total = 0
    async for name in _matching(call, request.pattern):
        if request.offset <= total < request.offset + request.limit:
            found[str(name)] = ChannelResult(num_clients=call.operations.channel_size(name))
        total += 1
    return ChannelsResult(channels=found, total=total)


async def _matching(call: MethodContext, pattern: str) -> AsyncIterator[Channel]:
    matches = re.compile(translate(pattern or "*")).match
    async for name in politely(call.operations.channel_names()):
        if matches(name):
            yield name


async def verify(call: MethodContext, request: VerifyRequest) -> VerifyResult:
    """Compare a signature with those that the endpoints of the namespace would make."""
    namespace = request.channel.namespace
    secrets = [
        endpoint.rules.sign_secret
        for endpoint in call.node.endpoints.values()
        if endpoint.namespace is not None and endpoint.namespace.name == namespace
    ]
    if not any(secrets):
        raise CommandError(
            ErrorKind.UNAVAILABLE, detail="messages of this namespace are not signed"
        )
    message = parts(request.id, request.user, request.data, request.time)
    valid = [
        verify_message(request.channel, message, request.signature, secret)
        for secret in secrets
        if secret
    ]
    return VerifyResult(valid=any(valid))
