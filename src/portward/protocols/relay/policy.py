"""The policy for the events that relay clients may send to the upstream.

An event is a JSON object with a `type`. JSON parsers differ: which of two equal keys is used, and whether
`Session` means `session`. So the policy accepts an event that it inspects only when every parser would
read the same content.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import chain
from typing import Any, Final

import msgspec

from portward.model.errors import CommandError, ErrorKind
from portward.security import strict_json

_Path = tuple[str, ...]

_SECTIONS: Final = ("session", "response")
"""The members of an event that hold session fields: `session` of `session.update` and
`transcription_session.update`, and `response` of `response.create`, which sets the same fields for one
response. Every event is checked for them, because upstreams may add new event types."""

_GROUPS: Final[frozenset[_Path]] = frozenset({("audio",), ("audio", "input"), ("audio", "output")})
"""Objects that are not fields themselves but contain fields."""

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
"""Pairs of names of one field: in the current API and in its beta version."""

_ESCAPES: Final = tuple((f"\\u{ord(each):04x}".encode(), each.encode()) for each in "MODELmodel")
_ODD_ESCAPE: Final = re.compile(rb'\\(?!["\\/bfnrt]|u[0-9a-fA-F]{4})')
"""An escape that is no JSON; some parsers nevertheless read `\\x6d` or `\\m` as a letter."""
_MAX_ABOUT: Final = 64
_NOTHING: Final = object()
"""A value that equals no value a client can send."""


class _Objection(Exception):  # noqa: N818 - becomes a command error
    """The reason why an event may not go upstream; the text contains nothing that the client sent."""

    def __init__(self, text: str, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(text)
        self.details = details


@dataclass(frozen=True)
class RelayPolicy:
    """The policy for messages to the upstream.

    `strict` allows only events whose type is in `allow`; a non-empty `allow` does the same. `pin` fixes
    fields of the session, and with them the session's type, to a value; a stored `prompt`, which has its
    own fields, is then refused unless it is pinned too. `models` are the models that a client may choose
    when it connects: the model of a connection never changes, with or without `pin`.

    Binary messages are checked like text. A binary message that is no JSON goes upstream only with
    `allow_binary` and without `strict`, `allow` and `pin`, because the gateway cannot know how an upstream
    reads it.
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
        """The fixed values by the path of the field, under each spelling of the path."""
        if not self.pin:
            return {}
        held = dict(_fields({"type": "realtime", "prompt": _NOTHING, **self.pin}))
        held.pop(("model",), None)  # the model is compared with the connection's model instead
        for first, second in _SPELLINGS:
            if first in held or second in held:
                value = held[first] if first in held else held[second]
                held.setdefault(first, value)
                held.setdefault(second, value)
        return held

    @cached_property
    def _names(self) -> Mapping[str, frozenset[str]]:
        """The keys that the policy checks, by their lower-case form."""
        keys = {"type", "model", *_SECTIONS, *chain(*_GROUPS), *chain(*self._held)}
        lowered = {key.lower() for key in keys}
        return {low: frozenset(key for key in keys if key.lower() == low) for low in lowered}

    def judge(self, payload: bytes, *, binary: bool, model: str) -> None:
        """Check a client's message. `model` is the model of the connection.

        Without `strict`, `allow` and `pin`, a text message is inspected only when it could name a model; a
        binary message always is.

        Raises:
            CommandError: `EVENT_REFUSED`, with the event's type when it has one.
        """
        if not (self._guarded or binary or _could_name_model(payload) or _has_odd_escape(payload)):
            return
        kind: Any = None
        try:
            event = self._read(payload, binary)
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

    def _read(self, payload: bytes, binary: bool) -> dict[str, Any] | None:
        """Parse the event in a message; None for a binary message that is no event but may go upstream."""
        try:
            event = strict_json.parse(payload)
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
        """Refuse keys that differ from a checked key only in case: the parsers of Go and .NET accept them."""
        for key in keys:
            if not key.isascii() or key not in self._names.get(key.lower(), (key,)):
                raise _Objection("a key that can be mistaken for another")


def _check_model(keys: dict[str, Any], model: str) -> None:
    """Refuse another model, also beside the section: some upstreams read it in the event itself."""
    if keys.get("model", model) != model:
        raise _Objection("another model")


def _could_name_model(payload: bytes) -> bool:
    """Return whether some parser could find a key `model` in the payload, in any spelling or encoding."""
    text = payload.replace(b"\0", b"") if b"\0" in payload else payload  # as in UTF-16
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
    """Yield the fields of a section with their paths. `look` is called with the keys of every group."""
    for name, value in section.items():
        path = (*above, name)
        if path in _GROUPS and isinstance(value, Mapping):
            look(value)
            yield from _fields(value, look, path)
        else:
            yield path, value


def _same(given: Any, held: Any) -> bool:
    """Return whether two JSON values are equal: 4096 and 4096.0 are equal, 1 and true are not."""
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
    """Return the first event to the upstream, which sets the pinned values; None without pinned values."""
    if not policy.pin:
        return None
    session = {"type": "realtime", **policy.pin}
    if "model" in session:
        session["model"] = model
    return msgspec.json.encode({"type": "session.update", "session": session})
