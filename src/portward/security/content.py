"""Removal of markup and script addresses from the text of a message."""

import re
from html.entities import html5
from string import ascii_letters, digits, hexdigits
from typing import Final, NamedTuple

_BRACKETS: Final = str.maketrans("", "", "<>")
SCHEMES: Final = ("javascript", "vbscript", "data")
"""Schemes of addresses that run code of the author or contain a document of the author."""
_SKIPPED: Final = "\t\n\r"
"""Characters that a browser ignores at any place in an address."""
_NAME: Final = frozenset(ascii_letters + digits + "+-.")
"""The characters of a scheme's name (RFC 3986, section 3.1)."""
_ENDS: Final = tuple(tuple(reversed(scheme)) for scheme in SCHEMES)
_NAMED: Final = {"colon": ":", "Tab": "\t", "NewLine": "\n"}
"""Named character references of HTML for a character that can be part of a scheme."""
_UNCLOSED: Final = frozenset(name for name in html5 if not name.endswith(";"))
"""Named references that browsers also read without a semicolon. None is a part of a scheme's name."""
_LONGEST_NAME: Final = max(map(len, _UNCLOSED))
_PART: Final = frozenset("".join(SCHEMES) + "".join(SCHEMES).upper() + ":" + _SKIPPED)
_BEFORE: Final = {10: "&#", 16: "&#x"}
"""The text before the digits of a numeric reference, by their base."""
_LONGEST: Final = 3
"""Digits of the largest number that stands for a part of a scheme, without leading zeros."""
_ASCII: Final = 127
_DIGITS: Final = {10: frozenset(digits), 16: frozenset(hexdigits)}

_SUSPICIOUS: Final = re.compile(
    "|".join(f"[{_SKIPPED}]*".join((*scheme, ":")) for scheme in SCHEMES)
    + "|&#|&(?:" + "|".join(_NAMED) + ");",
    re.IGNORECASE | re.ASCII,
)  # fmt: skip


def strip_markup(text: str) -> str:
    """Remove `<`, `>` and the `SCHEMES` with their colon, repeatedly until none is left.

    A scheme is found as a browser finds it: in any case, with tabs and line breaks inside, and with
    character references for any part of it, which a browser resolves in an HTML attribute. It starts at the
    start of the text, or after a character that cannot be part of its name: `metadata:` is another scheme.
    """
    text = text.translate(_BRACKETS)
    if _SUSPICIOUS.search(text) is None:
        return text
    reader = _Reader()
    for character in text:
        reader.take(character)
    stripped = reader.end()
    return text if stripped is None else stripped


class _Run(NamedTuple):
    """A run of digits: its start, and the position of the first digit that is not 0, or -1."""

    start: int
    first: int


class _Reader:
    """Reads a text in one pass, for any depth of nesting.

    A removal joins the text before and after it. So the end of the kept text is checked whenever a character
    reference or a scheme may be complete there. For each kept character, the run of digits that ends at it
    is stored too, so that no digit is read twice.
    """

    def __init__(self) -> None:
        self._kept: list[str] = []
        self._runs: dict[int, list[_Run | None]] = {base: [] for base in _DIGITS}
        self._closed: list[bool] = []
        """Whether a character replaced a reference with a semicolon, after which an address may begin."""
        self._removed = False

    def take(self, character: str) -> None:
        """Read the next character."""
        if character not in _DIGITS[16]:
            read = self._numeric_references()
            if character == ";" and (read or self._named_reference()):
                self._closed[-1:] = [True] * bool(self._closed)
                return
        elif character not in _DIGITS[10]:
            while self._numeric_reference(10):
                pass
        self._keep(character)

    def end(self) -> str | None:
        """Return the kept text; None when nothing was removed."""
        self._numeric_references()
        return "".join(self._kept) if self._removed else None

    def _keep(self, character: str) -> None:
        at = len(self._kept)
        for base, runs in self._runs.items():
            runs.append(_run(runs, character, at) if character in _DIGITS[base] else None)
        self._kept.append(character)
        self._closed.append(False)
        if character == ":":
            self._remove_scheme()

    def _cut(self, at: int) -> None:
        del self._kept[at:], self._closed[at:]
        for runs in self._runs.values():
            del runs[at:]

    def _remove_scheme(self) -> None:
        for letters in _ENDS:
            at = self._start_of(letters)
            if at is not None and self._may_begin(at):
                self._cut(at)
                self._removed = True
                return

    def _start_of(self, letters: tuple[str, ...]) -> int | None:
        """Return where a scheme before the last colon starts, or None; `letters` are in reverse order."""
        kept, at = self._kept, len(self._kept) - 1
        for letter in letters:
            at -= 1
            while at >= 0 and kept[at] in _SKIPPED:
                at -= 1
            if at < 0 or kept[at].lower() != letter:
                return None
        return at

    def _may_begin(self, at: int) -> bool:
        """Return whether an address may begin at this letter, with or without resolved references."""
        before = at - 1
        if before < 0 or self._kept[before] not in _NAME or self._closed[before]:
            return True
        return (
            self._ends_number(10, at)
            or (self._kept[at] not in _DIGITS[16] and self._ends_number(16, at))
            or self._ends_name(at)
        )

    def _ends_number(self, base: int, at: int) -> bool:
        """Return whether digits form a reference without a semicolon to a character no scheme's name has."""
        run = self._runs[base][at - 1]
        if run is None or not self._follows(run.start, _BEFORE[base]):
            return False
        if run.first < 0 or at - run.first > _LONGEST:
            return True
        return chr(int("".join(self._kept[run.first : at]), base)) not in _NAME

    def _ends_name(self, at: int) -> bool:
        """Return whether a named reference without a semicolon ends here."""
        tail = "".join(self._kept[max(0, at - _LONGEST_NAME - 1) : at])
        return tail.rpartition("&")[2] in _UNCLOSED and "&" in tail

    def _follows(self, start: int, before: str) -> bool:
        return "".join(self._kept[max(0, start - len(before)) : start]).lower() == before

    # -- character references: each method returns whether it found one that is a part of a scheme

    def _named_reference(self) -> bool:
        """Replace a named reference that is complete except for its semicolon."""
        for name, meaning in _NAMED.items():
            start = len(self._kept) - len(name) - 1
            if start >= 0 and "".join(self._kept[start:]) == f"&{name}":
                self._replace(start, meaning)
                return True
        return False

    def _numeric_references(self) -> bool:
        """Replace all numeric references that end here: one may provide the last digit of another."""
        read = False
        while self._numeric_reference(16) or self._numeric_reference(10):
            read = True
        return read

    def _numeric_reference(self, base: int) -> bool:
        runs = self._runs[base]
        run = runs[-1] if runs else None
        if run is None or run.first < 0 or len(self._kept) - run.first > _LONGEST:
            return False
        if not self._follows(run.start, _BEFORE[base]):
            return False
        number = int("".join(self._kept[run.first :]), base)
        if number > _ASCII or chr(number) not in _PART:
            return False
        self._replace(run.start - len(_BEFORE[base]), chr(number))
        return True

    def _replace(self, start: int, meaning: str) -> None:
        self._cut(start)
        self._keep(meaning)


def _run(runs: list[_Run | None], digit: str, at: int) -> _Run:
    before = runs[-1] if runs else None
    start, first = (at, -1) if before is None else before
    return _Run(start, at if first < 0 and digit != "0" else first)
