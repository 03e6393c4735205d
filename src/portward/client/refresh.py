"""Sends a newer token when the gateway announces that the current one expires."""

import asyncio
from collections.abc import Callable
from typing import Final

from portward.client.backoff import Backoff
from portward.client.clock import sleep
from portward.client.errors import ClientError, ConnectionLost, RequestRefused, UnauthorizedError
from portward.client.requests import RequestConnection
from portward.client.tokens import TokenProvider, TokenReason
from portward.model.clock import Clock

_LEAST_INTERVAL: Final = 1.0


class TokenRefresher:
    """One refresh at a time on the current connection.

    `fail` stops the client; `report` gets every failure. A refresh that fails is repeated after a
    wait. When it fails for good the connection stays until the gateway closes it, and the next one
    begins with a new token.
    """

    def __init__(
        self,
        tokens: TokenProvider,
        clock: Clock,
        backoff: Backoff,
        *,
        fail: Callable[[ClientError], None],
        report: Callable[[ClientError], None],
    ) -> None:
        self._tokens = tokens
        self._clock = clock
        self._backoff = backoff
        self._fail = fail
        self._report = report
        self._task: asyncio.Task[None] | None = None
        self._last = 0.0

    def due(self, connection: RequestConnection) -> None:
        """The gateway asks for a newer token."""
        if self._tokens.renews:
            self.cancel()
            self._task = asyncio.create_task(self._refresh(connection))

    def cancel(self) -> None:
        """The connection is lost."""
        if self._task is not None and self._task is not asyncio.current_task():
            self._task.cancel()

    async def close(self) -> None:
        """Leave no task."""
        self.cancel()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    async def _refresh(self, connection: RequestConnection) -> None:
        since = self._clock.monotonic() - self._last
        await sleep(self._clock, max(self._tokens.refresh_due(), _LEAST_INTERVAL - since, 0.0))
        reason: TokenReason = "refresh"
        attempt = 0
        while True:
            try:
                token = await self._tokens.get(reason)
                self._last = self._clock.monotonic()
                await connection.request("refresh", {"token": token})
            except UnauthorizedError as error:
                self._fail(error)
            except ConnectionLost:
                pass  # the next connection begins with a token
            except ClientError as error:
                self._report(error)
                if error.temporary:
                    await sleep(self._clock, self._backoff.wait(attempt, error.retry_after))
                    attempt += 1
                    continue
                if isinstance(error, RequestRefused) and reason != "rejected":
                    reason = "rejected"
                    continue
            return
