"""What an upstream reports as used up counts, whichever event reports it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portward.protocols.relay.usage import UpstreamUsage, usage

pytestmark = pytest.mark.p0

TRANSCRIBED = "conversation.item.input_audio_transcription.completed"


def event(kind: object, **members: Any) -> bytes:
    """One event of an upstream."""
    return json.dumps({"type": kind, **members}).encode()


REPORTS: dict[str, tuple[bytes, UpstreamUsage]] = {
    "an answer": (event("response.done", response={"usage": {"total_tokens": 12}}), UpstreamUsage(12)),
    "a transcription in tokens": (
        event(TRANSCRIBED, usage={"type": "tokens", "total_tokens": 300_000, "input_tokens": 1}),
        UpstreamUsage(300_000),
    ),
    "a transcription in seconds": (
        event(TRANSCRIBED, usage={"type": "duration", "seconds": 3.5}),
        UpstreamUsage(0, 3.5),
    ),
    "both": (event("x", usage={"total_tokens": 2, "seconds": 1}), UpstreamUsage(2, 1.0)),
    "parts without a total": (
        event("x.done", usage={"input_tokens": 5, "output_tokens": 6}), UpstreamUsage(11),
    ),
    "parts by older names": (
        event("x.done", response={"usage": {"prompt_tokens": 5, "completion_tokens": 6}}), UpstreamUsage(11),
    ),
    "one part alone": (event("x.done", usage={"output_tokens": 6}), UpstreamUsage(6)),
    "an item": (event("conversation.item.done", item={"usage": {"total_tokens": 4}}), UpstreamUsage(4)),
    "a session": (event("session.ended", session={"usage": {"total_tokens": 4}}), UpstreamUsage(4)),
    "an unknown event": (event("a.b.c", anything={"usage": {"total_tokens": 4}}), UpstreamUsage(4)),
    "no type": (b'{"usage":{"total_tokens":4}}', UpstreamUsage(4)),
    "two places": (
        event("x", usage={"total_tokens": 1}, response={"usage": {"total_tokens": 2}}), UpstreamUsage(3),
    ),
    "blanks": (
        b' { "response" : {"usage" : {"total_tokens":7}}, "type" : "response.done"}',
        UpstreamUsage(7),
    ),
    "a fraction": (event("x", usage={"total_tokens": 1.5}), UpstreamUsage(2)),
    "the largest": (event("x", usage={"total_tokens": 2**53}), UpstreamUsage(2**53)),
}  # fmt: skip


@pytest.mark.parametrize(("payload", "expected"), REPORTS.values(), ids=REPORTS)
def test_every_report_counts(payload: bytes, expected: UpstreamUsage) -> None:
    """The type of the event does not matter, nor which object of it has the report."""
    assert usage(payload) == expected
    assert bool(usage(payload))


@pytest.mark.parametrize(
    "figure",
    [
        str(2**53 + 1),
        "9" * 30,
        "9" * 6000,
        "-1",
        "true",
        "1e300",
        "NaN",
        '"12"',
        "null",
        "[1]",
        "0",
    ],
)
def test_absurd_figures_are_none(figure: str) -> None:
    """A count that cannot be one adds nothing and spoils nothing."""
    for name in ("total_tokens", "input_tokens", "seconds"):
        payload = f'{{"type":"response.done","response":{{"usage":{{"{name}":{figure}}}}}}}'
        assert not usage(payload.encode())


NOTHING = {
    "an answer that begins": event("response.created", response={"usage": None}),
    "a delta": event("response.output_text.delta", delta="usage"),
    "a text with the word": event("x", text='"usage": {"total_tokens": 5}'),
    "a tool with a field of the name": event(
        "session.updated",
        session={"tools": [{"parameters": {"usage": {"total_tokens": 5}}}]},
    ),
    "an empty report": event("response.done", response={"usage": {}}),
    "a report that is a list": event("response.done", usage=[5]),
    "a list of events": b'[{"usage":{"total_tokens":5}}]',
    "a text": b'"usage"',
    "deep": b'{"usage":' + b"[" * 100_000,
    "bad UTF-8": b'{"usage":"\xff',
    "nothing": b"",
}


@pytest.mark.parametrize("payload", NOTHING.values(), ids=NOTHING)
def test_anything_else_counts_nothing(payload: bytes) -> None:
    """Payload, empty reports and what is no event are no usage."""
    assert usage(payload) == UpstreamUsage()
    assert not usage(payload)


@given(st.binary())
def test_usage_never_raises(payload: bytes) -> None:
    """Any bytes around the mark are read as some amount."""
    assert usage(payload + b'"usage"').tokens >= 0
    assert usage(b'{"type":"response.done","usage":' + payload).seconds >= 0
