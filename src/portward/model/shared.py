"""State that the connections of one user share, one value a key."""

from typing import Any

import msgspec


class SharedValue(msgspec.Struct, frozen=True):
    """A value and how often it was set; version 0 means that it never was. `value` is any JSON value."""

    version: int = 0
    value: Any = None
