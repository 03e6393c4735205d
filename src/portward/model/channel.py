"""Channel names: `namespace:name`, checked once, then carried as a type of their own."""

import re
from typing import Final

MAX_LENGTH: Final = 128
_NAME: Final = re.compile(r"[!-~]{1,128}\Z")
_FORBIDDEN: Final = frozenset('*?[]{}\\"')


class Channel(str):
    """The name of a channel that passed the grammar. Made only by :meth:`parse`.

    A string subclass, so that look-ups in the hub's maps cost what a string costs; the type is what
    keeps an unchecked string from being used as a channel.
    """

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> "Channel":
        """Check `text`: 1-128 printable ASCII characters, no wildcard, bracket, backslash or quote.

        Raises:
            ValueError: the text is no channel name, or names no namespace.
        """
        if not _NAME.match(text) or not _FORBIDDEN.isdisjoint(text):
            raise ValueError("not a channel name")
        namespace, colon, name = text.partition(":")
        if not (namespace and colon and name):
            raise ValueError("a channel is written namespace:name")
        return cls(text)

    @property
    def namespace(self) -> str:
        """The part before the first colon."""
        return self.partition(":")[0]

    @property
    def name(self) -> str:
        """The part after the first colon."""
        return self.partition(":")[2]
