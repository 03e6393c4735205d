"""The kinds of sessions the stand-in upstream has, with all their fields."""

from typing import Final

from portward.demo.upstream_words import Json

_FORMAT: Final = {"type": "audio/pcm", "rate": 24_000}


def conversing(model: str) -> Json:
    """The fields of a session that answers."""
    return {
        "type": "realtime",
        "object": "realtime.session",
        "model": model,
        "output_modalities": ["audio"],
        "instructions": "You are a stand-in. Say back what you are told.",
        "tools": [],
        "tool_choice": "auto",
        "max_output_tokens": "inf",
        "tracing": None,
        "truncation": "auto",
        "prompt": None,
        "include": None,
        "audio": {
            "input": {
                "format": _FORMAT,
                "transcription": None,
                "noise_reduction": None,
                # Nobody listens for pauses here: what is appended waits for a commit.
                "turn_detection": None,
            },
            "output": {"format": _FORMAT, "voice": "marin", "speed": 1.0},
        },
    }


def transcribing() -> Json:
    """The fields of a session that only transcribes."""
    return {
        "type": "transcription",
        "object": "realtime.transcription_session",
        "include": None,
        "audio": {
            "input": {
                "format": _FORMAT,
                "transcription": None,
                "noise_reduction": None,
                "turn_detection": None,
            }
        },
    }
