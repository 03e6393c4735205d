"""One session with the stand-in upstream: its configuration, its conversation, its sound that came in.

It reads events and makes events, and knows no connection.
"""

import base64
import binascii
import math
from collections.abc import Callable, Iterator
from typing import Any, Final

from portward.demo import upstream_kinds, upstream_transcription
from portward.demo.upstream_intake import (
    ACCEPTED,
    Invalid,
    check,
    given,
    inside,
    item_from,
    merged,
    missing,
    read,
    wrong,
)
from portward.demo.upstream_reply import ReplyPlan, UpstreamReply
from portward.demo.upstream_words import (
    Json,
    arguments,
    chosen_tool,
    heard_tokens,
    make_id,
    reply_to,
    said,
    text_tokens,
)

LIFE: Final = 3600
"""Seconds a session lasts, as its `expires_at` says."""
MAX_SOUND: Final = 15 * 1024 * 1024
MAX_ITEMS: Final = 500


class UpstreamSession:
    """A session with `model` that began at the Unix time `now`; without a model one that only transcribes."""

    def __init__(self, model: str | None, now: float) -> None:
        self.id = make_id("conv")
        self.reply: UpstreamReply | None = None
        """The response that is being told."""
        self._items: list[Json] = []
        self._sound = 0
        self._heard: dict[str, int] = {}
        fields = (
            upstream_kinds.transcribing() if model is None else upstream_kinds.conversing(model)
        )
        ours = {"id": make_id("sess"), "expires_at": int(now) + LIFE}
        self.session: Json = fields | ours
        self._known: dict[str, Callable[[Json], Iterator[Json]]] = {
            "session.update": self._update,
            "conversation.item.create": self._create,
            "conversation.item.delete": self._delete,
            "conversation.item.retrieve": self._retrieve,
            "conversation.item.truncate": self._truncate,
            "input_audio_buffer.append": self._append,
            "input_audio_buffer.commit": self._commit,
            "input_audio_buffer.clear": self._clear,
        }
        if model is not None:
            self._known |= {"response.create": self._respond, "response.cancel": self._cancel}

    def begin(self) -> Json:
        """The first event of all."""
        return {"type": "session.created", "session": self.session}

    def take(self, message: str | bytes) -> list[Json]:
        """Answer an event. When it began a response, `reply` is a new one."""
        event: Any = None
        try:
            event = read(message)
            known = self._known.get(event["type"])
            if known is None:
                raise wrong("type")
            return list(known(event))
        except Invalid as refused:
            theirs = event.get("event_id") if isinstance(event, dict) else None
            return [
                {
                    "type": "error",
                    "error": refused.error
                    | {"event_id": theirs if isinstance(theirs, str) else None},
                }
            ]

    def told(self) -> None:
        """End the response, and keep what it said."""
        if self.reply is not None and self.reply.kept:
            self._keep(self.reply.item)
        self.reply = None

    # -- what is asked

    def _update(self, event: Json) -> Iterator[Json]:
        asked = given(inside(event, "session"))
        if asked.get("type") != self.session["type"]:
            raise missing("session.type")
        if asked.get("model", self.session.get("model")) != self.session.get("model"):
            raise wrong("session.model")
        for name in sorted(asked.keys() - self.session.keys() - ACCEPTED):
            raise Invalid("Unknown parameter.", "unknown_parameter", f"session.{name}")
        check(asked, "session")
        ours = {name: self.session[name] for name in ("id", "object", "expires_at")}
        shown = {name: value for name, value in asked.items() if name not in ACCEPTED}
        session = merged(self.session, shown) | ours
        audio = session["audio"]
        if not (isinstance(audio, dict) and all(isinstance(each, dict) for each in audio.values())):
            raise wrong("session.audio")
        self.session = session
        yield {"type": "session.updated", "session": session}

    def _create(self, event: Json) -> Iterator[Json]:
        item = item_from(inside(event, "item"))
        if any(each["id"] == item["id"] for each in self._items):
            raise Invalid("An item with this id is there.", "item_already_exists", "item.id")
        yield from self._placed(item)

    def _delete(self, event: Json) -> Iterator[Json]:
        self._items.remove(self._find(event))
        self._heard.pop(event["item_id"], None)
        yield {"type": "conversation.item.deleted", "item_id": event["item_id"]}

    def _retrieve(self, event: Json) -> Iterator[Json]:
        yield {"type": "conversation.item.retrieved", "item": self._find(event)}

    def _truncate(self, event: Json) -> Iterator[Json]:
        item, end = self._find(event), event.get("audio_end_ms")
        if item.get("role") != "assistant" or not isinstance(end, int):
            raise Invalid("Only spoken answers are cut.", "invalid_value", "item_id")
        item["content"] = [{"type": part["type"]} for part in item["content"]]
        where = {"item_id": item["id"], "content_index": 0, "audio_end_ms": end}
        yield {"type": "conversation.item.truncated"} | where

    def _append(self, event: Json) -> Iterator[Json]:
        try:
            size = len(base64.b64decode(event.get("audio", ""), validate=True))
        except (TypeError, ValueError, binascii.Error):
            raise Invalid("Invalid 'audio'.", "invalid_value", "audio") from None
        if self._sound + size > MAX_SOUND:
            raise Invalid("The buffer is full.", "input_audio_buffer_full", "audio")
        self._sound += size
        yield from ()

    def _commit(self, _: Json) -> Iterator[Json]:
        if not self._sound:
            raise Invalid("The buffer is empty.", "input_audio_buffer_commit_empty")
        content = [{"type": "input_audio", "transcript": None}]
        item = item_from({"type": "message", "role": "user", "content": content})
        self._heard[item["id"]], self._sound = self._sound, 0
        where = {"item_id": item["id"], "previous_item_id": self._last()}
        yield {"type": "input_audio_buffer.committed"} | where
        yield from self._placed(item)
        settings = self.session["audio"]["input"].get("transcription")
        if settings is not None or self.session["type"] == "transcription":
            yield from upstream_transcription.transcribed(item, self._heard[item["id"]], settings)

    def _clear(self, _: Json) -> Iterator[Json]:
        self._sound = 0
        yield {"type": "input_audio_buffer.cleared"}

    def _respond(self, event: Json) -> Iterator[Json]:
        if self.reply is not None:
            code = "conversation_already_has_active_response"
            raise Invalid("A response is being told.", code)
        asked = given(inside(event, "response")) if event.get("response") is not None else {}
        check(asked, "response")
        self.reply = UpstreamReply(self._plan(asked))
        yield from ()

    def _cancel(self, event: Json) -> Iterator[Json]:
        named = event.get("response_id")
        if self.reply is None or named not in {None, self.reply.id}:
            raise Invalid("No response is being told.", "response_cancel_not_active")
        self.reply.cancelled = True
        yield from ()

    # -- what comes of it

    def _plan(self, asked: Json) -> ReplyPlan:
        chosen = self.session | asked
        apart = asked.get("conversation") == "none"
        given = asked.get("input")
        items = list(map(self._given, given)) if isinstance(given, list) else self._items
        last = items[-1] if items else None
        functions = [each for each in chosen["tools"] if each["type"] == "function"]
        tool = chosen_tool(functions, chosen["tool_choice"], last)
        texts = [chosen["instructions"], *map(said, items)]
        heard = [self._heard.get(item["id"], 0) for item in items]
        limit, output = chosen["max_output_tokens"], self.session["audio"]["output"]
        return ReplyPlan(
            text=reply_to(last, heard[-1] if heard else 0),
            spoken=chosen["output_modalities"] != ["text"],
            input_text=sum(map(text_tokens, texts)),
            input_audio=sum(map(heard_tokens, heard)),
            conversation=None if apart else self.id,
            previous=self._last(),
            limit=limit if isinstance(limit, int) else math.inf,
            tool=tool["name"] if tool else None,
            arguments=arguments(tool, said(last)) if tool and last else {},
            metadata=asked.get("metadata"),
            audio={key: output[key] for key in ("format", "voice") if key in output},
        )

    def _given(self, asked: Any) -> Json:
        """An item that a response is made from: a new one, or one of the conversation's by its name."""
        if isinstance(asked, dict) and asked.get("type") == "item_reference":
            return self._find({"item_id": asked.get("id")})
        return item_from(asked)

    def _placed(self, item: Json) -> Iterator[Json]:
        where = {"previous_item_id": self._last(), "item": item}
        self._keep(item)
        yield {"type": "conversation.item.added"} | where
        yield {"type": "conversation.item.done"} | where

    def _keep(self, item: Json) -> None:
        self._items.append(item)
        if len(self._items) > MAX_ITEMS:
            self._heard.pop(self._items.pop(0)["id"], None)

    def _last(self) -> str | None:
        return self._items[-1]["id"] if self._items else None

    def _find(self, event: Json) -> Json:
        for item in self._items:
            if item["id"] == event.get("item_id"):
                return item
        raise Invalid("There is no such item.", "item_not_found", "item_id")
