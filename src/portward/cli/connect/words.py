"""Parsing of typed lines: a text for the room, or a command after a slash."""

from typing import Final, NamedTuple

HELP: Final = (
    ("text", "say it in the current room; //text says /text"),
    ("/join ROOM", "enter a room, or go back to it: it is the current one then"),
    ("/leave [ROOM]", "leave a room, by default the current one"),
    ("/who", "who is in the current room"),
    ("/history [N]", "the last N messages of the current room, by default 20"),
    ("/raw {json}", "send a message as it is"),
    ("/help", "this"),
    ("/quit", "leave every room, and go"),
)
NAMES: Final = ("join", "leave", "who", "history", "raw", "help", "quit")
_NEEDED: Final = frozenset({"join", "raw"})
"""Commands that need an argument."""


class Word(NamedTuple):
    """A parsed line: `say` and a text, or a command and the rest of its line."""

    name: str
    rest: str = ""


def parse(line: str) -> Word | None:
    """Parse a line; None for an empty one.

    Raises:
        ValueError: the command is unknown, or its argument is missing; the text names it.
    """
    line = line.strip()
    if not line:
        return None
    if not line.startswith("/"):
        return Word("say", line)
    if line.startswith("//"):
        return Word("say", line[1:])
    name, _, rest = line[1:].partition(" ")
    if name not in NAMES:
        raise ValueError(f"there is no command /{name}; /help lists them")
    if name in _NEEDED and not rest.strip():
        raise ValueError(f"/{name} needs something after it; /help says what")
    return Word(name, rest.strip())
