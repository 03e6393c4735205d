"""A queue between simulations, which do not wait, and a gateway, whose answers must be awaited."""

import asyncio
from collections.abc import Awaitable
from typing import Final, Protocol

from portward.model.errors import Unavailable

ROOM: Final = 256


class DemoBackend(Protocol):
    """The form in which `Gateway.publish` is called here."""

    def __call__(self, channel: str, data: object, /, *, key: str) -> Awaitable[object]:
        """Publish; returns when it is stored."""


class DemoPublisher:
    """Publishes in the order of the calls, one at a time. A publication without room is dropped."""

    def __init__(self, publish: DemoBackend) -> None:
        self._publish = publish
        self._waiting: asyncio.Queue[tuple[str, object, str]] = asyncio.Queue(ROOM)

    def __call__(self, channel: str, data: object, key: str) -> None:
        """Queue a publication."""
        if not self._waiting.full():
            self._waiting.put_nowait((channel, data, key))

    async def run(self) -> None:
        """Publish until cancelled, or until the gateway has stopped."""
        while True:
            channel, data, key = await self._waiting.get()
            try:
                await self._publish(channel, data, key=key)
            except Unavailable:
                continue  # the next publication has newer data of the same kind
            except RuntimeError:
                return  # the gateway has stopped
