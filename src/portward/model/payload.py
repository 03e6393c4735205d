"""What a dialect says in one go: text alone, or text with bytes that belong to it."""

from typing import Final

import msgspec

MAX_ATTACHMENTS: Final = 10
"""Attachments of one parcel, in either direction."""


class MultipartPayload(msgspec.Struct, frozen=True):
    """UTF-8 text that refers to `attachments` by their number; they follow it at once, in order.

    `then` is said after it, as words of their own.
    """

    text: bytes
    attachments: tuple[bytes, ...] = ()
    then: "bytes | MultipartPayload | None" = None

    def __len__(self) -> int:
        return len(self.text) + sum(map(len, self.attachments)) + len(self.then or b"")


Words = bytes | MultipartPayload
"""What a dialect says: mostly plain text."""
