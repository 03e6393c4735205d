"""What an upstream reports as used up: tokens, and seconds of audio where it bills by time.

Every event that carries a `usage` counts, whatever its type: an answer (`response.done`), the
transcription of what was said (`conversation.item.input_audio_transcription.completed`), and those an
upstream adds later. The report stands in the event itself, or in one of its objects.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

import msgspec

_MARK: Final = b'"usage"'
_MOST: Final = 2**53
_PARTS: Final = (("input_tokens", "output_tokens"), ("prompt_tokens", "completion_tokens"))
"""Counts that make up a total which is not given itself."""
_TIMES: Final = ("seconds", "duration_seconds")

_decode = msgspec.json.Decoder().decode


class UpstreamUsage(NamedTuple):
    """What one message reports."""

    tokens: int = 0
    seconds: float = 0.0

    def __bool__(self) -> bool:
        return bool(self.tokens or self.seconds)


NOTHING: Final = UpstreamUsage()


def usage(payload: bytes) -> UpstreamUsage:
    """The usage that one message of the upstream reports; nothing for any other message."""
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
    """A count; 0 for what is none, absurd figures included."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return 0
    return value if 0 <= value <= _MOST else 0
