"""What may stand in the text of a message."""

import re
from typing import Final

_BRACKETS: Final = str.maketrans("", "", "<>")
_SCHEME: Final = "javascript:"
_CONTROL: Final = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")


def strip_markup(text: str) -> str:
    """Remove `<`, `>` and `javascript:` in any case, again and again until none is left.

    One pass, whatever the nesting: an occurrence can only come to be at a colon, so each colon is
    looked at once, with what is left before it.
    """
    text = text.translate(_BRACKETS)
    if _SCHEME not in text.lower():
        return text
    kept: list[str] = []
    for character in text:
        kept.append(character)
        if character == ":" and "".join(kept[-len(_SCHEME) :]).lower() == _SCHEME:
            del kept[-len(_SCHEME) :]
    return "".join(kept)
