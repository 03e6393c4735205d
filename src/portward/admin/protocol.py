"""HTTP/1.1 by uvicorn with more limits: size of the request head, time of a request, speed of reading."""

import asyncio
import logging
from typing import Any, Final

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from portward.model.clock import Clock, Timer
from portward.model.limits import HEAD_COUNT, HEAD_LINE, HEAD_TOTAL

REQUEST_TIME: Final = 10.0
"""Seconds for a request, from its first byte or from the start of the connection, to its last byte."""
ANSWER_TIME: Final = 30.0
ANSWER_STEP: Final = 64 * 1024
"""The client must read this many bytes of a waiting answer in this many seconds, or all the rest."""
_PROBES: Final = frozenset({b"/health", b"/health/", b"/ready", b"/ready/"})


class BoundedProtocol(HttpToolsProtocol):
    """One connection. A request head over the limits is answered with 400; a late request is aborted.

    A client that does not read its answer is aborted too, because the answer stays in memory until it is
    sent.

    `logger` gets the messages of uvicorn, which would otherwise go to a global logger of the process.
    """

    def __init__(self, clock: Clock, logger: logging.Logger, **given: Any) -> None:
        super().__init__(**given)
        self.logger = logger
        self.access_log = False
        self._clock = clock
        self._due: Timer | None = None
        self._since = 0.0
        self._limit = self.limit_concurrency
        self._size = 0
        self._count = 0
        self._unread: Timer | None = None
        self._left = 0

    # -- time

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        """Start the timeout of the first request."""
        super().connection_made(transport)
        self._wait()
        self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        """Cancel the timeouts."""
        self._arrived()
        super().connection_lost(exc)
        self._taken()

    def data_received(self, data: bytes) -> None:
        """Receive bytes; the first bytes after a complete answer start the timeout of the next request."""
        latest: Any = self.cycle  # None before the first request; uvicorn's type omits this
        if latest is not None and latest.response_complete:
            self._wait()
        super().data_received(data)

    def on_headers_complete(self) -> None:
        """Exempt probes from the connection limit: a busy node must not look dead to a load balancer."""
        probe = self.url.partition(b"?")[0] in _PROBES
        self.limit_concurrency = None if probe else self._limit
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Cancel the timeout: the request is complete."""
        self._arrived()
        super().on_message_complete()

    def _make_room(self) -> None:
        """Close the connection that has waited longest for a request, when there are too many."""
        if self._limit is None or len(self.connections) <= self._limit:
            return
        others: Any = self.connections
        waiting = [each for each in others if each is not self and each.waiting_since is not None]
        if waiting:
            min(waiting, key=lambda each: each.waiting_since).close()

    @property
    def waiting_since(self) -> float | None:
        """The time when this connection began to wait for a request; None while one is being answered."""
        return self._since if self._due is not None else None

    def pause_writing(self) -> None:
        """Start to check the client's reading: the write buffer is full."""
        super().pause_writing()
        self._watch()

    def resume_writing(self) -> None:
        """Restart the check: the client has read most of the write buffer."""
        super().resume_writing()
        self._taken()
        self._watch()

    def on_response_complete(self) -> None:
        """Check the reading of the remaining bytes: uvicorn would wait for them at close without a limit."""
        super().on_response_complete()
        self._watch()

    def _watch(self) -> None:
        left = self.transport.get_write_buffer_size()
        if self._unread is None and left:
            self._left = left
            self._unread = self._clock.call_later(ANSWER_TIME, self._look)

    def _look(self) -> None:
        """Abort when the client has read too little since the last check; otherwise check again later."""
        self._unread = None
        left = self.transport.get_write_buffer_size()
        if left > max(0, self._left - ANSWER_STEP):
            self.close()
        else:
            self._watch()

    def _taken(self) -> None:
        if self._unread is not None:
            self._unread.cancel()
            self._unread = None

    def close(self) -> None:
        """Abort the connection at once."""
        self._arrived()
        self._taken()
        self.transport.abort()

    def _wait(self) -> None:
        if self._due is None:
            self._since = self._clock.monotonic()
            self._due = self._clock.call_later(REQUEST_TIME, self._late)

    def _arrived(self) -> None:
        if self._due is not None:
            self._due.cancel()
            self._due = None

    def _late(self) -> None:
        self._due = None
        self.transport.abort()

    # -- size; the parser turns an exception of these methods into a 400 and closes the connection

    def on_message_begin(self) -> None:
        """Reset the counters."""
        self._size = self._count = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Count the bytes of the request target."""
        self._take(len(url), HEAD_LINE)
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Count the bytes of a header or trailer."""
        self._count += 1
        if self._count > HEAD_COUNT:
            raise ValueError("too many headers")
        self._take(len(name) + len(value), HEAD_TOTAL)
        super().on_header(name, value)

    def _take(self, size: int, limit: int) -> None:
        self._size += size
        if self._size > limit:
            raise ValueError("the head is too long")
