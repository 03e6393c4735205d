"""What clients of the relay may send to the upstream.

An event is a JSON object with a `type`. Upstreams differ in how they read JSON: which of two equal
keys counts, whether `Session` is `session`. So an event the policy looks into is taken only when
every reader would find the same in it.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import Any, Final

import msgspec

from portward.model.errors import CommandError, ErrorKind

_Path = tuple[str, ...]

_SECTIONS: Final = ("session", "response")
"""The members of an event that carry fields: `session` of `session.update` and
`transcription_session.update`, and `response` of `response.create`, which puts the same fields in
force for one answer. They are looked for in every event, as upstreams grow new ones."""

_GROUPS: Final[frozenset[_Path]] = frozenset({("audio",), ("audio", "input"), ("audio", "output")})
"""Objects that are no fields themselves but hold some."""

_SPELLINGS: Final[tuple[tuple[_Path, _Path], ...]] = (
    (("max_output_tokens",), ("max_response_output_tokens",)),
    (("output_modalities",), ("modalities",)),
    (("audio", "output", "voice"), ("voice",)),
    (("audio", "output", "speed"), ("speed",)),
    (("audio", "output", "format"), ("output_audio_format",)),
    (("audio", "input", "format"), ("input_audio_format",)),
    (("audio", "input", "turn_detection"), ("turn_detection",)),
    (("audio", "input", "transcription"), ("input_audio_transcription",)),
    (("audio", "input", "noise_reduction"), ("input_audio_noise_reduction",)),
)
"""One field each, as the current API and its beta write it."""

_ESCAPES: Final = tuple((f"\\u{ord(each):04x}".encode(), each.encode()) for each in "MODELmodel")
_ODD_ESCAPE: Final = re.compile(rb'\\(?!["\\/bfnrt]|u[0-9a-fA-F]{4})')
"""An escape that JSON has not: some readers take `\\x6d` or `\\m` for a letter all the same."""
_MAX_ABOUT: Final = 64
_NOTHING: Final = object()
"""Equals no value a client can send."""


class _Objection(Exception):  # noqa: N818 - becomes a fault, which is an answer
    """Why an event may not go upstream, in words without anything of the client's."""

    def __init__(self, text: str, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(text)
        self.details = details


@dataclass(frozen=True)
class RelayPolicy:
    """What may go upstream.

    `strict` lets through only events whose type is in `allow`; so does an `allow` that is not empty.
    `pin` holds fields of the session to a value, and with them the session's type; a stored `prompt`,
    which brings fields of its own, is then refused unless it is pinned itself. `models` are those
    clients may choose when they connect: the model of a connection never changes, pinned or not.

    Binary messages are judged as text is. One that is no JSON goes upstream with `allow_binary` alone,
    and never behind a guard: what an upstream reads in it is not known here.
    """

    strict: bool = False
    allow: frozenset[str] = frozenset()
    pin: Mapping[str, Any] = field(default_factory=dict, repr=False)
    models: tuple[str, ...] = ()
    allow_binary: bool = False

    @cached_property
    def _guarded(self) -> bool:
        return self.strict or bool(self.allow) or bool(self.pin)

    @cached_property
    def _held(self) -> Mapping[_Path, Any]:
        """The value every field is held to, by each of its spellings."""
        if not self.pin:
            return {}
        held = dict(_fields({"type": "realtime", "prompt": _NOTHING, **self.pin}))
        held.pop(("model",), None)  # held to the connection's own
        for first, second in _SPELLINGS:
            if first in held or second in held:
                value = held[first] if first in held else held[second]
                held.setdefault(first, value)
                held.setdefault(second, value)
        return held

    @cached_property
    def _names(self) -> Mapping[str, frozenset[str]]:
        """The keys that mean something to the policy, by what they are in lower case."""
        keys = {"type", "model", *_SECTIONS, *chain(*_GROUPS), *chain(*self._held)}
        lowered = {key.lower() for key in keys}
        return {low: frozenset(key for key in keys if key.lower() == low) for low in lowered}

    def judge(
        self, payload: bytes, *, binary: bool, model: str, parse: Callable[[bytes], Any]
    ) -> None:
        """Let a client's message pass, or not. `model` is the connection's.

        Without a guard only text that could name a model is looked into; binary messages always are.
        `parse` reads JSON and raises `CommandError` for what two readers could understand differently.

        Raises:
            Fault: `EVENT_REFUSED`, about the event's type when it has one.
        """
        if not (self._guarded or binary or _could_name_model(payload) or _has_odd_escape(payload)):
            return
        kind: Any = None
        try:
            event = self._read(payload, binary, parse)
            if event is None:
                return
            kind = event.get("type")
            self._check_type(kind)
            self._check(event, model)
        except _Objection as objection:
            about = kind[:_MAX_ABOUT] if isinstance(kind, str) else None
            refused = CommandError(ErrorKind.EVENT_REFUSED, about=about, detail=str(objection))
            refused.details = objection.details
            raise refused from None

    def _read(
        self, payload: bytes, binary: bool, parse: Callable[[bytes], Any]
    ) -> dict[str, Any] | None:
        """The event in a message; None for a binary message that may go upstream though it is no event."""
        try:
            event = parse(payload)
        except CommandError as fault:
            if binary and self.allow_binary and not self._guarded:
                if not _could_name_model(payload):
                    return None
                raise _Objection("a binary message that could name a model") from None
            raise _Objection(fault.detail or fault.kind.code, fault.details) from None
        if not isinstance(event, dict):
            raise _Objection("an event that is no object")
        return event

    def _check_type(self, kind: Any) -> None:
        if self._guarded and not isinstance(kind, str):
            raise _Objection("an event without a type")
        if (self.strict or self.allow) and kind not in self.allow:
            raise _Objection("a type that is not allowed")

    def _check(self, event: dict[str, Any], model: str) -> None:
        self._check_names(event)
        _check_model(event, model)
        for name in _SECTIONS:
            section = event.get(name)
            if isinstance(section, dict):
                self._check_names(section)
                _check_model(section, model)
                self._check_pins(section)
            elif section is not None:
                raise _Objection(f"a {name} that is no object")

    def _check_pins(self, section: dict[str, Any]) -> None:
        if not self._held:
            return
        for path, value in _fields(section, self._check_names):
            if path in self._held and not _same(value, self._held[path]):
                raise _Objection(f"another value of the pinned {'.'.join(path)}")
            if path in _GROUPS and path not in self._held:
                raise _Objection(f"a value of {'.'.join(path)} that is no object")

    def _check_names(self, keys: Iterable[str]) -> None:
        """Refuse keys that some readers take for others, as Go's and .NET's do when only case differs."""
        for key in keys:
            if not key.isascii() or key not in self._names.get(key.lower(), (key,)):
                raise _Objection("a key that can be mistaken for another")


def _check_model(keys: dict[str, Any], model: str) -> None:
    """Refuse another model. Some upstreams take one beside the section, so the event itself is asked, too."""
    if keys.get("model", model) != model:
        raise _Objection("another model")


def _could_name_model(payload: bytes) -> bool:
    """Whether some reader could find a key `model` in it, in whichever way it is written."""
    text = payload.replace(b"\0", b"") if b"\0" in payload else payload  # as of UTF-16
    text = text.lower()
    if b"\\" in text:
        for escape, letter in _ESCAPES:
            text = text.replace(escape, letter.lower())
    return b"model" in text


def _has_odd_escape(payload: bytes) -> bool:
    return b"\\" in payload and _ODD_ESCAPE.search(payload.replace(b"\\\\", b"")) is not None


def _fields(
    section: Mapping[str, Any],
    look: Callable[[Iterable[str]], None] = lambda _: None,
    above: _Path = (),
) -> Iterator[tuple[_Path, Any]]:
    """The fields of a section with their paths. `look` is shown the keys of every group on the way."""
    for name, value in section.items():
        path = (*above, name)
        if path in _GROUPS and isinstance(value, Mapping):
            look(value)
            yield from _fields(value, look, path)
        else:
            yield path, value


def _same(given: Any, held: Any) -> bool:
    """Whether two JSON values are equal: 4096 and 4096.0 are, 1 and true are not."""
    if isinstance(held, Mapping):
        return (
            isinstance(given, dict)
            and given.keys() == held.keys()
            and all(_same(given[key], held[key]) for key in held)
        )
    if isinstance(held, list | tuple):
        return (
            isinstance(given, list)
            and len(given) == len(held)
            and all(_same(one, other) for one, other in zip(given, held, strict=True))
        )
    if isinstance(given, bool) or isinstance(held, bool):
        return given is held
    return bool(given == held)


def opening(policy: RelayPolicy, model: str) -> bytes | None:
    """The event the gateway itself sends first, so that pinned values hold; None when there are none."""
    if not policy.pin:
        return None
    session = {"type": "realtime", **policy.pin}
    if "model" in session:
        session["model"] = model
    return msgspec.json.encode({"type": "session.update", "session": session})
