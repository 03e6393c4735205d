"""Methods about alerts: an alert of the backend, or a report of a call-analysis engine."""

from typing import Annotated, Any

import msgspec
from msgspec import Meta

import portward.protocols.alerts.record as alert_record
from portward.model.commands import Publish
from portward.model.errors import CommandError, ErrorKind
from portward.node.admin_method import (
    ApiRequest,
    ApiResult,
    MethodContext,
    Once,
    Word,
    method,
    yielding,
)
from portward.protocols.alerts.analysis import AnalysisReport, read
from portward.protocols.alerts.record import Severity
from portward.settings.keys import Scope
from portward.telemetry import Event


class AlertRequest(ApiRequest, frozen=True, rename="camel"):
    """An alert about one call."""

    call_id: Annotated[str, Meta(min_length=1, max_length=64)]
    type: Word
    severity: Severity
    data: dict[str, Any]
    idempotency_key: Once | None = msgspec.field(default=None, name="idempotency_key")
    namespace: Word = "alerts"


class AlertResult(ApiResult, frozen=True):
    """The id of the alert, as subscribers are told it."""

    id: str


class AnalysisRequest(ApiRequest, frozen=True):
    """What a call-analysis engine reports: `result`, `events` or `anomalies`, and what belongs to it."""

    event: Annotated[str, Meta(max_length=64, examples=["result", "events", "anomalies"])]
    payload: dict[str, Any]
    idempotency_key: Once | None = None
    namespace: Word = "alerts"


class AnalysisResult(ApiResult, frozen=True):
    """The ids of the alerts the report made, in its order."""

    ids: list[str]


@method(scope=Scope.PUBLISH, summary="Publish an alert about a call")
async def alert(call: MethodContext, request: AlertRequest) -> AlertResult:
    """Publish one alert."""
    try:
        command = alert_record.write(
            request.namespace,
            request.call_id,
            request.type,
            request.severity,
            request.data,
            idempotency_key=request.idempotency_key,
        )
    except ValueError as error:
        raise CommandError(ErrorKind.INVALID_FORMAT, detail=str(error)) from None
    return AlertResult(id=await _publish(call, command))


@method(scope=Scope.PUBLISH, summary="Publish the alerts that a call-analysis report makes")
async def analysis(call: MethodContext, request: AnalysisRequest) -> AnalysisResult:
    """Publish the alerts of a report; entries that cannot be parsed are logged and left out.

    When the store fails in between, the alerts before that are published; a repeated request with the same
    idempotency key publishes the others.
    """
    reading = _read(call, request)
    ids = [await _publish(call, command) async for command in yielding(reading.alerts)]
    return AnalysisResult(ids=ids)


def _read(call: MethodContext, request: AnalysisRequest) -> AnalysisReport:
    try:
        reading = read(
            request.namespace, request.event, request.payload, key=request.idempotency_key
        )
    except ValueError as error:
        _record(call, 1, str(error))
        raise CommandError(ErrorKind.INVALID_FORMAT, detail=str(error)) from None
    if reading.malformed:
        _record(call, reading.malformed, reading.reason)
    return reading


def _record(call: MethodContext, count: int, reason: str) -> None:
    call.node.telemetry.record(Event.ANALYSIS_MALFORMED, count=count, detail=reason)


async def _publish(call: MethodContext, command: Publish) -> str:
    return alert_record.alert_id((await call.operations.publish(command)).id)
