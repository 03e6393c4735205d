"""The engine of many processes and machines: everything in Redis, alone, with Sentinels, or as a Cluster.

When positions may be trusted. Redis acknowledges a write before its replicas have it, and, depending on
how it is set up, before its disk has it. So what a new primary, or a restarted one, has may be older than
what was acknowledged. Every reign of a primary has a replication id of its own: it changes with a restart
and with a failover. The books of a stream say under which one its epoch was made. A script that finds
another one gives the stream a new epoch first, in the same step; what is kept stays, and offsets go on
from there. So an offset never means two publications in one epoch, and whoever comes with a position of
before is told that it cannot be joined to what is here. After a restart that lost nothing that is more
than would be needed, and never less. Where the books themselves are gone, a stream begins anew in another
epoch. A slot of a cluster that moves to another server changes its reign, too, and so does the first
replica that is ever attached to a server.

How much is lost when a primary dies is the operator's decision: `min-replicas-to-write` and
`appendfsync` bound it. Nothing here waits for replicas.

What a user of the servers needs: `+@read +@write +@pubsub +@connection +@scripting +info +time`, with
`+role` behind Sentinels and `+cluster|slots` in a Cluster; the keys and channels that begin with the
prefix, and the shared keys. Servers must not evict keys (`maxmemory-policy noeviction`).

A command that was not answered may have been carried out. A publish that is tried again is safe with an
idempotency key.
"""

from portward.engines.redis.address import parse_url
from portward.engines.redis.engine import RedisEngine
from portward.engines.redis.options import RedisOptions, Timing

__all__ = ["RedisEngine", "RedisOptions", "Timing", "parse_url"]
