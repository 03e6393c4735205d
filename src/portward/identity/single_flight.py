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
class _Kept:
    answer: ProviderAnswer
    asked: float
    until: float


@dataclass(frozen=True, slots=True)
class _Flight:
    task: asyncio.Task[ProviderAnswer]
    asked: float


class SingleFlight:
    """Answers by key. Each call runs in its own Task, independent of the callers that wait for it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: Recent[_Kept] = Recent(KEPT)
        self._flights: dict[bytes, _Flight] = {}
        self._tasks: set[asyncio.Task[ProviderAnswer]] = set()

    def __len__(self) -> int:
        return len(self._kept)

    def kept(self, key: bytes, max_age: float | None = None) -> ProviderAnswer | None:
        """Return a cached answer that is still valid and was asked for at most `max_age` seconds ago."""
        kept = self._kept.get(key)
        if kept is None or self._clock.monotonic() >= kept.until:
            return None
        return kept.answer if self._young(kept.asked, max_age) else None

    def flight(
        self, key: bytes, max_age: float | None = None
    ) -> asyncio.Task[ProviderAnswer] | None:
        """Return the running call that started at most `max_age` seconds ago."""
        flight = self._flights.get(key)
        return flight.task if flight and self._young(flight.asked, max_age) else None

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
        flight = self._flights[key] = _Flight(task, asked)
        self._tasks.add(task)
        task.add_done_callback(lambda _: self._landed(key, flight))
        return task

    def _young(self, asked: float, max_age: float | None) -> bool:
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
        known = self._kept.get(key)
        # An earlier call must not replace the answer of a later one.
        if (positive or answer.result in brief) and (known is None or known.asked <= asked):
            seconds = POSITIVE if positive else NEGATIVE
            self._kept.put(key, _Kept(answer, asked, self._clock.monotonic() + seconds))
        return answer

    def _landed(self, key: bytes, flight: _Flight) -> None:
        self._tasks.discard(flight.task)
        if self._flights.get(key) is flight:
            del self._flights[key]

    async def aclose(self) -> None:
        """Cancel the running calls."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(tuple(self._tasks))
