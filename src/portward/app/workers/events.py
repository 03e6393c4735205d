"""Security events of several workers in one order.

Each worker numbers its own events. In the merged order, an event's number consists of its time in
milliseconds and its rank among the events of the same millisecond: so a reader that passes the last number
it has seen gets all later events, of any worker.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

import msgspec

RANKS: Final = 2048
"""The most ranks per millisecond. With more bits, the numbers would soon exceed a JSON number."""


class WorkerEvent(msgspec.Struct, frozen=True):
    """An event in a worker's answer."""

    seq: int
    time: str
    event: str
    fields: dict[str, Any]

    @property
    def milliseconds(self) -> int:
        """The time of the event in Unix milliseconds."""
        return round(datetime.fromisoformat(self.time).timestamp() * 1000)


def read(result: Mapping[str, Any] | None) -> list[WorkerEvent]:
    """Parse the events of one worker's result; none without a result."""
    return msgspec.convert(result["events"], list[WorkerEvent]) if result is not None else []


def time_of(number: int) -> int:
    """Return the Unix milliseconds in a number."""
    return number // RANKS


def merged(
    answers: Iterable[Iterable[WorkerEvent]], limit: int, since: int | None, until: int
) -> list[dict[str, Any]]:
    """Merge events: the newest, or the first after number `since`; oldest first, only before `until`."""
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
