"""Requests for a decision: one record each, and an index by channel of those that wait."""

from typing import Final

from msgspec.structs import replace

from portward.engines.json_codec import MALFORMED, decoder, encode
from portward.engines.port import Change, EngineUnavailable, IndexEntry, IndexKey, Key, KeyValue
from portward.model.approval import Approval, Verdict
from portward.model.channel import Channel
from portward.model.clock import Clock

MAX_PENDING: Final = 1000
"""Most requests of one channel that may wait for a decision."""
APPROVAL_KEPT: Final = 86400.0
"""Seconds a request stays readable after the time at which it expires."""

_GROUP: Final = "approvals"
_FIELDS: Final = ("request", "verdict")
_approval = decoder(Approval)
_verdict = decoder(Verdict)


class Approvals:
    """Approval requests by id."""

    def __init__(self, kv: KeyValue, clock: Clock) -> None:
        self._kv = kv
        self._clock = clock

    async def add(self, approval: Approval) -> bool:
        """Store a request until `APPROVAL_KEPT` after it expires.

        False, and nothing is stored, when the id is taken or `MAX_PENDING` of its channel wait already.
        """
        now, ends = self._clock.time(), approval.expires_at
        fields = {"request": encode(approval), "expires": repr(ends).encode()}
        waiting = IndexEntry(
            _waiting(approval.channel),
            approval.id,
            ends,
            MAX_PENDING,
            floor=now,
            named_in="waiting",
        )
        added, _ = await self._kv.update(
            _key(approval.id),
            Change(
                set=fields,
                when={"request": None},
                ttl=ends + APPROVAL_KEPT - now,
                indexes=(waiting,),
            ),
        )
        return added

    async def get(self, approval: str) -> Approval | None:
        """The request with this id, decided or not."""
        [fields] = await self._kv.records((_key(approval),), _FIELDS)
        return _read(fields)

    async def pending(self, channel: Channel) -> tuple[Approval, ...]:
        """Requests of a channel that can still be decided, the oldest first."""
        now = self._clock.time()
        found = await self._kv.indexed(IndexKey(_waiting(channel)), _FIELDS, now)
        read = (_read(fields) for _, fields in found)
        pending = (each for each in read if each is not None and each.pending(now))
        return tuple(sorted(pending, key=lambda approval: approval.created_at))

    async def decide(self, approval: Approval, verdict: Verdict) -> tuple[Approval | None, bool]:
        """Decide on a request that was read, in one step: of two callers only one succeeds.

        Returns the request as it now is, None when there is none, and whether this call decided it. One
        that has expired at `verdict.at` is not decided.
        """
        if not verdict.at < approval.expires_at:
            return await self.get(approval.id), False
        decided, fields = await self._kv.update(
            _key(approval.id),
            Change(
                set={"verdict": encode(verdict)},
                when={"verdict": None},
                existing=True,
                indexes=(IndexEntry(_waiting(approval.channel), approval.id, None),),
                read=_FIELDS,
            ),
        )
        return _read(fields), decided


def _key(approval: str) -> Key:
    return Key(f":{approval}", _GROUP)


def _waiting(channel: Channel) -> Key:
    return Key(f"-waiting:{channel}", _GROUP)


def _read(fields: dict[str, bytes]) -> Approval | None:
    if "request" not in fields:
        return None
    try:
        approval = _approval.decode(fields["request"])
        verdict = fields.get("verdict")
        return replace(approval, verdict=_verdict.decode(verdict)) if verdict else approval
    except MALFORMED:
        raise EngineUnavailable("the store has something else where a request is kept") from None
