"""Security events of all nodes, in one order."""

import sys
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated, Final

from msgspec import Meta, Struct
from msgspec.structs import replace

from portward.node.admin_method import (
    ApiRequest,
    ApiResult,
    MethodContext,
    Missing,
    PageSize,
    method,
    question,
)
from portward.node.commands import SurveyedNode
from portward.settings.keys import Scope
from portward.telemetry import AuditEntry
from portward.telemetry.log import stamp

RANKS: Final = 2048
"""The most numbers of security events per millisecond. With more, they would soon exceed a JSON number."""


class SecurityEventsRequest(ApiRequest, frozen=True):
    """Which security events to read: the newest, or those after number `since`; oldest first."""

    limit: PageSize = 100
    since: Annotated[int, Meta(ge=0)] | None = None


class SecurityEventsResult(ApiResult, frozen=True):
    """Security events, oldest first; give the last `seq` as `since` to read on."""

    events: list[AuditEntry]
    missing: Missing = ()


class EventsRequest(Struct, frozen=True):
    """Which events of a node are asked for: the newest `limit`, or the first from the time `since` on.

    The events of a millisecond are never separated, so there may be a few more.
    """

    limit: int
    since: str | None


class EventsAnswer(Struct, frozen=True):
    """Events of one node, oldest first."""

    events: list[AuditEntry]


@question
async def audited_events(node: SurveyedNode, request: EventsRequest) -> EventsAnswer:
    """Return security events that the audit of this node has in memory."""
    recent = node.telemetry.audit.recent(sys.maxsize)
    if request.since is None:
        first = max(0, len(recent) - request.limit)
        while 0 < first < len(recent) and recent[first - 1].time == recent[first].time:
            first -= 1
        return EventsAnswer(recent[first:])
    later = [each for each in recent if each.time >= request.since]
    same = sum(1 for each in later if each.time == request.since)
    return EventsAnswer(later[: same + request.limit])


@method(scope=Scope.READ, summary="Read recent security events")
async def security_events(
    call: MethodContext, request: SecurityEventsRequest
) -> SecurityEventsResult:
    """Return the security events of all nodes by time.

    On an engine of one process they have the numbers of its audit.
    """
    if not call.node.engine.shared_by_nodes:
        recent = call.node.telemetry.audit.recent(request.limit, request.since)
        return SecurityEventsResult(events=recent)
    # Later events are left out: some nodes may already report them, and others not yet.
    until = int(call.node.clock.time() * 1000)
    since = None if request.since is None else stamp(request.since // RANKS / 1000)
    found = await call.node.survey.ask(audited_events, EventsRequest(request.limit, since))
    numbered = [
        each
        for each in merged_events(answer.events for answer in found.answers.values())
        if each.seq // RANKS < until and (request.since is None or each.seq > request.since)
    ]
    newest = request.since is None
    chosen = numbered[-request.limit :] if newest else numbered[: request.limit]
    return SecurityEventsResult(events=chosen, missing=found.missing)


def merged_events(answers: Iterable[Iterable[AuditEntry]]) -> list[AuditEntry]:
    """Merge the events of several nodes by time, with numbers that several nodes have in common.

    A number consists of the time in milliseconds and the rank among the events of the same millisecond: so a
    reader that passes the last number it has seen gets all later events, of any node.
    """
    ordered = sorted(
        (
            (entry.time, index, entry.seq, entry)
            for index, entries in enumerate(answers)
            for entry in entries
        ),
        key=lambda each: each[:3],
    )
    numbered: list[AuditEntry] = []
    before, rank = "", 0
    for time, _, _, entry in ordered:
        rank = min(rank + 1, RANKS - 1) if time == before else 0
        before = time
        milliseconds = round(datetime.fromisoformat(time).timestamp() * 1000)
        numbered.append(replace(entry, seq=milliseconds * RANKS + rank))
    return numbered
