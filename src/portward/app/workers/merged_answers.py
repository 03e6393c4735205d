"""Answers of the admin API about one process, merged from those of all workers."""

import asyncio
from collections.abc import Mapping
from typing import Any, Final, TypeVar

import msgspec

from portward.admin import node_methods as requests
from portward.admin import request_body
from portward.admin.errors import ApiError
from portward.admin.user_methods import RevokeRequest
from portward.app.workers import events
from portward.app.workers.admin_client import (
    QUICK,
    STEADY,
    SilenceError,
    WorkerAdminClient,
    WorkerAnswer,
    WorkerQuestion,
)
from portward.app.workers.worker_admin import HELD, PARENT
from portward.model.clock import Clock
from portward.model.errors import CommandError
from portward.node.admin_method import MAX_ITEMS, ApiRequest

R = TypeVar("R", bound=ApiRequest)

_OK: Final = 200
_PAGES: Final = 100
"""The most requests to one worker for one answer."""


class RefusingError(Exception):
    """A worker refuses the request; its answer becomes the answer of all."""

    def __init__(self, answer: WorkerAnswer) -> None:
        super().__init__("refused")
        self.answer = answer


class AnswerMerge:
    """One method for each method of the API whose answers are merged.

    Each returns the result, or None for a request that cannot be parsed. Any worker can answer such a
    request: it checks the key first, so a caller without a key learns nothing about the errors in the body.
    """

    def __init__(self, colleagues: WorkerAdminClient, clock: Clock) -> None:
        self._colleagues = colleagues
        self._clock = clock

    async def connections(self, question: WorkerQuestion) -> dict[str, Any] | None:
        """Return the connections, worker by worker, oldest first in each.

        Raises:
            RefusingError: a worker refuses the request.
        """
        asked = await _understood(question, requests.ConnectionsRequest)
        if asked is None:
            return None
        chosen = {"user": asked.user, "endpoint": asked.endpoint}
        first = _with(question, {**chosen, "limit": 1})
        totals = {number: result["total"] for number, result in (await self._all(first)).items()}
        shares = slices(totals, asked.offset, asked.limit)
        questions = {
            number: _with(question, {**chosen, "offset": offset, "limit": limit})
            for number, (offset, limit) in shares.items()
        }
        found = _results(await self._colleagues.ask_each(questions, STEADY))
        return {
            "connections": [
                each for number in shares for each in found.get(number, _EMPTY)["connections"]
            ],
            "total": sum(totals.values()),
        }

    async def channels(self, question: WorkerQuestion) -> dict[str, Any] | None:
        """Return the channels with the connections of all workers.

        Raises:
            RefusingError: a worker refuses the request.
        """
        asked = await _understood(question, requests.ChannelsRequest)
        if asked is None:
            return None
        answers = await asyncio.gather(
            *(
                self._channels(number, question, asked.pattern)
                for number in self._colleagues.ready()
            )
        )
        merged: dict[str, int] = {}
        for sizes in answers:
            for name, size in sizes.items():
                merged[name] = merged.get(name, 0) + size
        page = list(merged.items())[asked.offset : asked.offset + asked.limit]
        return {
            "channels": {name: {"num_clients": size} for name, size in page},
            "total": len(merged),
        }

    async def _channels(
        self, number: int, question: WorkerQuestion, pattern: str
    ) -> dict[str, int]:
        found: dict[str, int] = {}
        for page in range(_PAGES):
            offset = page * requests.MAX_CHANNELS
            result = await self._one(
                number, _with(question, {"pattern": pattern, "offset": offset})
            )
            channels = result["channels"] if result is not None else {}
            found.update((name, each["num_clients"]) for name, each in channels.items())
            if len(channels) < requests.MAX_CHANNELS:
                break
        return found

    async def security_events(self, question: WorkerQuestion) -> dict[str, Any] | None:
        """Return the events of all workers by their time, with the numbers of `events`.

        Raises:
            RefusingError: a worker refuses the request.
        """
        asked = await _understood(question, requests.SecurityEventsRequest)
        if asked is None:
            return None
        # Later events are left out: some workers may already report them, and others not yet.
        until = int(self._clock.time() * 1000)
        since = None if asked.since is None else events.time_of(asked.since)
        answers = await asyncio.gather(
            *(
                self._events(number, question, asked.limit, since)
                for number in self._colleagues.ready()
            )
        )
        return {"events": events.merged(answers, asked.limit, asked.since, until)}

    async def _events(
        self, number: int, question: WorkerQuestion, limit: int, since: int | None
    ) -> list[events.WorkerEvent]:
        """Return the newest events of one worker: `limit` of them, or back to the millisecond `since`."""
        size = MAX_ITEMS if since is not None else limit
        result = await self._one(number, _with(question, {"limit": size}))
        found: list[events.WorkerEvent] = events.read(result)
        for _ in range(_PAGES):
            if since is None or not found or found[0].seq <= 1 or found[0].milliseconds < since:
                break
            # A worker numbers its events without gaps, so the first number gives the page before.
            before = max(0, found[0].seq - 1 - size)
            wanted = {"limit": found[0].seq - 1 - before, "since": before}
            older = events.read(await self._one(number, _with(question, wanted)))
            older = [each for each in older if each.seq < found[0].seq]
            if not older:
                break
            found = older + found
        return found

    async def revoke(self, question: WorkerQuestion) -> dict[str, Any] | None:
        """Revoke through one worker; returns the number of connections that this closes in all workers.

        Raises:
            RefusingError: the worker refuses.
            SilenceError: there is no answer; the revocation may have been made.
        """
        if await _understood(question, RevokeRequest) is None:
            return None
        ours = (*question.headers, (PARENT.encode(), b"1"))
        held = await self._colleagues.ask_all(question._replace(target=HELD, headers=ours), QUICK)
        counts = {
            number: msgspec.json.decode(answer.body)["held"]
            for number, answer in held.items()
            if answer.status == _OK
        }
        number, answer = await self._colleagues.ask_any(question)
        others = sum(count for other, count in counts.items() if other != number)
        return {"ended": _result(answer)["ended"] + others}

    async def _all(self, question: WorkerQuestion) -> dict[int, dict[str, Any]]:
        return _results(await self._colleagues.ask_all(question, STEADY))

    async def _one(self, number: int, question: WorkerQuestion) -> dict[str, Any] | None:
        try:
            return _result(await self._colleagues.ask(number, question, STEADY))
        except SilenceError:
            return None


_EMPTY: Final[Mapping[str, Any]] = {"connections": ()}


def slices(totals: Mapping[int, int], offset: int, limit: int) -> dict[int, tuple[int, int]]:
    """Return offset and limit for each worker that together give one page over all workers."""
    shares: dict[int, tuple[int, int]] = {}
    for number, total in totals.items():
        count = min(limit, max(0, total - offset))
        if count:
            shares[number] = (offset, count)
        offset = max(0, offset - total)
        limit -= count
    return shares


async def _understood(question: WorkerQuestion, kind: type[R]) -> R | None:
    try:
        return request_body.convert(await request_body.parse(question.body), kind)
    except (ApiError, CommandError):
        return None


def _with(question: WorkerQuestion, body: Mapping[str, Any]) -> WorkerQuestion:
    given = {name: value for name, value in body.items() if value is not None}
    return question._replace(body=msgspec.json.encode(given))


def _results(answers: Mapping[int, WorkerAnswer]) -> dict[int, dict[str, Any]]:
    return {number: _result(answer) for number, answer in answers.items()}


def _result(answer: WorkerAnswer) -> dict[str, Any]:
    if answer.status != _OK:
        raise RefusingError(answer)
    result: dict[str, Any] = msgspec.json.decode(answer.body)["result"]
    return result
