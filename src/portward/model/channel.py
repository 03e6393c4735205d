"""Channel names: `namespace:name`, checked once, then represented by their own type."""

import re
from typing import Final

MAX_LENGTH: Final = 128
_NAME: Final = re.compile(r"[!-~]{1,128}\Z")
_FORBIDDEN: Final = frozenset('*?[]{}\\"')
COMBINED: Final = "%2A"
"""The name of the combined channel, which carries the publications of all channels of a namespace.

It is an encoded `*`.
"""


class Channel(str):
    """A checked channel name. Made only by :meth:`parse` and :meth:`combined`.

    A string subclass, so that lookups in the maps of the hub cost the same as with a string. The type
    prevents the use of an unchecked string as a channel.
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
        """Return the channel that carries the publications of all channels of `namespace`."""
        return cls(f"{namespace}:{COMBINED}")

    @property
    def is_combined(self) -> bool:
        """Whether this is a combined channel. Clients cannot publish to it directly."""
        return self.endswith(COMBINED) and self.name == COMBINED

    @property
    def namespace(self) -> str:
        """The part before the first colon."""
        return self.partition(":")[0]

    @property
    def name(self) -> str:
        """The part after the first colon."""
        return self.partition(":")[2]
