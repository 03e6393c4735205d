"""The `Forwarded` header (RFC 7239 §4), read from its right end.

What a proxy appended is well-formed whatever the client wrote before it. A reader that starts at
the left can be made to swallow the proxy's element by one stray quotation mark; this one cannot.
"""

import re
from collections.abc import Iterator
from typing import Final

_TOKEN: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105 - a part of the grammar
_PAIR: Final = re.compile(rf'[ \t]*({_TOKEN})=({_TOKEN}|"(?:[^"\\]|\\.)*")[ \t]*(;|\Z)')


def split_from_right(text: str) -> Iterator[str]:
    """The elements of the list, last one first; commas inside quoted strings do not part them.

    A quoted string without a beginning gives one empty element and the end.
    """
    end = len(text)
    at = end - 1
    while at >= 0:
        if text[at] == '"':
            at = _opening(text, at)
            if at < 0:
                yield ""
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


def node_from(element: str) -> str:
    """The value of the element's one `for` parameter, unquoted; empty when malformed or absent."""
    nodes = []
    at = 0
    while at < len(element):
        pair = _PAIR.match(element, at)
        if pair is None:
            return ""
        name, value, _ = pair.groups()
        if name.lower() == "for":
            nodes.append(value.strip('"'))
        at = pair.end()
    return nodes[0] if len(nodes) == 1 else ""
