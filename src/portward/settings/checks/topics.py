"""What is wrong with a topic's pattern and the question it leads to, judged by their texts."""

import re
from itertools import pairwise
from typing import Final

_PLACE: Final = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_INSIDE: Final = re.compile(r"[A-Za-z0-9_-]*")
"""What may stand in a topic where the pattern has a placeholder, and so cannot part two of them."""


def flaw(pattern: str, question: str) -> str | None:
    """Say why a pattern or its question makes no sense; None when both do."""
    return _pattern_flaw(pattern) or _question_flaw(question, set(_PLACE.findall(pattern)))


def _pattern_flaw(pattern: str) -> str | None:
    if not pattern:
        return "the pattern is empty"
    if not pattern.isprintable():
        return "the pattern has a control character"
    names = _PLACE.findall(pattern)
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        return f"the pattern has {{{twice}}} twice"
    return (
        "the pattern has a brace outside of placeholders such as {id}" if _braces(pattern) else None
    )


def _question_flaw(question: str, names: set[str]) -> str | None:
    if not question.startswith("/") or question.startswith("//"):
        return "its question does not begin with a single /"
    if not question.isprintable() or "\\" in question:
        return "its question has a backslash or a control character"
    if "#" in question:
        return "its question has a #"
    if _braces(question):
        return "its question has a brace outside of placeholders such as {id}"
    strange = next((name for name in _PLACE.findall(question) if name not in names), None)
    return f"its question has {{{strange}}}, which the pattern does not have" if strange else None


def _braces(text: str) -> bool:
    return not set("{}").isdisjoint(_PLACE.sub("", text))


def is_ambiguous(pattern: str) -> bool:
    """Tell whether a topic could be split in two ways, as `a-b-c` by `{x}-{y}`.

    Then who may hear (a-b, c) would hear what was meant for (a, b-c).
    """
    found = list(_PLACE.finditer(pattern))
    gaps = (pattern[left.end() : right.start()] for left, right in pairwise(found))
    return any(_INSIDE.fullmatch(gap) for gap in gaps)
