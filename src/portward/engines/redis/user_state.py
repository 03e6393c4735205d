"""Shared values of users."""

from typing import Any

import msgspec

from portward.engines.port import SHARED_KEYS
from portward.engines.redis import codec
from portward.engines.redis.commands import RedisCommands
from portward.engines.redis.keys import Keys
from portward.engines.redis.scripts import script
from portward.engines.redis.streams import milliseconds
from portward.model.shared import SharedValue

_PUT = script("put")


class RedisUserState:
    """Implements `engines.port.UserState`."""

    def __init__(self, commands: RedisCommands, keys: Keys) -> None:
        self._commands = commands
        self._keys = keys

    async def put(
        self, owner: str, key: str, value: Any, version: int | None, ttl: float
    ) -> tuple[SharedValue, bool]:
        """Set a value, if the version is right."""
        number, kept, put = await self._commands.run(
            _PUT,
            self._keys.shared(owner),
            (
                key,
                codec.encode(value),
                "" if version is None else version,
                milliseconds(ttl),
                SHARED_KEYS,
            ),
        )
        return SharedValue(number, msgspec.json.decode(kept) if kept else None), bool(put)
