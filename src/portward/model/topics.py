"""The grammar of topic patterns and of the questions (request paths) built from them, with validation.

A placeholder, `{name}`, stands for one to `LONGEST` letters, digits, `_` and `-`; all other text of a
pattern stands for itself. In a question the same placeholders get the values from the topic.
"""

import re
from typing import Final

VALUE: Final = "[A-Za-z0-9_-]"
"""The characters of a placeholder value, as a character class of a regular expression."""
LONGEST: Final = 64
_PLACE: Final = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)\}")
_INSIDE: Final = re.compile(f"{VALUE}*")
_BRACES: Final = frozenset("{}")


def parts(text: str) -> tuple[list[str], list[str]]:
    """Split into literal texts and the names between them; there is one more text than names."""
    found = _PLACE.split(text)
    return found[::2], found[1::2]


def flaw(pattern: str, question: str) -> str | None:
    """Return why a pattern or its question is invalid; None when both are valid."""
    return _pattern_flaw(pattern) or _question_flaw(question, set(parts(pattern)[1]))


def _pattern_flaw(pattern: str) -> str | None:
    if not pattern:
        return "the pattern is empty"
    if not pattern.isprintable():
        return "the pattern has a control character"
    literals, names = parts(pattern)
    if _has_brace(literals):
        return "the pattern has a brace outside of placeholders such as {id}"
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice:
        return f"the pattern has {{{twice}}} twice"
    # Without a separator `a-b-c` matches `{x}-{y}` in two ways: a user with the right to (a-b, c) could
    # subscribe to (a, b-c), and a check of all ways could take very long.
    if any(_INSIDE.fullmatch(between) for between in literals[1:-1]):
        return "the pattern has two placeholders that no sign such as : or / parts"
    return None


def _question_flaw(question: str, names: set[str]) -> str | None:
    if not question.startswith("/") or question.startswith("//"):
        return "its question does not begin with a single /"
    if not question.isprintable() or "\\" in question:
        return "its question has a backslash or a control character"
    if "#" in question:
        return "its question has a #"
    literals, used = parts(question)
    if _has_brace(literals):
        return "its question has a brace outside of placeholders such as {id}"
    strange = next((name for name in used if name not in names), None)
    return f"its question has {{{strange}}}, which the pattern does not have" if strange else None


def _has_brace(literals: list[str]) -> bool:
    return any(not _BRACES.isdisjoint(literal) for literal in literals)
