"""Usage that an upstream reports: tokens, or seconds of audio when the upstream bills by time.

Every event with a `usage` object counts, whatever its type: a response (`response.done`), a transcription
(`conversation.item.input_audio_transcription.completed`), and types that an upstream adds later. The
object is in the event itself, or in one of its members.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

import msgspec

_MARK: Final = b'"usage"'
_MOST: Final = 2**53
_PARTS: Final = (("input_tokens", "output_tokens"), ("prompt_tokens", "completion_tokens"))
"""Counts that are added up when the report has no total."""
_TIMES: Final = ("seconds", "duration_seconds")

_decode = msgspec.json.Decoder().decode


class UpstreamUsage(NamedTuple):
    """The usage in one message."""

    tokens: int = 0
    seconds: float = 0.0

    def __bool__(self) -> bool:
        return bool(self.tokens or self.seconds)


NOTHING: Final = UpstreamUsage()


def usage(payload: bytes) -> UpstreamUsage:
    """Return the usage that one message of the upstream reports; zero for any other message."""
    if _MARK not in payload:
        return NOTHING
    try:
        event = _decode(payload)
    except (ValueError, RecursionError):
        return NOTHING
    if not isinstance(event, dict):
        return NOTHING
    reports = list(_reports(event))
    return UpstreamUsage(
        min(sum(map(_tokens, reports)), _MOST), min(sum(map(_seconds, reports)), float(_MOST))
    )


def _reports(event: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for place in (event, *event.values()):
        found = place.get("usage") if isinstance(place, dict) else None
        if isinstance(found, dict):
            yield found


def _tokens(report: Mapping[str, Any]) -> int:
    if "total_tokens" in report:
        return math.ceil(_number(report["total_tokens"]))
    sums = (sum(_number(report.get(name)) for name in names) for names in _PARTS)
    return math.ceil(max(sums))


def _seconds(report: Mapping[str, Any]) -> float:
    return max(_number(report.get(name)) for name in _TIMES)


def _number(value: object) -> float:
    """Return a count; 0 for a value that is no number or is absurd."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0
    return value if 0 <= value <= _MOST else 0
