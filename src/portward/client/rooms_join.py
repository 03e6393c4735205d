"""Joining several rooms: in one message each 128, or one by one at a gateway that knows no other way."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import msgspec

from portward.client.errors import RequestRefused
from portward.client.requests import RequestConnection
from portward.model.position import Position

MOST_ROOMS: Final = 128
"""Rooms that one message may name."""
_UNKNOWN_FORM: Final = "invalid_structure"


class JoinFailure(NamedTuple):
    """A room that was not joined."""

    room: str
    error: RequestRefused


class _FailedRoom(msgspec.Struct, frozen=True, rename="camel"):
    room_id: str
    code: str
    retry_after_ms: int | float | None = None


class _Joined(msgspec.Struct, frozen=True):
    """The end of the answers to a `join` of several rooms."""

    failed: tuple[_FailedRoom, ...] = ()


async def join_rooms(
    connection: RequestConnection, rooms: Mapping[str, Position | None]
) -> list[JoinFailure]:
    """Join rooms, each from its position; return those that were refused.

    Raises:
        ConnectionLost: the connection ended before every answer.
        NoAnswer: an answer did not come in time.
    """
    wanted = [_one(room, since) for room, since in rooms.items()]
    if len(wanted) == 1:
        return await _join_each(connection, wanted)
    failures: list[JoinFailure] = []
    for start in range(0, len(wanted), MOST_ROOMS):
        failures += await _join_several(connection, wanted[start : start + MOST_ROOMS])
    return failures


async def _join_several(
    connection: RequestConnection, wanted: list[dict[str, Any]]
) -> list[JoinFailure]:
    try:
        *answers, last = await connection.request_several("join", {"rooms": wanted}, "joined")
    except RequestRefused as refused:
        if refused.code == _UNKNOWN_FORM:
            return await _join_each(connection, wanted)
        return [JoinFailure(one["roomId"], refused) for one in wanted]
    texts = {
        each.data["roomId"]: str(each.data.get("message", "refused"))
        for each in answers
        if each.kind == "error"
    }
    failed = msgspec.convert(last.data, _Joined).failed
    return [JoinFailure(each.room_id, _error(each, texts.get(each.room_id))) for each in failed]


def _error(failed: _FailedRoom, text: str | None) -> RequestRefused:
    wait = failed.retry_after_ms
    return RequestRefused(failed.code, text or failed.code, None if wait is None else wait / 1000)


async def _join_each(
    connection: RequestConnection, wanted: list[dict[str, Any]]
) -> list[JoinFailure]:
    failures = []
    for one in wanted:
        try:
            await connection.request("join", one)
        except RequestRefused as refused:
            failures.append(JoinFailure(one["roomId"], refused))
    return failures


def _one(room: str, since: Position | None) -> dict[str, Any]:
    return {"roomId": room} if since is None else {"roomId": room, "since": since}
