"""State shared by the connections of one user, one value per key."""

from typing import Any

import msgspec


class SharedValue(msgspec.Struct, frozen=True):
    """A value and the number of times it was set; version 0 means never. `value` is any JSON value."""

    version: int = 0
    value: Any = None
