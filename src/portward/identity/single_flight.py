"""One shared call for concurrent equal questions, and a short-lived cache of answers."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from portward.identity.provider_responses import ProviderAnswer
from portward.model.clock import Clock
from portward.model.provider import ProviderResult

KEPT: Final = 10_000
"""The number of cached answers, the most recently used ones."""
POSITIVE: Final = 10.0
NEGATIVE: Final = 2.0
"""Seconds for which an answer is valid. A failure is not cached."""

V = TypeVar("V")


class Recent(Generic[V]):
    """A mapping that holds the `size` most recently used entries."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._entries: OrderedDict[bytes, V] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: bytes) -> V | None:
        """Return an entry and mark it as used."""
        value = self._entries.get(key)
        if value is not None:
            self._entries.move_to_end(key)
        return value

    def put(self, key: bytes, value: V) -> None:
        """Add or replace an entry; the least recently used one may be dropped."""
        self._entries[key] = value
        self._entries.move_to_end(key)
        if len(self._entries) > self._size:
            self._entries.popitem(last=False)


@dataclass(frozen=True, slots=True)
class _CachedAnswer:
    answer: ProviderAnswer
    asked: float
    until: float


@dataclass(frozen=True, slots=True)
class _RunningCall:
    task: asyncio.Task[ProviderAnswer]
    asked: float


class SingleFlight:
    """Answers by key. Each call runs in its own Task, independent of the callers that wait for it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._cached: Recent[_CachedAnswer] = Recent(KEPT)
        self._running: dict[bytes, _RunningCall] = {}
        self._tasks: set[asyncio.Task[ProviderAnswer]] = set()

    def __len__(self) -> int:
        return len(self._cached)

    def cached(self, key: bytes, max_age: float | None = None) -> ProviderAnswer | None:
        """Return a cached answer that is still valid and was asked for at most `max_age` seconds ago."""
        cached = self._cached.get(key)
        if cached is None or self._clock.monotonic() >= cached.until:
            return None
        return cached.answer if self._recent_enough(cached.asked, max_age) else None

    def running(
        self, key: bytes, max_age: float | None = None
    ) -> asyncio.Task[ProviderAnswer] | None:
        """Return the running call that started at most `max_age` seconds ago."""
        call = self._running.get(key)
        return call.task if call and self._recent_enough(call.asked, max_age) else None

    def begin(
        self,
        key: bytes,
        call: Callable[[], Awaitable[ProviderAnswer]],
        brief: Collection[ProviderResult],
    ) -> asyncio.Task[ProviderAnswer]:
        """Start a call, which becomes the running one for its key.

        A result in `brief` is cached for `NEGATIVE` seconds, a positive one for `POSITIVE` seconds.
        """
        asked = self._clock.monotonic()
        task = asyncio.ensure_future(self._run(key, call, asked, brief))
        begun = self._running[key] = _RunningCall(task, asked)
        self._tasks.add(task)
        task.add_done_callback(lambda _: self._finished(key, begun))
        return task

    def _recent_enough(self, asked: float, max_age: float | None) -> bool:
        return max_age is None or self._clock.monotonic() - asked <= max_age

    async def _run(
        self,
        key: bytes,
        call: Callable[[], Awaitable[ProviderAnswer]],
        asked: float,
        brief: Collection[ProviderResult],
    ) -> ProviderAnswer:
        answer = await call()
        positive = answer.result is ProviderResult.OK
        known = self._cached.get(key)
        # An earlier call must not replace the answer of a later one.
        if (positive or answer.result in brief) and (known is None or known.asked <= asked):
            seconds = POSITIVE if positive else NEGATIVE
            self._cached.put(key, _CachedAnswer(answer, asked, self._clock.monotonic() + seconds))
        return answer

    def _finished(self, key: bytes, call: _RunningCall) -> None:
        self._tasks.discard(call.task)
        if self._running.get(key) is call:
            del self._running[key]

    async def aclose(self) -> None:
        """Cancel the running calls."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(tuple(self._tasks))
