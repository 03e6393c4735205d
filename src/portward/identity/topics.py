"""Topics and the questions for them: patterns with placeholders."""

import re
from collections.abc import Mapping
from itertools import zip_longest
from urllib.parse import quote

from portward.model.topics import LONGEST, VALUE, flaw, parts


class Topics:
    """Patterns with their questions, as in `{"event:{id}": "/items/events/{id}?fields=id"}`.

    Their grammar is that of `portward.model.topics`. When several patterns match, the first is used.

    Raises:
        ValueError: a pattern or its question cannot be used; the text names the pattern.
    """

    def __init__(self, patterns: Mapping[str, str]) -> None:
        self._rules = [_Rule(pattern, question) for pattern, question in patterns.items()]

    def question(self, name: str) -> str | None:
        """Return the path and query to request for a topic; None when no pattern matches it."""
        for rule in self._rules:
            match = rule.pattern.fullmatch(name)
            if match is not None:
                return rule.ask(match.groupdict())
        return None


class _Rule:
    """One pattern and its question."""

    def __init__(self, pattern: str, question: str) -> None:
        why = flaw(pattern, question)
        if why is not None:
            raise ValueError(f"topic pattern {pattern!r}: {why}")
        self.pattern = _compile(*parts(pattern))
        self._literals, self._names = parts(question)

    def ask(self, values: Mapping[str, str]) -> str:
        """Return the question with the placeholders filled in."""
        filled = [quote(values[name], safe="") for name in self._names]
        return "".join(map("".join, zip_longest(self._literals, filled, fillvalue="")))


def _compile(literals: list[str], names: list[str]) -> re.Pattern[str]:
    places = [f"(?P<{name}>{VALUE}{{1,{LONGEST}}})" for name in names]
    texts = map(re.escape, literals)
    return re.compile("".join(map("".join, zip_longest(texts, places, fillvalue=""))))
