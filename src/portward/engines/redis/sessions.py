"""Resumable sessions and tickets."""

import msgspec
from msgspec.structs import replace

from portward.engines.port import EngineUnavailable, SessionRecord
from portward.engines.redis import codec
from portward.engines.redis.commands import RedisCommands
from portward.engines.redis.keys import Keys
from portward.engines.redis.scripts import script
from portward.engines.redis.streams import milliseconds
from portward.model.channel import Channel
from portward.model.identity import Identity

_SAVE = script("save")
_SWAP = script("swap")
_RELEASE = script("release")
_PUT_RETURNS = script("put_returns")
_TAKE_RETURNS = script("take_returns")
_MAX_RETURNS = 1024
"""Most channels that are stored of one user."""
_record = codec.decoder(SessionRecord)
_identity = codec.decoder(Identity)


class RedisSessions:
    """Implements `engines.port.Sessions`."""

    def __init__(self, commands: RedisCommands, keys: Keys) -> None:
        self._commands = commands
        self._keys = keys

    async def save(self, record: SessionRecord, ttl: float) -> None:
        """Store a record."""
        await self._commands.run(
            _SAVE,
            (self._keys.session(record.id),),
            (codec.encode(record), record.nonce, record.client, milliseconds(ttl)),
        )

    async def swap(self, session: str, nonce: str, new: str, client: str) -> SessionRecord | None:
        """Exchange the nonce, once."""
        kept = await self._commands.run(_SWAP, (self._keys.session(session),), (nonce, new, client))
        if kept is None:
            return None
        try:
            record: SessionRecord = _record.decode(kept)
        except msgspec.DecodeError:
            raise EngineUnavailable("redis has something else where a session is kept") from None
        return replace(record, nonce=new, client=client)

    async def release(self, session: str, client: str, ttl: float) -> None:
        """Shorten the record's time after its connection closed."""
        await self._commands.run(
            _RELEASE, (self._keys.session(session),), (client, milliseconds(ttl))
        )

    async def drop(self, session: str) -> None:
        """Remove a record."""
        key = self._keys.session(session)
        await self._commands.send(key, "DEL", key)

    async def put_ticket(self, ticket: str, identity: Identity, ttl: float) -> None:
        """Store a ticket."""
        key = self._keys.ticket(ticket)
        await self._commands.send(key, "SET", key, codec.encode(identity), "PX", milliseconds(ttl))

    async def take_ticket(self, ticket: str) -> Identity | None:
        """Redeem a ticket, once."""
        key = self._keys.ticket(ticket)
        kept = await self._commands.send(key, "GETDEL", key)
        try:
            return _identity.decode(kept) if kept is not None else None
        except msgspec.DecodeError:
            return None

    async def put_returns(self, user: str, channels: tuple[Channel, ...], ttl: float) -> None:
        """Store channels of a user, for all nodes."""
        if channels:
            key = self._keys.returns(user)
            await self._commands.run(
                _PUT_RETURNS, (key,), (milliseconds(ttl), _MAX_RETURNS, *channels)
            )

    async def take_returns(self, user: str, channels: tuple[Channel, ...]) -> frozenset[Channel]:
        """Those that are stored, once over all nodes."""
        found = await self._commands.run(_TAKE_RETURNS, (self._keys.returns(user),), channels)
        names = {each.decode() for each in found}
        return frozenset(channel for channel in channels if channel in names)
