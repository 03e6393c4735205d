"""Who has an account at the stand-in identity provider, and which events there are."""

import secrets as random
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final
from uuid import uuid4

from msgspec import Struct, field


class User(Struct, frozen=True, kw_only=True):
    """One account. `everything` opens the private events too; the password is made up every time."""

    email: str
    first_name: str
    last_name: str
    role: str
    everything: bool = False
    id: str = field(default_factory=lambda: str(uuid4()))
    password: str = field(default_factory=lambda: random.token_hex(4))

    def __repr__(self) -> str:
        return f"User({self.email!r})"


PUBLIC: Final = 42
PRIVATE: Final = 7
EVENTS: Final[Mapping[int, bool]] = MappingProxyType({PUBLIC: True, PRIVATE: False})
"""The events by id: whether everybody who is logged in may read them."""


def people() -> tuple[User, ...]:
    """Make the accounts, with passwords of their own."""
    return (
        User(
            email="ada@example.com",
            first_name="Ada",
            last_name="Holt",
            role="editor",
            everything=True,
        ),
        User(email="bob@example.com", first_name="Bob", last_name="Lind", role="viewer"),
    )
