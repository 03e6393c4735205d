"""Callbacks for events, and iterations of bounded length."""

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Any, Final, Generic, Self, TypeVar

from portward.client.errors import ReadOverflowError

T = TypeVar("T")
_LIMIT: Final = 1000


class _Raise:
    """An error among the items that is raised there; the iteration may continue after it."""

    def __init__(self, error: Exception) -> None:
        self.error = error


Callback = Callable[[Any], object]


class EventListeners:
    """Callbacks by the name of an event. An exception of one is only reported to the loop."""

    EVENTS: frozenset[str] = frozenset()

    def __init__(self) -> None:
        self._callbacks: dict[str, list[Callback]] = {}

    def on(self, event: str, callback: Callback) -> Callable[[], None]:
        """Call `callback` with every event of this name; the returned function removes it.

        Raises:
            ValueError: there is no such event.
        """
        if event not in self.EVENTS:
            raise ValueError(f"no event {event!r}; there are {', '.join(sorted(self.EVENTS))}")
        callbacks = self._callbacks.setdefault(event, [])
        callbacks.append(callback)

        def off() -> None:
            if callback in callbacks:
                callbacks.remove(callback)

        return off

    def listened(self, event: str) -> bool:
        """Whether there is a callback for an event."""
        return bool(self._callbacks.get(event))

    def emit(self, event: str, value: Any) -> None:
        """Call the callbacks of an event."""
        for callback in tuple(self._callbacks.get(event, ())):
            try:
                callback(value)
            except Exception as error:  # noqa: BLE001 - an application may raise anything
                asyncio.get_running_loop().call_exception_handler(
                    {"message": f"a callback of {event!r} raised", "exception": error}
                )


class EventReader(Generic[T]):
    """An asynchronous iterator over items, for one task at a time.

    More than `limit` waiting items end it with ReadOverflowError.
    """

    def __init__(self, limit: int = _LIMIT) -> None:
        self.used = False
        self.finished = False
        """Whether the end was read."""
        self._limit = limit
        self._items: deque[T | _Raise] = deque()
        self._filled = asyncio.Event()
        self._over = False
        self._error: Exception | None = None

    @property
    def over(self) -> bool:
        """Whether nothing more is added."""
        return self._over

    @property
    def crowded(self) -> bool:
        """Whether more than half of the limit is waiting."""
        return self.used and len(self._items) * 2 > self._limit

    def put(self, item: T) -> None:
        """Add an item."""
        if self._over:
            return
        self._items.append(item)
        if len(self._items) > self._limit:
            self._items.clear()
            self.end(ReadOverflowError(self._limit))
        self._filled.set()

    def interrupt(self, error: Exception) -> None:
        """Raise an error at this place, once; another iteration continues after it."""
        if not self._over:
            self._items.append(_Raise(error))
            self._filled.set()

    def end(self, error: Exception | None = None) -> None:
        """The iteration ends after what is still there, with an error or without."""
        if not self._over:
            self._over, self._error = True, error
        self._filled.set()

    def __aiter__(self) -> Self:
        self.used = True
        return self

    async def __anext__(self) -> T:
        self.used = True
        while not self._items:
            if self._over:
                self.finished = True
                if self._error is not None:
                    raise self._error
                raise StopAsyncIteration
            self._filled.clear()
            await self._filled.wait()
        item = self._items.popleft()
        if isinstance(item, _Raise):
            raise item.error
        return item


class Feed(EventListeners, Generic[T]):
    """Something that can be iterated: `async for item in it`.

    Items wait from the start on, so none is lost before the first iteration, and none
    between two. Two iterations at the same time share the items; `reader` makes one of its own.
    """

    MAIN: str = ""
    """The event whose values are iterated."""

    def __init__(self) -> None:
        super().__init__()
        self._main: EventReader[T] = EventReader()
        self._others: list[EventReader[T]] = []

    def __aiter__(self) -> EventReader[T]:
        # One that was read to its end, such as an overflow, is followed by a fresh one.
        if self._main.finished and self.expecting:
            self._main = EventReader()
        return self._main.__aiter__()

    @property
    def expecting(self) -> bool:
        """Whether more items may come."""
        return True

    @property
    def ended(self) -> bool:
        """Whether the items have ended, and that was not read yet."""
        return self._main.over and not self._main.finished

    def reader(self) -> EventReader[T]:
        """A separate iterator, over items from now on."""
        self._others = [each for each in self._others if not each.over]
        reader: EventReader[T] = EventReader()
        self._others.append(reader)
        return reader

    @property
    def crowded(self) -> bool:
        """Whether an iteration falls behind."""
        return self._main.crowded or any(each.crowded for each in self._others)

    def deliver(self, item: T) -> None:
        """Give an item to the callbacks and the iterations."""
        if self._main.used or not self.listened(self.MAIN):
            self._main.put(item)
        for reader in self._others:
            reader.put(item)
        self.emit(self.MAIN, item)

    def interrupt(self, error: Exception) -> None:
        """Raise an error in the iterations that are under way; they may go on."""
        for reader in (self._main, *self._others):
            if reader.used:
                reader.interrupt(error)

    def finish(self, error: Exception | None = None) -> None:
        """End every iteration."""
        for reader in (self._main, *self._others):
            reader.end(error)
        self._others.clear()

    def resume(self) -> None:
        """Items come again after `finish`."""
        if self._main.over:
            self._main = EventReader()
