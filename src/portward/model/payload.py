"""Encoded output of a protocol: text, or text with binary attachments."""

from typing import Final

import msgspec

MAX_ATTACHMENTS: Final = 10
"""The maximum number of attachments of one payload, in either direction."""


class MultipartPayload(msgspec.Struct, frozen=True):
    """UTF-8 text that refers to `attachments` by their number; they are sent directly after it, in order.

    `then` is a separate payload that is sent after it.
    """

    text: bytes
    attachments: tuple[bytes, ...] = ()
    then: "bytes | MultipartPayload | None" = None

    def __len__(self) -> int:
        return len(self.text) + sum(map(len, self.attachments)) + len(self.then or b"")


class BinaryPayload(bytes):
    """A binary message."""

    __slots__ = ()


Payload = bytes | MultipartPayload
"""The encoded output of a protocol: in most cases plain text."""
