"""A bounded queue that a separate thread empties.

A write can block as long as the reader of a pipe wants, and can fail on a full disk. The event loop must
not wait for it, so it only adds items to the queue. It is a thread and not the loop's executor, because the
order of items must stay and because other work must not wait behind a blocked write.
"""

import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Final, Generic, TypeVar

T = TypeVar("T")

GATHER: Final = 0.01
"""Seconds that the thread waits after it is woken, so that one write takes many lines."""
RETRY: Final = 1.0
"""Seconds until a failed batch is tried again."""
BATCH: Final = 256


class QueueThread(Generic[T]):
    """A queue whose items are passed to `handle` on another thread, in order and in batches.

    `handle` returns how many items it has finished; the others are passed again after `retry` seconds,
    before any later item. The thread starts with the first item, so a process may fork before that.
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
        """The number of items that were refused because the queue was full."""
        self.broken = 0
        """The number of items that were lost because `handle` raised."""
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
        """Whether the thread has ended or was never started."""
        return self._thread is None or not self._thread.is_alive()

    def room(self, items: int = 1) -> bool:
        """Return whether the queue has room for this many items."""
        waiting = len(self._items) + self._taken
        return waiting + items <= self._capacity and not self._stopping.is_set()

    def put(self, item: T) -> bool:
        """Add an item. Returns False and counts in `refused` when the queue is full or closed."""
        if len(self._items) + self._taken >= self._capacity or self._stopping.is_set():
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
        """Wait until all items added before are handled. Returns False after the timeout."""
        return self._idle.wait(timeout)

    def close(self, timeout: float = 2.0) -> int:
        """Handle the remaining items once, and stop. Returns how many items were not handled.

        After the timeout, a thread that is blocked in a write is abandoned: it is a daemon thread.
        """
        self._stopping.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(timeout)
        return len(self._items) + self._taken

    def _start(self) -> None:
        thread = threading.Thread(target=self._run, name=self._name, daemon=True)
        with suppress(RuntimeError):  # no thread is available: the next item tries again
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
        """Handle all items. Returns False when some of them must be tried again."""
        while self._items:
            self._taken = min(len(self._items), BATCH)  # set first: `room` must not count too few
            batch = [self._items.popleft() for _ in range(self._taken)]
            left = batch[self._offer(batch) :]
            self._items.extendleft(reversed(left))
            self._taken = 0
            if left:
                return False
        self._idle.set()
        if self._items:  # an item was added between the last check and now
            self._idle.clear()
        return True

    def _offer(self, batch: list[T]) -> int:
        try:
            return self._handle(batch)
        except Exception:  # noqa: BLE001 - the thread must survive any error; the loss is counted
            self.broken += len(batch)
            return len(batch)
