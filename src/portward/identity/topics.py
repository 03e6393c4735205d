"""Which question stands for a topic: patterns with places for values."""

import re
from collections.abc import Mapping
from itertools import zip_longest
from typing import Final
from urllib.parse import quote

_PLACE: Final = re.compile(r"\{([a-z_]+)\}")
_VALUE: Final = "[A-Za-z0-9_-]"
_LONGEST: Final = 64
_OUTSIDE: Final = re.compile(r"[^A-Za-z0-9_-]")
_UNSAFE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\\#]")


class Topics:
    """Patterns with their questions, as in `{"event:{id}": "/items/events/{id}?fields=id"}`.

    A place, `{name}`, takes one to 64 letters, digits, `_` and `-`; everything else of a pattern stands
    for itself. Of several patterns that match the first one counts.

    Raises:
        ValueError: a pattern or its question cannot be used; the text names the pattern.
    """

    def __init__(self, patterns: Mapping[str, str]) -> None:
        self._rules = [_Rule(pattern, question) for pattern, question in patterns.items()]

    def question(self, name: str) -> str | None:
        """The path and query to ask for about a topic; None when no pattern matches it."""
        for rule in self._rules:
            match = rule.pattern.fullmatch(name)
            if match is not None:
                return rule.ask(match.groupdict())
        return None


class _Rule:
    """One pattern and its question."""

    def __init__(self, pattern: str, question: str) -> None:
        literals, names = _parts(pattern, pattern)
        _check_pattern(pattern, literals, names)
        self.pattern = _compile(literals, names)
        self._literals, self._names = _parts(question, pattern)
        _check_question(pattern, question)
        unknown = sorted(set(self._names) - set(names))
        if unknown:
            raise _bad(pattern, f"its question uses {{{unknown[0]}}}, which the pattern lacks")

    def ask(self, values: Mapping[str, str]) -> str:
        """The question with the values in their places."""
        filled = [quote(values[name], safe="") for name in self._names]
        return "".join(map("".join, zip_longest(self._literals, filled, fillvalue="")))


def _parts(text: str, pattern: str) -> tuple[list[str], list[str]]:
    """Split into what stands for itself, and the names between."""
    parts = _PLACE.split(text)
    literals, names = parts[::2], parts[1::2]
    if any("{" in literal or "}" in literal for literal in literals):
        raise _bad(pattern, "a brace that belongs to no {name} of small letters and _")
    return literals, names


def _check_pattern(pattern: str, literals: list[str], names: list[str]) -> None:
    if not pattern:
        raise _bad(pattern, "it is empty")
    if len(set(names)) != len(names):
        raise _bad(pattern, "a name stands twice")
    # Else it is open where one value ends and the next begins: a client could choose the question,
    # and a search for all the ways to read a topic could take very long.
    if not all(_OUTSIDE.search(between) for between in literals[1:-1]):
        raise _bad(pattern, "two places need a character between them that no value has, as : or /")


def _check_question(pattern: str, question: str) -> None:
    if not question.startswith("/") or question.startswith("//"):
        raise _bad(pattern, "its question must begin with one /")
    if _UNSAFE.search(question):
        raise _bad(pattern, "its question has a #, a backslash or a control character")


def _compile(literals: list[str], names: list[str]) -> re.Pattern[str]:
    places = [f"(?P<{name}>{_VALUE}{{1,{_LONGEST}}})" for name in names]
    texts = map(re.escape, literals)
    return re.compile("".join(map("".join, zip_longest(texts, places, fillvalue=""))))


def _bad(pattern: str, why: str) -> ValueError:
    return ValueError(f"topic pattern {pattern!r}: {why}")
