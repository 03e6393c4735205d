"""A bounded queue emptied by a thread of its own.

Writing a line can take as long as the other end of a pipe pleases, and a full disk fails it. The
event loop must neither wait nor notice, so it only puts things here. A thread, and not the loop's
executor, because the order must hold and because other work must not queue up behind a stuck write.
"""

import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Generic, TypeVar

T = TypeVar("T")

GATHER: Final = 0.01
"""Seconds the thread waits after being woken, so that one write takes many lines."""
RETRY: Final = 1.0
"""Seconds until a failed batch is tried again."""
BATCH: Final = 256


class QueueThread(Generic[T]):
    """Items go in at `put` and come out, in order and in batches, at `handle` on another thread.

    `handle` returns how many items it is done with; the others are offered to it again after
    `retry` seconds, before any later one. The thread starts with the first item, so a process may
    fork before it.
    """

    def __init__(
        self,
        handle: Callable[[list[T]], int],
        *,
        name: str,
        capacity: int,
        gather: float = GATHER,
        retry: float = RETRY,
    ) -> None:
        self.refused = 0
        """Items that found no room."""
        self.broken = 0
        """Items lost because `handle` raised."""
        self._handle = handle
        self._name = name
        self._capacity = capacity
        self._gather = gather
        self._retry = retry
        self._items: deque[T] = deque()
        self._taken = 0
        self._wake = threading.Event()
        self._idle = threading.Event()
        self._idle.set()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def stopped(self) -> bool:
        """Whether the thread is gone, or never was."""
        return self._thread is None or not self._thread.is_alive()

    def room(self, items: int = 1) -> bool:
        """Whether so many items would be taken."""
        waiting = len(self._items) + self._taken
        return waiting + items <= self._capacity and not self._stopping.is_set()

    def put(self, item: T) -> bool:
        """Add an item. False, and a count in `refused`, when there is no room or after `close`."""
        if not self.room():
            self.refused += 1
            return False
        self._items.append(item)
        if self._idle.is_set():
            self._idle.clear()
        if not self._wake.is_set():
            self._wake.set()
        if self._thread is None:
            self._start()
        return True

    def flush(self, timeout: float = 2.0) -> bool:
        """Wait until everything put before was handled. False when that took too long."""
        return self._idle.wait(timeout)

    def close(self, timeout: float = 2.0) -> int:
        """Handle what is left, trying once, and stop. Return how many items were not handled.

        A thread stuck in a write is left to itself when the time is over: it is a daemon.
        """
        self._stopping.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout)
        return len(self._items) + self._taken

    def _start(self) -> None:
        thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        with suppress(RuntimeError):  # no more threads: tried again with the next item
            thread.start()
            self._thread = thread

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            stopping = self._stopping.wait(self._gather)
            while not self._empty():
                if stopping:
                    return
                stopping = self._stopping.wait(self._retry)
            if stopping:
                return

    def _empty(self) -> bool:
        """Hand over everything there is. False when some of it must be tried again."""
        while self._items:
            self._taken = min(len(self._items), BATCH)  # first: never to seem to have room
            batch = [self._items.popleft() for _ in range(self._taken)]
            left = batch[self._offer(batch) :]
            self._items.extendleft(reversed(left))
            self._taken = 0
            if left:
                return False
        self._idle.set()
        if self._items:  # put between the last look and now
            self._idle.clear()
        return True

    def _offer(self, batch: list[T]) -> int:
        try:
            return self._handle(batch)
        except Exception:  # noqa: BLE001 - this thread must outlive any mistake; the count tells
            self.broken += len(batch)
            return len(batch)
