"""Keys from which the epochs of channels without a stream are computed."""

from binascii import crc_hqx
from functools import cache
from typing import Final

from redis.crc import REDIS_CLUSTER_HASH_SLOTS, key_slot

from portward.engines.redis.keys import Keys
from portward.model.channel import Channel

GROUPS: Final = 262_144
"""Groups of channels whose streams are counted together, in the whole store. A count has four bytes."""


class EpochKeys:
    """Names the key in which the scripts count streams; it is on the server of the channel's stream.

    One server has one key. In a cluster a script sees the keys of one slot only, so each slot has a key
    of its own, for its part of the groups. With more groups fewer channels share a count: each stream
    that is made changes the epochs of the other channels of its group that have none.
    """

    def __init__(self, keys: Keys, *, whole: bool) -> None:
        self._keys = keys
        self._only = keys.epochs("streams") if whole else None
        self.groups = GROUPS if whole else GROUPS // REDIS_CLUSTER_HASH_SLOTS

    def key(self, channel: Channel) -> str:
        """The key for a channel."""
        if self._only is not None:
            return self._only
        return self._keys.epochs(_tags()[key_slot(self._keys.stream(channel).meta.encode())])


@cache
def _tags() -> tuple[str, ...]:
    """A hash tag for each slot of a cluster: the smallest number in that slot."""
    tags: dict[int, str] = {}
    number = 0
    while len(tags) < REDIS_CLUSTER_HASH_SLOTS:
        tag = b"%d" % number
        tags.setdefault(crc_hqx(tag, 0) % REDIS_CLUSTER_HASH_SLOTS, tag.decode())
        number += 1
    return tuple(tags[slot] for slot in range(REDIS_CLUSTER_HASH_SLOTS))
