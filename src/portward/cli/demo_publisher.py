"""Between simulations, which do not wait, and a gateway, which is waited for."""

import asyncio
from collections.abc import Awaitable
from typing import Final, Protocol

from portward.model.errors import Unavailable

ROOM: Final = 256


class DemoBackend(Protocol):
    """How `Gateway.publish` is called here."""

    def __call__(self, channel: str, data: object, /, *, key: str) -> Awaitable[object]:
        """Publish; done when it is stored."""


class DemoPublisher:
    """Publishes in the order of the calls, one at a time. What finds no room is dropped."""

    def __init__(self, publish: DemoBackend) -> None:
        self._publish = publish
        self._waiting: asyncio.Queue[tuple[str, object, str]] = asyncio.Queue(ROOM)

    def __call__(self, channel: str, data: object, key: str) -> None:
        """Have something published soon."""
        if not self._waiting.full():
            self._waiting.put_nowait((channel, data, key))

    async def run(self) -> None:
        """Publish, until cancelled or until the gateway is left."""
        while True:
            channel, data, key = await self._waiting.get()
            try:
                await self._publish(channel, data, key=key)
            except Unavailable:
                continue  # the next one says the same, only newer
            except RuntimeError:
                return  # the gateway is not running any more
