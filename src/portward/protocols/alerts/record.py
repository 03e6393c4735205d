"""An alert as it is stored: a publication in the channel of its call."""

import re
from enum import StrEnum
from typing import Any, Final

import msgspec

import portward.protocols.alerts.call_ids as call_ids
from portward.model.channel import Channel
from portward.model.commands import Publish
from portward.model.publication import Publication


class Severity(StrEnum):
    """The severity of an alert."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class Alert(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """One alert as sent to subscribers. `timestamp` is in Unix milliseconds.

    `offset` and `epoch` are its position in the stream it was read from: the stream of its call, or the
    combined stream of all calls.
    """

    id: str
    timestamp: int
    call_id: str
    type: str
    severity: Severity
    data: dict[str, Any]
    offset: int
    epoch: str


MAX_TYPE: Final = 128
_UNFIT: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_KEYS: Final = frozenset({"callId", "severity", "data"})
_SEVERITIES: Final = tuple(Severity)
_SHOWN: Final = 16
"""Characters of a publication's id that its alert's id has."""
_UNTYPED: Final = "message"


def alert_id(publication: str) -> str:
    """The id of the alert in a publication."""
    return f"alert_{publication[:_SHOWN]}"


def channel(namespace: str, call_id: Any) -> Channel:
    """The channel of one call.

    Raises:
        ValueError: it cannot be the id of a call.
    """
    found = call_ids.encode(namespace, call_id)
    if found is None or found.is_combined:
        raise ValueError("a call id is a text of 1 to 64 characters, and not *")
    return found


def write(
    namespace: str,
    call_id: Any,
    type: Any,  # noqa: A002 - the word on the wire
    severity: Any,
    data: Any,
    *,
    idempotency_key: str | None = None,
) -> Publish:
    """Make the command that publishes an alert.

    Raises:
        ValueError: a part of it is invalid.
    """
    where = channel(namespace, call_id)
    if not isinstance(type, str) or not 1 <= len(type) <= MAX_TYPE or _UNFIT.search(type):
        raise ValueError(
            "an alert's type has 1 to 128 characters, none of them a control character"
        )
    if severity not in _SEVERITIES:
        raise ValueError(f"an alert's severity is one of {', '.join(_SEVERITIES)}")
    if not isinstance(data, dict):
        raise ValueError("an alert's data is an object")  # noqa: TRY004 - one kind of error for all parts
    return Publish(
        channel=where,
        data={"callId": call_id, "severity": str(severity), "data": data},
        type=type,
        idempotency_key=idempotency_key,
    )


def urgency(publication: Publication) -> int:
    """The rank of an alert's severity; the lowest for a publication that was not written as an alert."""
    content = publication.data
    severity = (
        content.get("severity") if isinstance(content, dict) and content.keys() == _KEYS else None
    )
    return _SEVERITIES.index(severity) if severity in _SEVERITIES else 0


def read(channel: Channel, publication: Publication, epoch: str) -> Alert:
    """Read the alert of a publication; one that was not written as an alert gets low severity."""
    call = publication.origin or channel
    content = publication.data
    if not _written(content, call):
        data = content if isinstance(content, dict) else {"value": content}
        content = {"callId": call_ids.decode(call), "severity": Severity.LOW, "data": data}
    return Alert(
        id=alert_id(publication.id),
        timestamp=publication.time,
        call_id=content["callId"],
        type=publication.type or _UNTYPED,
        severity=Severity(content["severity"]),
        data=content["data"],
        offset=publication.offset,
        epoch=epoch,
    )


def _written(content: Any, call: Channel) -> bool:
    """Whether the data have the form that :func:`write` gives, and name the call of their channel."""
    return (
        isinstance(content, dict)
        and content.keys() == _KEYS
        and call_ids.encode(call.namespace, content["callId"]) == call
        and content["severity"] in _SEVERITIES
        and isinstance(content["data"], dict)
    )
