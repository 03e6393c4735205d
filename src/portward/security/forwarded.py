"""A parser for the `Forwarded` header (RFC 7239 §4) that starts at the right end.

The element that the nearest proxy appended is well-formed, whatever the client sent before it. A parser
that starts at the left can lose this element when the client sends an unbalanced quotation mark.
"""

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

EMPTY: Final = 100
"""Empty elements of one list that are skipped (RFC 9110 section 5.6.1.2: "a reasonable number")."""
BROKEN: Final = '"'
"""The result in place of an element that cannot be parsed."""
_TOKEN: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - a part of the grammar
_PAIR: Final = re.compile(
    rf'[ \t;]*(?:({_TOKEN})=({_TOKEN}|"(?:[^"\\]|\\.)*")[ \t]*(?:;[ \t;]*|\Z)|\Z)'
)
"""One pair and the separator after it; RFC 7239 also allows an empty pair."""


class Element(NamedTuple):
    """The two parameters that the gateway reads in an element; empty when absent or repeated."""

    node: str = ""
    proto: str = ""


def skip_empty(elements: Iterator[str]) -> Iterator[str]:
    """Yield the elements that are not blank; the list ends after `EMPTY` blank elements."""
    empty = 0
    for element in elements:
        if element.strip(" \t"):
            yield element
        else:
            empty += 1
            if empty > EMPTY:
                return


def split_list(text: str) -> Iterator[str]:
    """Split a list without quoted strings; yields the elements that are not blank, the last one first."""
    return skip_empty(_at_commas(text))


def _at_commas(text: str) -> Iterator[str]:
    end = len(text)
    while end >= 0:
        comma = text.rfind(",", 0, end)
        yield text[comma + 1 : end].strip(" \t")
        end = comma


def split_from_right(text: str) -> Iterator[str]:
    """Split a `Forwarded` header; yields the elements that are not blank, the last one first.

    Commas inside quoted strings do not separate elements. A quoted string without an opening quote yields
    `BROKEN` and ends the list.
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
    """Return the position where the quoted string that ends at `closing` begins; -1 when there is none."""
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
    """Parse `for` and `proto` of an element, without quotes; both are empty when the element is malformed."""
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
