"""Streams and the bus.

A publication is stored and announced by one script, so the order of announcements is the order of
offsets. Events of the bus are handled on this node at once, whether or not the others can be reached, and
sent to the others over the bus; the node drops its own events when they come back.
"""

import secrets
from collections.abc import Callable, Mapping
from typing import Any, Final

import portward.engines.redis.codec as codec
from portward.engines.json_codec import MALFORMED, encode
from portward.engines.port import EngineUnavailable, PublishResult, RoomEnded
from portward.engines.redis.commands import together
from portward.engines.redis.context import RedisContext
from portward.engines.redis.epochs import EpochKeys
from portward.engines.redis.scripts import script
from portward.engines.redis.subscriptions import RedisSubscriptions
from portward.model.channel import Channel
from portward.model.events import BusEvent
from portward.model.limits import IDEMPOTENCY_TIME, SNAPSHOT_KEYS
from portward.model.namespace import Namespace, Snapshot
from portward.model.position import Position
from portward.model.publication import Draft, HistoryPage, HistoryQuery

_SLACK: Final = 600.0
"""Seconds the metadata of a stream outlive its publications."""
_SNAPSHOT_TIME: Final = 7 * 86400.0
"""Seconds the last publication of every key outlives the last use of its channel."""
_SCAN: Final = 1000

_PUBLISH = script("publish")
_HISTORY = script("history")


class RedisStreams:
    """Implements `engines.port.Streams`. `on_control` passes an event to this node."""

    def __init__(
        self,
        context: RedisContext,
        subscriptions: RedisSubscriptions,
        on_control: Callable[[BusEvent], None],
    ) -> None:
        self._commands, self._topology, self._keys, self._uid, *_ = context
        self._subscriptions = subscriptions
        self._on_control = on_control
        self._epochs = EpochKeys(self._keys, whole=self._topology.whole)

    # -- streams

    async def publish(
        self,
        channel: Channel,
        draft: Draft,
        namespace: Namespace,
        idempotency_key: str | None,
        life: str | None = None,
    ) -> PublishResult:
        """Assign the offset, store and announce."""
        metadata_time = self._metadata_time(channel, namespace)
        by_key = namespace.snapshot is Snapshot.LATEST_BY_KEY
        duplicate, offset, epoch, identifier = await self._commands.run(
            _PUBLISH,
            (
                *self._keys.stream(channel),
                self._keys.idempotency(channel, idempotency_key or ""),
                self._keys.ended(channel),
                self._epochs.key(channel),
            ),
            (
                secrets.token_hex(8),
                codec.keep(draft),
                draft.id,
                _optional(idempotency_key),
                milliseconds(IDEMPOTENCY_TIME),
                namespace.history_size,
                milliseconds(namespace.history_ttl),
                metadata_time,
                _optional(draft.key),
                SNAPSHOT_KEYS if by_key else 0,
                self._topology.publish,
                self._keys.pubsub_channel(channel),
                life or "",
                self._epochs.groups,
            ),
        )
        if duplicate < 0:
            raise RoomEnded
        position = Position(offset, epoch.decode())
        if not duplicate:
            await self._subscriptions.echo(channel, position)
        return PublishResult(identifier.decode(), position, duplicate=bool(duplicate))

    def _metadata_time(self, channel: Channel, namespace: Namespace) -> int:
        """Milliseconds for which the metadata of a stream are kept after their last use."""
        kept = namespace.history_ttl if namespace.history_size else 0.0
        if namespace.snapshot is Snapshot.LATEST_BY_KEY:
            kept = max(kept, _SNAPSHOT_TIME)
        metadata_time = milliseconds(max(kept, namespace.idle_ttl) + _SLACK)
        self._subscriptions.note_metadata_time(channel, metadata_time)
        return metadata_time

    async def history(
        self, channel: Channel, query: HistoryQuery, namespace: Namespace
    ) -> HistoryPage:
        """Read a part of the stream."""
        since = query.since
        await self._subscriptions.settled(channel)
        answer = await self._commands.run(
            _HISTORY,
            (*self._keys.stream(channel), self._epochs.key(channel)),
            (
                secrets.token_hex(8),
                self._metadata_time(channel, namespace),
                milliseconds(namespace.history_ttl),
                query.limit,
                since.epoch if since is not None else "",
                since.offset if since is not None else "",
                query.before if query.before is not None else "",
                int(query.reverse),
                int(query.latest),
                self._epochs.groups,
            ),
            bulk=bool(query.limit or query.latest),
        )
        try:
            return _page(answer)
        except MALFORMED:
            raise EngineUnavailable(
                "redis has something else where publications are kept"
            ) from None

    async def remove(self, channel: Channel) -> None:
        """Remove a stream."""
        keys = self._keys.stream(channel)
        await self._commands.send(keys.meta, "DEL", *keys)

    async def is_readable(self, channel: Channel) -> bool:
        """Whether anything can be read back: stored publications expire by themselves."""
        keys = self._keys.stream(channel)
        return bool(await self._commands.send(keys.log, "EXISTS", keys.log, keys.latest))

    async def channels(self) -> tuple[Channel, ...]:
        """Channels that have a stream. It scans the whole store: only for operators."""
        found = [self._keys.channel(key) for key in await self._commands.scan(self._keys.streams)]
        return tuple(sorted(channel for channel in found if channel is not None))

    # -- the bus

    async def publish_control(self, event: BusEvent) -> None:
        """Send an event to this node, then to the others."""
        self._on_control(event)
        sent = encode({"node": self._uid, "event": event})
        await self._commands.send(self._keys.bus, self._topology.publish, self._keys.bus, sent)

    async def subscribe(self, channel: Channel) -> None:
        """Subscribe to a channel; returns when its publications arrive.

        Raises:
            EngineUnavailable: not now. It is subscribed to as soon as that is possible, unless
                `unsubscribe` is called first.
        """
        await self._subscriptions.subscribe(channel)

    async def unsubscribe(self, channel: Channel) -> None:
        """Unsubscribe from a channel after a pause, unless `subscribe` is called before."""
        self._subscriptions.unsubscribe(channel)

    def stream_counts(self) -> Mapping[str, int]:
        """How many channels are subscribed to, by namespace."""
        return self._subscriptions.stream_counts()

    async def sweep(self) -> None:
        """Renew the metadata of the subscribed channels."""
        await together(
            [
                self._commands.send(key, "PEXPIRE", key, metadata_time)
                for channel, metadata_time in self._subscriptions.due()
                for key in self._kept(channel)
            ]
        )

    def _kept(self, channel: Channel) -> tuple[str, ...]:
        keys = self._keys.stream(channel)
        return keys.meta, keys.latest, keys.order


def milliseconds(seconds: float) -> int:
    """Seconds in milliseconds, at least one."""
    return max(1, round(seconds * 1000))


def _optional(text: str | None) -> str:
    return "" if text is None else "=" + text


def _page(answer: list[Any]) -> HistoryPage:
    offset, epoch, complete, first, chosen, latest = answer
    snapshot = [each.split(b" ", 1) for each in latest if each is not None]
    return HistoryPage(
        tuple(codec.publication(first + n, kept) for n, kept in enumerate(chosen)),
        Position(offset, epoch.decode()),
        complete=bool(complete),
        latest=tuple(codec.publication(int(at), kept) for at, kept in snapshot),
    )
