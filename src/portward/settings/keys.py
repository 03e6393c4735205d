"""Keys of the admin API."""

import re
from enum import StrEnum
from hashlib import sha256
from typing import Final

from msgspec import Struct

from portward.settings.secret import MASK, Secret


class Scope(StrEnum):
    """The rights of an API key."""

    PUBLISH = "publish"
    READ = "read"
    MANAGE = "manage"


_DIGEST: Final = re.compile(r"sha256:([0-9a-fA-F]{64})")


class ApiKey(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A key of the admin API: the key itself, or `sha256:` and its digest in hexadecimal."""

    key: Secret
    scopes: tuple[Scope, ...] = tuple(Scope)

    @property
    def hashed(self) -> bool:
        """Whether the settings contain only the digest."""
        return self.key.reveal().startswith("sha256:")

    @property
    def digest(self) -> bytes:
        """Return the SHA-256 of the key (32 bytes), which is compared with that of a presented key.

        Raises:
            ValueError: the text after `sha256:` is not 64 hexadecimal digits.
        """
        if not self.hashed:
            return sha256(self.key.encode()).digest()
        match = _DIGEST.fullmatch(self.key.reveal())
        if match is None:
            raise ValueError("an API key after sha256: is 64 hexadecimal digits")
        return bytes.fromhex(match[1])

    def __str__(self) -> str:
        return f"{MASK} ({', '.join(self.scopes)})"
