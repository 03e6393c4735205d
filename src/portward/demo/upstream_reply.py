"""One response of the stand-in upstream, from `response.created` to `response.done`."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from portward.demo.upstream_words import (
    Json,
    encoded,
    in_words,
    make_id,
    spoken_tokens,
    text_tokens,
    tone,
)

_CHUNK: Final = 8
_RATES: Final = [
    {"name": name, "limit": limit, "remaining": limit, "reset_seconds": 0.0}
    for name, limit in (("requests", 1_000), ("tokens", 1_000_000))
]


@dataclass(slots=True, kw_only=True)
class ReplyPlan:
    """What a response will be. `tool` and `arguments` where it calls one; `limit` in output tokens."""

    text: str
    spoken: bool
    input_text: int
    input_audio: int
    conversation: str | None
    previous: str | None
    limit: float = math.inf
    tool: str | None = None
    arguments: Json = field(default_factory=dict)
    metadata: Json | None = None
    audio: Json = field(default_factory=dict)


class UpstreamReply:
    """Walks through the events of a response. `cancelled` may be set between two of them.

    `item` is what it adds to the conversation; it is whole when the walk is over.
    """

    def __init__(self, plan: ReplyPlan) -> None:
        self.id = make_id("resp")
        self.cancelled = False
        self._plan = plan
        self._text = ""
        self._sound = 0
        self._cut = False
        self.item: Json = {
            "id": make_id("item"),
            "object": "realtime.item",
            "status": "in_progress",
        }
        if plan.tool is None:
            self.item |= {"type": "message", "role": "assistant", "content": []}
        else:
            call = {"name": plan.tool, "call_id": make_id("call"), "arguments": ""}
            self.item |= {"type": "function_call"} | call

    @property
    def kept(self) -> bool:
        """Whether what it says becomes part of the conversation."""
        return self._plan.conversation is not None

    def events(self) -> Iterator[Json]:
        """Its events, in order, each complete but for the `event_id`."""
        yield {"type": "response.created", "response": self._response("in_progress")}
        yield {"type": "rate_limits.updated", "rate_limits": _RATES}
        yield self._about("response.output_item.added", item=dict(self.item))
        if self.kept:
            yield self._placed("conversation.item.added")
        yield from self._message() if self._plan.tool is None else self._call()
        self.item["status"] = "completed" if self._status() == "completed" else "incomplete"
        if self.kept:
            yield self._placed("conversation.item.done")
        yield self._about("response.output_item.done", item=dict(self.item))
        yield {"type": "response.done", "response": self._response(self._status())}

    # -- the two kinds

    def _message(self) -> Iterator[Json]:
        plan = self._plan
        kind, words = ("audio", "transcript") if plan.spoken else ("text", "text")
        said = "response.output_audio_transcript" if plan.spoken else "response.output_text"
        yield self._part("response.content_part.added", part={"type": kind, words: ""})
        for word in in_words(plan.text):
            sound = tone(word) if plan.spoken else b""
            if self._over(word, sound):
                break
            self._text += word
            self._sound += len(sound)
            yield self._part(f"{said}.delta", delta=word)
            if sound:
                yield self._part("response.output_audio.delta", delta=encoded(sound))
        if plan.spoken:
            yield self._part("response.output_audio.done")
        yield self._part(f"{said}.done", **{words: self._text})
        yield self._part("response.content_part.done", part={"type": kind, words: self._text})
        self.item["content"] = [{"type": f"output_{kind}", words: self._text}]

    def _call(self) -> Iterator[Json]:
        whole = msgspec.json.encode(self._plan.arguments).decode()
        told = {"call_id": self.item["call_id"]}
        for start in range(0, len(whole), _CHUNK):
            piece = whole[start : start + _CHUNK]
            if self._over(piece, b""):
                break
            self._text += piece
            yield self._of_item("response.function_call_arguments.delta", delta=piece, **told)
        self.item["arguments"] = self._text
        done = {"name": self.item["name"], "arguments": self._text}
        yield self._of_item("response.function_call_arguments.done", **done, **told)

    def _over(self, word: str, sound: bytes) -> bool:
        """Whether to stop before this piece."""
        tokens = text_tokens(self._text + word) + spoken_tokens(self._sound + len(sound))
        self._cut = tokens > self._plan.limit
        return self._cut or self.cancelled

    # -- the shapes

    def _about(self, kind: str, **more: Any) -> Json:
        return {"type": kind, "response_id": self.id, "output_index": 0} | more

    def _of_item(self, kind: str, **more: Any) -> Json:
        return self._about(kind, item_id=self.item["id"], **more)

    def _part(self, kind: str, **more: Any) -> Json:
        return self._of_item(kind, content_index=0, **more)

    def _placed(self, kind: str) -> Json:
        return {"type": kind, "previous_item_id": self._plan.previous, "item": dict(self.item)}

    def _status(self) -> str:
        if self.cancelled:
            return "cancelled"
        return "incomplete" if self._cut else "completed"

    def _response(self, status: str) -> Json:
        plan, over = self._plan, status != "in_progress"
        return {
            "object": "realtime.response",
            "id": self.id,
            "status": status,
            "status_details": self._details(status),
            "output": [dict(self.item)] if over else [],
            "conversation_id": plan.conversation,
            "output_modalities": ["audio"] if plan.spoken else ["text"],
            "max_output_tokens": "inf" if math.isinf(plan.limit) else int(plan.limit),
            "audio": {"output": plan.audio},
            "usage": self._usage() if over else None,
            "metadata": plan.metadata,
        }

    def _details(self, status: str) -> Json | None:
        reasons = {"cancelled": "client_cancelled", "incomplete": "max_output_tokens"}
        return {"type": status, "reason": reasons[status]} if status in reasons else None

    def _usage(self) -> Json:
        text, audio = text_tokens(self._text), spoken_tokens(self._sound)
        came = self._plan.input_text + self._plan.input_audio
        return {
            "total_tokens": came + text + audio,
            "input_tokens": came,
            "output_tokens": text + audio,
            "input_token_details": {
                "text_tokens": self._plan.input_text,
                "audio_tokens": self._plan.input_audio,
                "image_tokens": 0,
                "cached_tokens": 0,
                "cached_tokens_details": {"text_tokens": 0, "audio_tokens": 0, "image_tokens": 0},
            },
            "output_token_details": {"text_tokens": text, "audio_tokens": audio},
        }
