"""Callers that wait for a connection."""

import asyncio

from portward.client.errors import ClientError, ConnectionLost
from portward.client.requests import RequestConnection
from portward.model.clock import Clock

Outcome = RequestConnection | ClientError


class ConnectionWaiters:
    """All that wait are released at once, with a connection or an error."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting: set[asyncio.Future[Outcome]] = set()

    async def wait(self, limit: float | None) -> RequestConnection:
        """Wait for `release`, at most `limit` seconds.

        Raises:
            ConnectionLost: it took longer.
            ClientError: what was released was an error.
        """
        waiter: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting.add(waiter)
        timer = None
        if limit is not None:
            late = ConnectionLost("not connected")
            timer = self._clock.call_later(limit, lambda: _settle(waiter, late))
        try:
            outcome = await waiter
        finally:
            self._waiting.discard(waiter)
            if timer is not None:
                timer.cancel()
        if isinstance(outcome, ClientError):
            raise outcome
        return outcome

    def release(self, outcome: Outcome) -> None:
        """Let everything that waits go on."""
        for waiter in self._waiting:
            _settle(waiter, outcome)


def _settle(waiter: asyncio.Future[Outcome], outcome: Outcome) -> None:
    if not waiter.done():
        waiter.set_result(outcome)
