"""Requests for a decision."""

from typing import Any

import msgspec
from msgspec.structs import replace

from portward.engines.port import APPROVAL_KEPT, MAX_PENDING, EngineUnavailable
from portward.engines.redis import codec
from portward.engines.redis.commands import RedisCommands
from portward.engines.redis.keys import Keys
from portward.engines.redis.scripts import script
from portward.engines.redis.streams import milliseconds
from portward.model.approval import Approval, Verdict
from portward.model.channel import Channel
from portward.model.clock import Clock

_ASK = script("ask")
_WAITING = script("waiting")
_DECIDE = script("decide")
_approval = codec.decoder(Approval)
_verdict = codec.decoder(Verdict)


class RedisApprovals:
    """Implements `engines.port.Approvals`."""

    def __init__(self, commands: RedisCommands, keys: Keys, clock: Clock) -> None:
        self._commands = commands
        self._keys = keys
        self._clock = clock

    async def add(self, approval: Approval) -> bool:
        """Store a request."""
        kept_until = milliseconds(approval.expires_at + APPROVAL_KEPT)
        added = await self._commands.run(
            _ASK,
            (self._keys.approval(approval.id), self._keys.waiting(approval.channel)),
            (
                approval.id,
                codec.encode(approval),
                repr(approval.expires_at),
                kept_until,
                repr(self._clock.time()),
                MAX_PENDING,
            ),
        )
        return bool(added)

    async def get(self, approval: str) -> Approval | None:
        """The request with this id."""
        key = self._keys.approval(approval)
        request, verdict = await self._commands.send(key, "HMGET", key, "request", "verdict")
        return _read(request, verdict) if request is not None else None

    async def pending(self, channel: Channel) -> tuple[Approval, ...]:
        """Requests that can still be decided."""
        now = self._clock.time()
        requests = await self._commands.run(
            _WAITING, (self._keys.waiting(channel),), (repr(now), self._keys.approvals), bulk=True
        )
        waiting = (_read(request, None) for request in requests)
        pending = (approval for approval in waiting if approval.pending(now))
        return tuple(sorted(pending, key=lambda approval: approval.created_at))

    async def decide(self, approval: str, verdict: Verdict) -> tuple[Approval | None, bool]:
        """Decide, once."""
        answer: Any = await self._commands.run(
            _DECIDE,
            (self._keys.approval(approval),),
            (approval, codec.encode(verdict), repr(verdict.at)),
        )
        if answer is None:
            return None, False
        request, kept, decided = answer
        return _read(request, kept), bool(decided)


def _read(request: bytes, verdict: bytes | None) -> Approval:
    try:
        approval: Approval = _approval.decode(request)
        return replace(approval, verdict=_verdict.decode(verdict)) if verdict else approval
    except msgspec.DecodeError:
        raise EngineUnavailable("redis has something else where a request is kept") from None
