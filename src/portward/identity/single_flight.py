"""Lets who asks the same at once share one call, and keeps answers for a moment."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from portward.identity.provider_responses import ProviderAnswer
from portward.model.clock import Clock
from portward.model.provider import ProviderResult

KEPT: Final = 10_000
"""Answers that are kept, those asked for last."""
POSITIVE: Final = 10.0
NEGATIVE: Final = 2.0
"""Seconds an answer is good for. One that could not be had is not kept."""

V = TypeVar("V")


class Recent(Generic[V]):
    """A mapping that holds the `size` entries touched last."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._entries: OrderedDict[bytes, V] = OrderedDict()

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: bytes) -> V | None:
        """An entry, which is touched by that."""
        value = self._entries.get(key)
        if value is not None:
            self._entries.move_to_end(key)
        return value

    def put(self, key: bytes, value: V) -> None:
        """Make or replace an entry; the one touched longest ago may go."""
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
    """Answers by key. The call for one runs in a Task of its own, whoever waits for it or goes away."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._kept: Recent[_Kept] = Recent(KEPT)
        self._flights: dict[bytes, _Flight] = {}
        self._tasks: set[asyncio.Task[ProviderAnswer]] = set()

    def __len__(self) -> int:
        return len(self._kept)

    def kept(self, key: bytes, max_age: float | None = None) -> ProviderAnswer | None:
        """An answer that is still good, and was asked for at most `max_age` seconds ago."""
        kept = self._kept.get(key)
        if kept is None or self._clock.monotonic() >= kept.until:
            return None
        return kept.answer if self._young(kept.asked, max_age) else None

    def flight(
        self, key: bytes, max_age: float | None = None
    ) -> asyncio.Task[ProviderAnswer] | None:
        """The call under way that was begun at most `max_age` seconds ago."""
        flight = self._flights.get(key)
        return flight.task if flight and self._young(flight.asked, max_age) else None

    def begin(
        self,
        key: bytes,
        call: Callable[[], Awaitable[ProviderAnswer]],
        brief: Collection[ProviderResult],
    ) -> asyncio.Task[ProviderAnswer]:
        """Begin a call: from now on it is the one under way.

        A result in `brief` is kept for `NEGATIVE` seconds, a yes for `POSITIVE` ones.
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
        # A call that was overtaken by a later one knows less.
        if (positive or answer.result in brief) and (known is None or known.asked <= asked):
            seconds = POSITIVE if positive else NEGATIVE
            self._kept.put(key, _Kept(answer, asked, self._clock.monotonic() + seconds))
        return answer

    def _landed(self, key: bytes, flight: _Flight) -> None:
        self._tasks.discard(flight.task)
        if self._flights.get(key) is flight:
            del self._flights[key]

    async def aclose(self) -> None:
        """Give up the calls under way."""
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(tuple(self._tasks))
