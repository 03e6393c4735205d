"""Security events of several workers in one order.

Each worker numbers its own. In the order of all, an event's number is its time in milliseconds and
its rank among those of the same millisecond: so a reader that gives the last number it has seen
gets what came after, whichever worker tells it.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

import msgspec

RANKS: Final = 2048
"""Numbers of one millisecond. With more bits, they would not fit into a JSON number much longer."""


class WorkerEvent(msgspec.Struct, frozen=True):
    """An event as a worker tells it."""

    seq: int
    time: str
    event: str
    fields: dict[str, Any]

    @property
    def milliseconds(self) -> int:
        """When it happened, in Unix milliseconds."""
        return round(datetime.fromisoformat(self.time).timestamp() * 1000)


def read(result: Mapping[str, Any] | None) -> list[WorkerEvent]:
    """The events of one worker's result; none without one."""
    return msgspec.convert(result["events"], list[WorkerEvent]) if result is not None else []


def time_of(number: int) -> int:
    """The Unix milliseconds that a number stands for."""
    return number // RANKS


def merged(
    answers: Iterable[Iterable[WorkerEvent]], limit: int, since: int | None, until: int
) -> list[dict[str, Any]]:
    """The newest events, or the first after number `since`; oldest first, none of `until` or later."""
    ordered = sorted(
        (
            (entry.milliseconds, worker, entry.seq, entry)
            for worker, entries in enumerate(answers)
            for entry in entries
        ),
        key=lambda each: each[:3],
    )
    numbered: list[dict[str, Any]] = []
    before = rank = -1
    for milliseconds, _, _, entry in ordered:
        rank = min(rank + 1, RANKS - 1) if milliseconds == before else 0
        before = milliseconds
        number = milliseconds * RANKS + rank
        if milliseconds < until and (since is None or number > since):
            numbered.append({**msgspec.structs.asdict(entry), "seq": number})
    return numbered[-limit:] if since is None else numbered[:limit]
