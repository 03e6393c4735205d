"""Converts reports of call-analysis engines to alerts.

| event       | payload                                     | alerts                                |
|-------------|---------------------------------------------|---------------------------------------|
| `result`    | `{callId, callQuality?: {mosScore?, ...}}`  | `call_quality`, severity by the score |
| `events`    | `{callId, events: [{type, timestamp}]}`     | `call_event:<type>` each, medium      |
| `anomalies` | `{callId, anomalies: [{type, confidence}]}` | `anomaly:<type>` each, high above 0.8 |

Engines are trusted, but their reports may have errors: unknown keys are ignored, values of another type
are rejected. The valid entries of a list count although others are malformed.
"""

from collections.abc import Callable
from contextlib import suppress
from math import isfinite
from numbers import Real
from typing import Annotated, Any, Final, NamedTuple, TypeVar

import msgspec
from msgspec import Meta

import portward.protocols.alerts.record as record
from portward.model.commands import Publish
from portward.model.limits import DATA
from portward.protocols.alerts.record import Severity

S = TypeVar("S", bound=msgspec.Struct)
Word = Annotated[str, Meta(min_length=1)]

CERTAIN: Final = 0.8
"""An anomaly of more confidence than this is of high severity."""
_BELOW: Final = ((2.5, Severity.CRITICAL), (3.5, Severity.HIGH), (4.0, Severity.MEDIUM))
"""Mean opinion scores, and the severity below each."""


MOST: Final = 1000
"""Most entries of one report that are read; further ones count as malformed."""
_ROOM: Final = 512
"""Bytes of a publication that its call id and severity may take."""


class AnalysisReport(NamedTuple):
    """Result of a report: the alerts to publish, and how many of its entries could not be read."""

    alerts: tuple[Publish, ...] = ()
    malformed: int = 0
    reason: str = ""
    """Reason for the last of them; it repeats no value of the report."""


class _Report(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    call_id: str


class _Result(_Report, frozen=True, kw_only=True, rename="camel"):
    call_quality: dict[str, Any] | None = None

    @property
    def entries(self) -> list[Any]:
        return [] if self.call_quality is None else [self.call_quality]


class _Events(
    _Report, frozen=True, kw_only=True, rename={"entries": "events", "call_id": "callId"}
):
    entries: list[Any]


class _Anomalies(
    _Report, frozen=True, kw_only=True, rename={"entries": "anomalies", "call_id": "callId"}
):
    entries: list[Any]


class _AnalysisEvent(msgspec.Struct, frozen=True):
    type: Word
    timestamp: Any


class _Anomaly(msgspec.Struct, frozen=True):
    type: Word
    confidence: Any


_Alert = tuple[str, Severity, dict[str, Any]]
"""Type, severity and data."""


def read(namespace: str, event: Any, payload: Any, *, key: str | None = None) -> AnalysisReport:
    """Read one report. With `key`, the idempotency key of its alerts starts with it.

    Raises:
        ValueError: it has nothing that can be read; the message has the reason.
    """
    shape, make = _KINDS.get(event, (None, None)) if isinstance(event, str) else (None, None)
    if shape is None or make is None:
        raise ValueError(f"an event is one of {', '.join(EVENTS)}")
    report = _convert(payload, shape)
    record.channel(namespace, report.call_id)
    alerts: list[Publish] = []
    entries = report.entries
    malformed, reason = 0, ""
    for number, entry in enumerate(entries[:MOST]):
        once = None if key is None else f"{key}:{number}"
        try:
            alert = make(entry)
            command = record.write(namespace, report.call_id, *alert, idempotency_key=once)
        except ValueError as error:
            malformed, reason = malformed + 1, str(error)
        else:
            alerts.append(command)
    if len(entries) > MOST:
        malformed += len(entries) - MOST
        reason = f"a report has at most {MOST} entries"
    if malformed and not alerts:
        raise ValueError(reason)
    return AnalysisReport(tuple(alerts), malformed, reason)


def _convert(value: Any, kind: type[S]) -> S:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from None


def _quality(quality: dict[str, Any]) -> _Alert:
    score = quality.get("mosScore")
    return "call_quality", _severity(score), _copy(quality)


def _severity(score: Any) -> Severity:
    if score is not None:
        number = _number(score, "mosScore")
        for bound, severity in _BELOW:
            if number < bound:
                return severity
    return Severity.LOW


def _event(entry: Any) -> _Alert:
    event = _convert(entry, _AnalysisEvent)
    stamp = event.timestamp
    if not isinstance(stamp, str):
        stamp = _number(stamp, "timestamp")
    data = {"eventType": event.type, "timestamp": stamp}
    return f"call_event:{event.type}", Severity.MEDIUM, _copy(data)


def _anomaly(entry: Any) -> _Alert:
    anomaly = _convert(entry, _Anomaly)
    confidence = _number(anomaly.confidence, "confidence")
    severity = Severity.HIGH if confidence > CERTAIN else Severity.MEDIUM
    data = {"anomalyType": anomaly.type, "confidence": confidence}
    return f"anomaly:{anomaly.type}", severity, data


def _number(value: Any, name: str) -> int | float:
    """Check for a finite number, as JSON has them. Numbers of numeric libraries count, booleans do not."""
    kind = type(value)
    if kind is not bool and issubclass(kind, Real):
        with suppress(OverflowError):  # an integer beyond every float
            number = float(value)
            if isfinite(number):
                return value if type(value) is int else number
    raise ValueError(f"{name} is a finite number")


def _copy(data: dict[str, Any]) -> dict[str, Any]:
    """Copy to plain JSON values, so that later changes by the engine have no effect."""
    try:
        text = msgspec.json.encode(data, enc_hook=_plain)
    except (TypeError, ValueError, RecursionError):
        raise ValueError("its data is no JSON") from None
    if len(text) > DATA - _ROOM:
        raise ValueError("its data is too long")
    return msgspec.json.decode(text, type=dict[str, Any])


def _plain(value: Any) -> float:
    if isinstance(value, Real):
        return float(value)
    raise TypeError


_KINDS: Final[dict[str, tuple[type[_Result | _Events | _Anomalies], Callable[[Any], _Alert]]]] = {
    "result": (_Result, _quality),
    "events": (_Events, _event),
    "anomalies": (_Anomalies, _anomaly),
}
EVENTS: Final = tuple(_KINDS)
"""The events of a report."""
