"""The engine of many processes and machines: everything in Redis, one server, with Sentinels, or a Cluster.

When positions are valid. Redis acknowledges a write before its replicas have it, and, depending on its
configuration, before its disk has it. So the data of a new or restarted primary may be older than what was
acknowledged. A primary has a replication id, which changes with a restart and with a failover. The
metadata of a stream contain the replication id under which its epoch was made. A script that finds
another id gives the stream a new epoch first, in the same step; its publications stay, and offsets go on
from there. So an offset never means two publications in one epoch, and a client with an older position
learns that it cannot recover. After a restart that lost nothing this is more than needed, but never too
little. Where the metadata themselves are lost, a stream begins again in another epoch. A slot of a
cluster that moves to another server gets another replication id, too, and so does a server when the
first replica is attached to it.

How much is lost when a primary fails is the operator's decision: `min-replicas-to-write` and
`appendfsync` bound it. The engine does not wait for replicas.

Rights that the user on the servers needs: `+@read +@write +@pubsub +@connection +@scripting +info +time`,
with `+role` behind Sentinels and `+cluster|slots` in a Cluster; the keys and channels that begin with the
prefix, and the shared keys. Servers must not evict keys (`maxmemory-policy noeviction`).

A command that was not answered may have been carried out. A publish can be repeated safely with an
idempotency key.
"""

from portward.engines.redis.address import parse_url
from portward.engines.redis.engine import Prefixes, RedisEngine
from portward.engines.redis.options import RedisOptions, Timing

__all__ = ["Prefixes", "RedisEngine", "RedisOptions", "Timing", "parse_url"]
