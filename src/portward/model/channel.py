"""Channel names: `namespace:name`, checked once, then carried as a type of their own."""

import re
from typing import Final

MAX_LENGTH: Final = 128
_NAME: Final = re.compile(r"[!-~]{1,128}\Z")
_FORBIDDEN: Final = frozenset('*?[]{}\\"')
COMBINED: Final = "%2A"
"""The name of the channel that carries what is said in all channels of a namespace: an encoded `*`."""


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

    @classmethod
    def combined(cls, namespace: str) -> "Channel":
        """The channel that carries what is said in all channels of `namespace`."""
        return cls(f"{namespace}:{COMBINED}")

    @property
    def is_combined(self) -> bool:
        """Whether this is such a channel. Nobody publishes there directly."""
        return self.endswith(COMBINED) and self.name == COMBINED

    @property
    def namespace(self) -> str:
        """The part before the first colon."""
        return self.partition(":")[0]

    @property
    def name(self) -> str:
        """The part after the first colon."""
        return self.partition(":")[2]
