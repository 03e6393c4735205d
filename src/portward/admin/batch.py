"""Several commands in one request, run in order, with one reply each."""

from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from portward.admin.errors import ApiError, ErrorBody, explain, unexpected
from portward.model.errors import CommandError, ErrorKind, Unavailable
from portward.model.limits import MIB
from portward.node.admin_method import (
    MAX_ITEMS,
    ApiRequest,
    ApiResult,
    MethodContext,
    method,
    yielding,
)

ROOM: Final = 8 * MIB
"""Bytes of replies after which the remaining commands of a batch are refused."""


class BatchRequest(ApiRequest, frozen=True):
    """Commands, each an object whose one key is a method and whose value is its request."""

    commands: Annotated[
        tuple[Annotated[dict[str, Any], Meta(min_length=1, max_length=1)], ...],
        Meta(max_length=MAX_ITEMS),
    ]
    parallel: Annotated[bool, Meta(description="Known for compatibility; order is kept.")] = False


Reply = Annotated[msgspec.Raw, Meta(extra_json_schema={"type": "object"})]


class BatchResult(ApiResult, frozen=True):
    """One reply per command, in order: `{"<method>": <result>}` or `{"error": {…}}`."""

    replies: list[Reply]


@method(scope=None, summary="Carry out several commands in order")
async def batch(call: MethodContext, request: BatchRequest) -> BatchResult:
    """Run each command with the rights of the caller."""
    replies: list[msgspec.Raw] = []
    size = 0
    async for command in yielding(request.commands):
        ((name, body),) = command.items()
        reply = await _reply(call, name, body) if size < ROOM else _full()
        encoded = msgspec.json.encode(reply)
        size += len(encoded)
        replies.append(msgspec.Raw(encoded))
    return BatchResult(replies=replies)


def _full() -> dict[str, ErrorBody]:
    fault = CommandError(ErrorKind.LIMIT_EXCEEDED, detail="the replies of the batch are too long")
    return {"error": explain(fault).body}


async def _reply(call: MethodContext, name: str, body: Any) -> dict[str, Any]:
    try:
        return {name: await call.again(name, body)}
    except (ApiError, CommandError, Unavailable) as error:
        return {"error": explain(error).body}
    except Exception as error:  # noqa: BLE001 - one command must not lose the replies of the others
        call.node.telemetry.failure(error, method=name)
        return {"error": unexpected().body}
