"""Transcriptions of the stand-in upstream: the events about what was said, with their usage."""

from collections.abc import Iterator
from typing import Any, Final

from portward.demo.upstream_words import RATE, Json, heard_tokens, text_tokens

_BY_TIME: Final = "whisper-1"
"""The one model whose transcriptions are billed by the second."""
_BYTES: Final = 2
_TYPE: Final = "conversation.item.input_audio_transcription"


def transcribed(item: Json, size: int, settings: Any) -> Iterator[Json]:
    """The events about `size` bytes of speech in an item, by the model that `settings` name."""
    model = settings.get("model") if isinstance(settings, dict) else None
    seconds = size / _BYTES / RATE
    text = f"{seconds:.1f} seconds of sound"
    where = {"item_id": item["id"], "content_index": 0}
    yield {"type": f"{_TYPE}.delta", **where, "delta": text}
    usage = _by_time(seconds) if model == _BY_TIME else _by_tokens(size, text)
    yield {"type": f"{_TYPE}.completed", **where, "transcript": text, "usage": usage}


def _by_time(seconds: float) -> Json:
    return {"type": "duration", "seconds": seconds}


def _by_tokens(size: int, text: str) -> Json:
    came, went = heard_tokens(size), text_tokens(text)
    return {
        "type": "tokens",
        "total_tokens": came + went,
        "input_tokens": came,
        "output_tokens": went,
        "input_token_details": {"text_tokens": 0, "audio_tokens": came},
    }
