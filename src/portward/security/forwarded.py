"""The `Forwarded` header (RFC 7239 §4), read from its right end.

What a proxy appended is well-formed whatever the client wrote before it. A reader that starts at
the left can be made to swallow the proxy's element by one stray quotation mark; this one cannot.
"""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

EMPTY: Final = 100
"""Empty elements of one list that are skipped (RFC 9110 section 5.6.1.2: "a reasonable number")."""
BROKEN: Final = '"'
"""What stands for an element that cannot be taken apart."""
_TOKEN: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - a part of the grammar
_PAIR: Final = re.compile(
    rf'[ \t;]*(?:({_TOKEN})=({_TOKEN}|"(?:[^"\\]|\\.)*")[ \t]*(?:;[ \t;]*|\Z)|\Z)'
)
"""One pair and what parts it from the next; RFC 7239 lets a pair be empty, too."""


class Element(NamedTuple):
    """The two parameters that are read of an element; empty where absent, or there twice."""

    node: str = ""
    proto: str = ""


def skip_empty(elements: Iterator[str]) -> Iterator[str]:
    """Leave out the blank elements of a list; after `EMPTY` of them the list ends."""
    empty = 0
    for element in elements:
        if element.strip(" \t"):
            yield element
        else:
            empty += 1
            if empty > EMPTY:
                return


def split_list(text: str) -> Iterator[str]:
    """The elements of a list without quoted strings, last one first, without those that are blank."""
    return skip_empty(_at_commas(text))


def _at_commas(text: str) -> Iterator[str]:
    end = len(text)
    while end >= 0:
        comma = text.rfind(",", 0, end)
        yield text[comma + 1 : end].strip(" \t")
        end = comma


def split_from_right(text: str) -> Iterator[str]:
    """The elements of `Forwarded`, last one first, without those that are blank.

    Commas inside quoted strings do not part them. A quoted string without a beginning gives `BROKEN`
    and the end.
    """
    return skip_empty(_elements(text))


def _elements(text: str) -> Iterator[str]:
    end = len(text)
    at = end - 1
    while at >= 0:
        if text[at] == '"':
            at = _opening(text, at)
            if at < 0:
                yield BROKEN
                return
        elif text[at] == ",":
            yield text[at + 1 : end]
            end = at
        at -= 1
    yield text[:end]


def _opening(text: str, closing: int) -> int:
    """Where the quoted string that ends at `closing` begins; -1 when nowhere."""
    at = text.rfind('"', 0, closing)
    while at > 0 and _escaped(text, at):
        at = text.rfind('"', 0, at)
    return at


def _escaped(text: str, at: int) -> bool:
    slash = at - 1
    while slash >= 0 and text[slash] == "\\":
        slash -= 1
    return (at - slash) % 2 == 0


def parse_element(text: str) -> Element:
    """Read `for` and `proto` of an element, unquoted; a malformed element has neither."""
    found: dict[str, list[str]] = {"for": [], "proto": []}
    at = 0
    while at < len(text):
        pair = _PAIR.match(text, at)
        if pair is None:
            return Element()
        name, value = pair.groups()
        if name is not None and name.lower() in found:
            found[name.lower()].append(value.strip('"'))
        at = pair.end()
    return Element(*(values[0] if len(values) == 1 else "" for values in found.values()))
