"""Joining several rooms again: in one message each 128, or one by one on an older gateway."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import msgspec

from portward.client.connection import Connection
from portward.client.errors import RequestRefused, is_temporary
from portward.model.position import Position

MOST_ROOMS: Final = 128
"""Rooms that one message may name."""
_UNKNOWN_FORM: Final = "invalid_structure"


class Failure(NamedTuple):
    """A room that was not joined. `retry_after` is in seconds, None when no time was named."""

    room: str
    code: str
    text: str
    temporary: bool
    retry_after: float | None


class _Failed(msgspec.Struct, frozen=True, rename="camel"):
    room_id: str
    code: str
    retry_after_ms: int | float | None = None


class _Joined(msgspec.Struct, frozen=True):
    """The end of the answers to a `join` of several rooms."""

    failed: tuple[_Failed, ...] = ()


async def rejoin(connection: Connection, rooms: Mapping[str, Position | None]) -> list[Failure]:
    """Join rooms, each from its position; return those that were refused.

    Raises:
        ConnectionLost: the connection ended before every answer.
        NoAnswer: an answer did not come in time.
    """
    wanted = [_one(room, since) for room, since in rooms.items()]
    if len(wanted) == 1:
        return await _join_each(connection, wanted)
    failures: list[Failure] = []
    for start in range(0, len(wanted), MOST_ROOMS):
        failures += await _join_several(connection, wanted[start : start + MOST_ROOMS])
    return failures


async def _join_several(connection: Connection, wanted: list[dict[str, Any]]) -> list[Failure]:
    try:
        *answers, last = await connection.request_several("join", {"rooms": wanted}, "joined")
    except RequestRefused as refused:
        if refused.code == _UNKNOWN_FORM:  # a gateway that joins one room a message
            return await _join_each(connection, wanted)
        return [_failure(one["roomId"], refused) for one in wanted]
    texts = {
        each.data["roomId"]: str(each.data.get("message", "refused"))
        for each in answers
        if each.type == "error"
    }
    return [
        Failure(
            room=each.room_id,
            code=each.code,
            text=texts.get(each.room_id, each.code),
            temporary=is_temporary(each.code) or each.retry_after_ms is not None,
            retry_after=None if each.retry_after_ms is None else each.retry_after_ms / 1000,
        )
        for each in msgspec.convert(last.data, _Joined).failed
    ]


async def _join_each(connection: Connection, wanted: list[dict[str, Any]]) -> list[Failure]:
    failures = []
    for one in wanted:
        try:
            await connection.request("join", one)
        except RequestRefused as refused:
            failures.append(_failure(one["roomId"], refused))
    return failures


def _failure(room: str, refused: RequestRefused) -> Failure:
    return Failure(room, refused.code, refused.text, refused.temporary, refused.retry_after)


def _one(room: str, since: Position | None) -> dict[str, Any]:
    return {"roomId": room} if since is None else {"roomId": room, "since": since}
