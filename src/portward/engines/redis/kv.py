"""Texts by key, and lists of the newest, under names that other applications can read."""

from portward.engines.redis.commands import RedisCommands
from portward.engines.redis.keys import Keys
from portward.engines.redis.scripts import script

_PREPEND = script("prepend")


class RedisKeyValue:
    """Implements `engines.port.KeyValue`: strings and lists of Redis."""

    def __init__(self, commands: RedisCommands, keys: Keys) -> None:
        self._commands = commands
        self._keys = keys

    async def get(self, key: str) -> str | None:
        """The text under a key."""
        name = self._keys.note(key)
        value: bytes | None = await self._commands.send(name, "GET", name)
        return value.decode("utf-8", "replace") if value is not None else None

    async def set(self, key: str, value: str) -> None:
        """Store a text."""
        name = self._keys.note(key)
        await self._commands.send(name, "SET", name, value.encode())

    async def prepend(self, key: str, texts: tuple[str, ...], limit: int) -> None:
        """Put texts before a list, and remove those beyond the limit."""
        values = [text.encode() for text in texts]
        await self._commands.run(_PREPEND, (self._keys.note(key),), (limit, *values))

    async def read(self, key: str, limit: int) -> tuple[str, ...]:
        """The newest of a list."""
        if limit < 1:
            return ()
        name = self._keys.note(key)
        values = await self._commands.send(name, "LRANGE", name, 0, limit - 1, bulk=True)
        return tuple(value.decode("utf-8", "replace") for value in values)
