"""Resumable sessions, single-use tickets, and the channels that users were in when a connection broke."""

from contextlib import suppress
from typing import Final

import msgspec
from msgspec.structs import replace

from portward.engines.json_codec import MALFORMED, decoder, encode
from portward.engines.port import Change, EngineUnavailable, Key, KeyValue, LeaseKey
from portward.model.channel import Channel
from portward.model.identity import Identity

MAX_RETURNS: Final = 1024
"""Most channels that are stored of one user."""


class SessionRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A session that can be resumed. `nonce` is the id of the only session token that is still valid."""

    id: str
    identity: Identity
    nonce: str
    client: str

    def __repr__(self) -> str:
        return f"SessionRecord(id={self.id[:6]!r}…)"


_record = decoder(SessionRecord)
_identity = decoder(Identity)


class Sessions:
    """Session records by id, tickets by digest, lost subscriptions by user."""

    def __init__(self, kv: KeyValue) -> None:
        self._kv = kv

    async def save(self, record: SessionRecord, ttl: float) -> None:
        """Store a record for `ttl` seconds."""
        fields = {
            "record": encode(record),
            "nonce": record.nonce.encode(),
            "client": record.client.encode(),
        }
        await self._kv.update(_session(record.id), Change(set=fields, ttl=ttl))

    async def swap(self, session: str, nonce: str, new: str, client: str) -> SessionRecord | None:
        """Exchange the nonce of a record, in one step: of two callers only one succeeds.

        When the record exists and its nonce is `nonce`, it gets `new` and `client` and is returned as
        it now is; else None.
        """
        swapped, fields = await self._kv.update(
            _session(session),
            Change(
                set={"nonce": new.encode(), "client": client.encode()},
                when={"nonce": nonce.encode()},
                read=("record",),
            ),
        )
        if not swapped:
            return None
        try:
            return replace(_record.decode(fields["record"]), nonce=new, client=client)
        except (*MALFORMED, KeyError):
            raise EngineUnavailable(
                "the store has something else where a session is kept"
            ) from None

    async def release(self, session: str, client: str, ttl: float) -> None:
        """Keep the record of a closed connection for `ttl` seconds more, if it still belongs to `client`."""
        await self._kv.update(
            _session(session), Change(when={"client": client.encode()}, existing=True, ttl=ttl)
        )

    async def drop(self, session: str) -> None:
        """Remove a record."""
        await self._kv.delete(_session(session))

    async def put_ticket(self, ticket: str, identity: Identity, ttl: float) -> None:
        """Store an identity under the digest of a ticket."""
        await self._kv.put(Key(f"ticket:{ticket}"), encode(identity), ttl)

    async def take_ticket(self, ticket: str) -> Identity | None:
        """The identity stored under the digest of a ticket, once."""
        kept = await self._kv.take(Key(f"ticket:{ticket}"))
        with suppress(*MALFORMED):
            return _identity.decode(kept) if kept is not None else None
        return None

    async def put_returns(self, user: str, channels: tuple[Channel, ...], ttl: float) -> None:
        """Store for `ttl` seconds that a connection of a user was lost while in these channels.

        The number is bounded; the oldest entries are removed first.
        """
        if channels:
            members: dict[str, bytes] = dict.fromkeys(channels, b"")
            await self._kv.lease(_returns(user), members, ttl, MAX_RETURNS)

    async def take_returns(self, user: str, channels: tuple[Channel, ...]) -> frozenset[Channel]:
        """Those of the channels that are stored for the user, each once."""
        found = await self._kv.release(_returns(user), channels)
        return frozenset(channel for channel in channels if channel in found)


def _session(session: str) -> Key:
    return Key(f"ws_session:{session}")


def _returns(user: str) -> LeaseKey:
    return LeaseKey(Key(f"returns:{user}"))
