"""One session with the stand-in upstream: reads the client's events and makes the server's events."""

import base64
import math
import secrets
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import msgspec

Json = dict[str, Any]

RATE: Final = 24_000
"""Samples a second; two bytes each (`audio/pcm`)."""
MAX_ITEMS: Final = 100
LIFE: Final = 3600
"""Seconds a session lasts, as its `expires_at` says."""
_FORMAT: Final = {"type": "audio/pcm", "rate": RATE}
_INPUT: Final = {"format": _FORMAT, "transcription": None, "turn_detection": None}
_DEFAULTS: Final = {
    "type": "realtime",
    "object": "realtime.session",
    "output_modalities": ["audio"],
    "instructions": "You are a stand-in. Repeat what the user says.",
    "tools": [],
    "tool_choice": "auto",
    "max_output_tokens": "inf",
    "audio": {"input": _INPUT, "output": {"format": _FORMAT, "voice": "marin", "speed": 1.0}},
}


class InvalidEvent(Exception):  # noqa: N818 - becomes an event, not an error of the program
    """An event of the client that cannot be carried out; it is answered with an `error` event."""

    def __init__(self, message: str, code: str, param: str | None = None) -> None:
        super().__init__(message)
        self.error: Json = {"type": "invalid_request_error", "code": code}
        self.error |= {"message": message, "param": param}


class UpstreamSession:
    """A session with `model` that began at the Unix time `now`."""

    def __init__(self, model: str, now: float) -> None:
        ours = {"id": make_id("sess"), "model": model, "expires_at": int(now) + LIFE}
        self.settings: Json = _DEFAULTS | ours
        self.active = False
        """Whether a response is in progress. `cancelled` ends it early."""
        self.cancelled = False
        self._items: list[Json] = []
        self._audio = 0
        self._handlers: dict[str, Callable[[Json], Iterator[Json]]] = {
            "session.update": self._update,
            "conversation.item.create": self._create,
            "input_audio_buffer.append": self._append,
            "input_audio_buffer.commit": self.commit,
            "input_audio_buffer.clear": self._clear,
            "response.create": self._respond,
            "response.cancel": self._cancel,
        }

    def take(self, message: str | bytes) -> Iterator[Json]:
        """Read an event of the client; yield the events that answer it."""
        event: Json = {}
        try:
            event = _read(message)
            yield from self._handlers.get(event["type"], _unknown)(event)
        except InvalidEvent as invalid:
            yield _error(event, invalid)
        except (AttributeError, KeyError, TypeError, ValueError):
            self.active = False
            yield _error(event, InvalidEvent("A value of the event is invalid.", "invalid_value"))

    # -- session and conversation

    def _update(self, event: Json) -> Iterator[Json]:
        asked = _object(event, "session")
        if asked.get("type") != self.settings["type"]:
            raise InvalidEvent("The type cannot be changed.", "invalid_value", "session.type")
        fixed = {name: self.settings[name] for name in ("id", "object", "model", "expires_at")}
        self.settings = _merged(self.settings, asked) | fixed
        yield {"type": "session.updated", "session": self.settings}

    def _create(self, event: Json) -> Iterator[Json]:
        item = _object(event, "item")
        if item.get("type") not in {"message", "function_call", "function_call_output"}:
            raise InvalidEvent("This item is not known.", "invalid_value", "item.type")
        # Sound and pictures are not kept.
        kept = ("type", "text", "transcript")
        parts = [
            {name: part[name] for name in kept if part.get(name)}
            for part in item.get("content") or ()
        ]
        content = {"content": parts} if item["type"] == "message" else {}
        yield from self._add(item | {"id": item.get("id") or make_id("item")} | content)

    def _add(self, item: Json, *, done: bool = True) -> Iterator[Json]:
        previous = self._items[-1]["id"] if self._items else None
        item |= {"object": "realtime.item", "status": "completed" if done else "in_progress"}
        self._items = [*self._items[1 - MAX_ITEMS :], item]
        placed = {"previous_item_id": previous, "item": item}
        yield {"type": "conversation.item.added"} | placed
        if done:
            yield {"type": "conversation.item.done"} | placed

    def _append(self, event: Json) -> Iterator[Json]:
        # The sound itself is not kept, only its length.
        self._audio += len(str(event.get("audio", ""))) * 3 // 4
        yield from ()

    def commit(self, _: Json) -> Iterator[Json]:
        """Make an item of the audio that was appended."""
        if not self._audio:
            raise InvalidEvent("The buffer is empty.", "input_audio_buffer_commit_empty")
        seconds, self._audio = self._audio / 2 / RATE, 0
        text = f"{seconds:.1f} seconds of audio"
        part = {"type": "input_audio", "transcript": text}
        item = {"id": make_id("item"), "type": "message", "role": "user", "content": [part]}
        yield {"type": "input_audio_buffer.committed", "item_id": item["id"]}
        yield from self._add(item)

    def _clear(self, _: Json) -> Iterator[Json]:
        self._audio = 0
        yield {"type": "input_audio_buffer.cleared"}

    # -- responses

    def _cancel(self, _: Json) -> Iterator[Json]:
        if not self.active:
            raise InvalidEvent("No response is in progress.", "response_cancel_not_active")
        self.cancelled = True
        yield from ()

    def _respond(self, event: Json) -> Iterator[Json]:
        if self.active:
            code = "conversation_already_has_active_response"
            raise InvalidEvent("A response is in progress.", code)
        asked = _merged(self.settings, event.get("response") or {})
        last = self._items[-1] if self._items else {}
        tool = _called_tool(asked["tools"], last)
        self.active, self.cancelled = True, False
        response: Json = {"object": "realtime.response", "id": make_id("resp")}
        response |= {"status": "in_progress", "output": [], "usage": None}
        yield {"type": "response.created", "response": response}
        item: Json = {"id": make_id("item"), "type": "message", "role": "assistant", "content": []}
        if tool is not None:
            item = {"id": item["id"], "type": "function_call", "name": tool["name"]}
            item |= {"call_id": make_id("call"), "arguments": ""}
        where = {"response_id": response["id"], "output_index": 0}
        yield {"type": "response.output_item.added", "item": item} | where
        yield from self._add(item, done=False)
        part = where | {"item_id": item["id"]}
        if tool is None:
            spoken = asked["output_modalities"] != ["text"]
            yield from self._message(item, part, _answer(last).split(" "), spoken=spoken)
        else:
            yield from _call(item, part, tool, _text(last))
        item["status"] = "incomplete" if self.cancelled else "completed"
        yield {"type": "conversation.item.done", "item": item}
        yield {"type": "response.output_item.done", "item": item} | where
        self.active = False
        read = sum(_tokens(_text(each)) for each in self._items[:-1])
        response |= {"status": "cancelled" if self.cancelled else "completed", "output": [item]}
        yield {"type": "response.done", "response": response | _usage(read, _tokens(_text(item)))}

    def _message(self, item: Json, part: Json, words: list[str], *, spoken: bool) -> Iterator[Json]:
        kind, field = ("audio", "transcript") if spoken else ("text", "text")
        name = "response.output_audio_transcript" if spoken else "response.output_text"
        part |= {"content_index": 0}
        yield {"type": "response.content_part.added", "part": {"type": kind, field: ""}} | part
        text = ""
        for word in words:
            if self.cancelled:
                break
            delta = f" {word}" if text else word
            text += delta
            yield {"type": f"{name}.delta", "delta": delta} | part
            if spoken:
                yield {"type": "response.output_audio.delta", "delta": _sound(word)} | part
        if spoken:
            yield {"type": "response.output_audio.done"} | part
        yield {"type": f"{name}.done", field: text} | part
        yield {"type": "response.content_part.done", "part": {"type": kind, field: text}} | part
        item["content"] = [{"type": f"output_{kind}", field: text}]


def _call(item: Json, part: Json, tool: Json, text: str) -> Iterator[Json]:
    """Call a tool: every argument is the last word of the text."""
    last = (text.split() or [""])[-1].strip(".,!?")
    names = tool.get("parameters", {}).get("properties", {})
    item["arguments"] = msgspec.json.encode(dict.fromkeys(names, last)).decode()
    part |= {"call_id": item["call_id"]}
    kind = "response.function_call_arguments"
    yield {"type": f"{kind}.delta", "delta": item["arguments"]} | part
    yield {"type": f"{kind}.done", "name": item["name"], "arguments": item["arguments"]} | part


def make_id(kind: str) -> str:
    """Return a new identifier, as `item_4f…`."""
    return f"{kind}_{secrets.token_hex(10)}"


def _read(message: str | bytes) -> Json:
    try:
        event = msgspec.json.decode(message) if isinstance(message, str) else None
    except (msgspec.DecodeError, RecursionError):
        event = None
    if not isinstance(event, dict) or not isinstance(event.get("type"), str):
        raise InvalidEvent("The message is no JSON object with a type.", "invalid_json")
    return event


def _unknown(_: Json) -> Iterator[Json]:
    raise InvalidEvent("This event is not known.", "invalid_value", "type")


def _error(event: Json, invalid: InvalidEvent) -> Json:
    return {"type": "error", "error": invalid.error | {"event_id": event.get("event_id")}}


def _object(event: Json, name: str) -> Json:
    found = event.get(name)
    if not isinstance(found, dict):
        raise InvalidEvent(f"'{name}' is missing.", "missing_required_parameter", name)
    return found


def _merged(base: Json, change: Mapping[str, Any]) -> Json:
    """Return `base` with the changes, in nested objects too. SDKs send null for what is not given."""
    out = dict(base)
    for name, value in change.items():
        before = base.get(name)
        if isinstance(before, dict) and isinstance(value, dict):
            out[name] = _merged(before, value)
        elif value is not None:
            out[name] = value
    return out


def _called_tool(tools: list[Json], item: Json) -> Json | None:
    """Return the tool whose name has a word of the user's message."""
    words = {word.strip(".,!?").lower() for word in _text(item).split()}
    if item.get("type") != "message":
        return None
    named = (tool for tool in tools if words & set(str(tool.get("name")).lower().split("_")))
    return next(named, None)


def _text(item: Json) -> str:
    parts = (part.get("text") or part.get("transcript") or "" for part in item.get("content") or ())
    return str(item.get("output") or item.get("arguments") or " ".join(filter(None, parts)))


def _answer(item: Json) -> str:
    if item.get("type") == "function_call_output":
        return f"The tool answered: {_text(item)}"
    return f"You said: {_text(item)}" if item else "Hello. I am a stand-in and repeat what you say."


def _sound(word: str) -> str:
    """Return silence as long as the word, in base64, in place of a voice."""
    return base64.b64encode(bytes(RATE // 10 * min(len(word), 20))).decode()


def _tokens(text: str) -> int:
    """Return about one for every four letters, as a real model counts."""
    return math.ceil(len(text) / 4)


def _usage(read: int, written: int) -> Json:
    usage = {"total_tokens": read + written, "input_tokens": read, "output_tokens": written}
    return {"usage": usage}
