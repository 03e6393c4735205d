"""Events between the reader of a connection and whoever iterates."""

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

from portward.client.events import Event


class Inbox:
    """A queue whose writer waits while it is full, unless somebody needs an answer from behind it.

    So an application that iterates slowly slows the gateway down, and one that asks before it
    iterates is not kept from its answer by its own messages.
    """

    def __init__(self, bound: int) -> None:
        self._bound = bound
        self._events: deque[Event] = deque()
        self._urgent = 0
        self._over = False
        self._error: Exception | None = None
        self._filled = asyncio.Event()
        self._passable = asyncio.Event()
        self._passable.set()

    @property
    def open(self) -> bool:
        """Whether more may be read."""
        return self._passable.is_set()

    def put(self, event: Event) -> None:
        """Add an event."""
        self._events.append(event)
        self._judge()

    async def get(self) -> Event | None:
        """Take the next event; None when there will be no more.

        Raises:
            ClientError: there will be no more, for this reason.
        """
        while not self._events:
            if self._error is not None:
                raise self._error
            if self._over:
                return None
            self._filled.clear()
            await self._filled.wait()
        event = self._events.popleft()
        self._judge()
        return event

    async def passable(self) -> None:
        """Wait until more may be read."""
        await self._passable.wait()

    @contextmanager
    def hurry(self) -> Iterator[None]:
        """Let everything in while an answer is waited for."""
        self._urgent += 1
        self._judge()
        try:
            yield
        finally:
            self._urgent -= 1
            self._judge()

    def end(self, error: Exception | None) -> None:
        """Let the iteration end after what is still there, with an error or without."""
        if not self._over:
            self._over, self._error = True, error
        self._judge()

    def _judge(self) -> None:
        if self._events or self._over:
            self._filled.set()
        if self._urgent or self._over or len(self._events) < self._bound:
            self._passable.set()
        else:
            self._passable.clear()
