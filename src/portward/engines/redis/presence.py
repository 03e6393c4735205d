"""Presence. Every connection has a lease; one that is not renewed in time is removed by any node.

The scripts count users, so that of all nodes exactly one learns that a user came or left.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Final

from portward.engines.json_codec import decoder, encode
from portward.engines.port import EngineUnavailable, Member
from portward.engines.redis.commands import together
from portward.engines.redis.context import RedisContext
from portward.engines.redis.scripts import script
from portward.engines.redis.streams import milliseconds
from portward.model.channel import Channel
from portward.model.events import BusEvent, UserLeft
from portward.model.replies import LeaveReason

_CHANNELS: Final = 100
"""Channels renewed by one script, where that is possible."""
_DUE: Final = 1000
_METADATA_TIMES: Final = 10
"""How many lease times the metadata of a channel are kept without a renewal."""

_ENTER = script("enter")
_LEAVE = script("leave")
_RENEW = script("renew")
_SWEEP = script("sweep")
_LEASE = script("lease")
_DUE_NOW = script("due")
_FORGET = script("forget")
_read_member = decoder(Member).decode


class RedisPresence:
    """Implements `engines.port.Presence`. `announce` sends to every node."""

    def __init__(
        self, context: RedisContext, announce: Callable[[BusEvent], Awaitable[None]]
    ) -> None:
        self._commands, self._keys = context.commands, context.keys
        self._together = _CHANNELS if context.topology.whole else 1
        self._lease = milliseconds(context.timing.lease)
        self._announce = announce
        self._sweeping = False
        self._forgetting: set[asyncio.Task[None]] = set()

    async def enter(self, channel: Channel, member: Member, limit: int = 0) -> int | None:
        """Add a connection."""
        # Listed first: a listed entry without a connection does no harm, the reverse would never be swept.
        await self._list_leases([(self._lease, _entry(channel, member.client))])
        answer = await self._commands.run(
            _ENTER,
            self._keys.presence(channel),
            (*_words(member), limit, self._lease, self._lease * _METADATA_TIMES),
        )
        return None if answer < 0 else int(answer)

    async def leave(self, channel: Channel, client: str, user: str) -> int:  # noqa: ARG002 - it is stored
        """Remove a connection."""
        last = await self._commands.run(_LEAVE, self._keys.presence(channel), (client,))
        # Not awaited: entries that stay in the list expire.
        task = asyncio.get_running_loop().create_task(self._unlist(_entry(channel, client)))
        self._forgetting.add(task)
        task.add_done_callback(self._forgetting.discard)
        return int(last)

    async def _unlist(self, entry: str) -> None:
        with suppress(EngineUnavailable):
            await self._commands.send(self._keys.leases, "ZREM", self._keys.leases, entry)

    async def renew(self, entries: list[tuple[Channel, Member]]) -> None:
        """Renew leases."""
        if not entries:
            return
        by_channel: dict[Channel, list[Member]] = {}
        for channel, member in entries:
            by_channel.setdefault(channel, []).append(member)
        await self._list_leases(
            (self._lease, _entry(channel, member.client)) for channel, member in entries
        )
        groups = list(by_channel.items())
        step = self._together
        await together([self._renew(groups[at : at + step]) for at in range(0, len(groups), step)])

    async def _renew(self, groups: Iterable[tuple[Channel, list[Member]]]) -> None:
        keys: list[str] = []
        words: list[object] = [self._lease, self._lease * _METADATA_TIMES]
        for channel, members in groups:
            keys += self._keys.presence(channel)
            words.append(len(members))
            for member in members:
                words += _words(member)
        await self._commands.run(_RENEW, keys, words)

    async def _list_leases(self, entries: Iterable[tuple[int, str]]) -> None:
        """List entries, each with its lease (ms)."""
        words = [word for entry in entries for word in entry]
        await self._commands.run(_LEASE, (self._keys.leases,), words)

    async def members(self, channel: Channel) -> tuple[Member, ...]:
        """Every connection in the channel."""
        key = self._keys.presence(channel).members
        kept = [
            each.split(b" ", 1) for each in await self._commands.send(key, "HVALS", key, bulk=True)
        ]
        kept.sort(key=lambda pair: int(pair[0]))
        return tuple(_read_member(text) for _, text in kept)

    async def sweep(self) -> None:
        """Remove all entries whose lease has expired, and announce which users left with them.

        While a sweep runs, another call does nothing.
        """
        if self._sweeping:
            return
        self._sweeping = True
        try:
            while await self._sweep_some() == _DUE:
                pass
        finally:
            self._sweeping = False

    async def _sweep_some(self) -> int:
        """Sweep as many entries as are read at once; returns their number."""
        listed = (self._keys.leases,)
        due = [
            each.decode("utf-8", "replace")
            for each in await self._commands.run(_DUE_NOW, listed, (_DUE,))
        ]
        clients: dict[Channel, list[str]] = {}
        for entry in due:
            name, _, client = entry.partition(" ")
            # An invalid entry is only removed from the list.
            with suppress(ValueError):
                clients.setdefault(Channel.parse(name), []).append(client)
        left = await together([self._sweep(*each) for each in clients.items()])
        # A lease begins a little later than it was listed, and may have been renewed since. It is listed
        # for its remaining time, not for a whole lease, or a lost connection would stay twice as long.
        there = [pair for pairs in left for pair in pairs]
        if there:
            await self._list_leases(there)
        if due:
            await self._commands.run(_FORGET, listed, due)
        return len(due)

    async def _sweep(self, channel: Channel, clients: list[str]) -> list[tuple[int, str]]:
        """Sweep one channel; returns the entries that are still valid, each with its lease (ms)."""
        keys = self._keys.presence(channel)
        gone, there, order = await self._commands.run(_SWEEP, keys, clients)
        members = [_read_member(each) for each in gone]
        await together([self._announce(_left(channel, member, order)) for member in members])
        pairs = zip(there[::2], there[1::2], strict=True)
        return [(int(lease), _entry(channel, client.decode())) for client, lease in pairs]

    async def close(self) -> None:
        """Wait for running tasks."""
        if self._forgetting:
            await asyncio.wait(tuple(self._forgetting))


def _entry(channel: Channel, client: str) -> str:
    return f"{channel} {client}"


def _left(channel: Channel, member: Member, order: int) -> UserLeft:
    return UserLeft(
        channel=channel,
        user=member.user,
        client=member.client,
        email=member.email,
        reason=LeaveReason.DISCONNECTED,
        order=order,
    )


def _words(member: Member) -> tuple[str, str, bytes]:
    return member.client, member.user, encode(member)
