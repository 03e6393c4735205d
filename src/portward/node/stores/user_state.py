"""Small values that the connections of a user share: one field for each key of an owner."""

from typing import Any, Final

import msgspec

from portward.engines.json_codec import encode
from portward.engines.port import NEWEST, Change, IndexEntry, Key, KeyValue
from portward.model.shared import SharedValue

SHARED_KEYS: Final = 100
"""Most keys of one owner; of more, the one set longest ago is removed."""


class UserState:
    """Values by owner and key, stored for as long as they are used."""

    def __init__(self, kv: KeyValue) -> None:
        self._kv = kv

    async def put(
        self, owner: str, key: str, value: Any, version: int | None, ttl: float
    ) -> tuple[SharedValue, bool]:
        """Set a value, in one step, and keep all of the owner's for `ttl` seconds more.

        With a `version` only when that is the current one (0 for none). Returns what is stored now, and
        whether it was set.
        """
        group = f"shared:{owner}"
        turn = IndexEntry(Key(":turns", group), key, NEWEST, SHARED_KEYS, evict=True)
        put, fields = await self._kv.update(
            Key(":values", group),
            Change(
                set={key: encode(value)},
                counted=True,
                version=version,
                ttl=ttl,
                indexes=(turn,),
                read=(key,),
            ),
        )
        return _read(fields.get(key)), put


def _read(kept: bytes | None) -> SharedValue:
    if kept is None:
        return SharedValue()
    number, _, value = kept.partition(b" ")
    return SharedValue(int(number), msgspec.json.decode(value))
