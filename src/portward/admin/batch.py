"""Several commands in one request, run in order, with one reply each."""

from typing import Any, Final

import msgspec

from portward.admin.context import MethodContext, politely
from portward.admin.errors import ApiError, ErrorBody, explain, unexpected
from portward.admin.requests import BatchRequest
from portward.admin.results import BatchResult
from portward.model.errors import CommandError, ErrorKind, Unavailable
from portward.model.limits import MIB

NAME: Final = "batch"
ROOM: Final = 8 * MIB
"""Bytes of replies after which the remaining commands of a batch are refused."""


async def batch(call: MethodContext, request: BatchRequest) -> BatchResult:
    """Run each command with the rights of the caller."""
    replies: list[msgspec.Raw] = []
    size = 0
    async for command in politely(request.commands):
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
        return {name: await call.again(call, name, body)}
    except (ApiError, CommandError, Unavailable) as error:
        return {"error": explain(error).body}
    except Exception as error:  # noqa: BLE001 - one command must not lose the replies of the others
        call.node.telemetry.failure(error, method=name)
        return {"error": unexpected().body}
