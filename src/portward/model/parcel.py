"""What a dialect says in one go: text alone, or text with bytes that belong to it."""

from typing import Final

import msgspec

MAX_ATTACHMENTS: Final = 10
"""Attachments of one parcel, in either direction."""


class Parcel(msgspec.Struct, frozen=True):
    """UTF-8 text that refers to `attachments` by their number; they follow it at once, in order."""

    text: bytes
    attachments: tuple[bytes, ...]

    def __len__(self) -> int:
        return len(self.text) + sum(map(len, self.attachments))


Words = bytes | Parcel
"""What a dialect says: mostly plain text."""
