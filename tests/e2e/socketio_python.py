"""The Socket.IO client for Python, and what befalls it."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import socketio  # type: ignore[import-untyped]  # it comes without types

from tests.e2e.socketio_client import PATIENCE


class PythonClient:
    """One client. `answers` are what events are acknowledged with, by name."""

    def __init__(self, http: aiohttp.ClientSession) -> None:
        self.client = socketio.AsyncClient(
            reconnection_delay=0.05,
            reconnection_delay_max=0.2,
            handle_sigint=False,
            http_session=http,
        )
        self.connects: list[str] = []
        self.reasons: list[str] = []
        self.refusals: list[str] = []
        self.answers: dict[str, Any] = {}
        self._heard: dict[str, deque[Any]] = {}
        self._news = asyncio.Event()
        self.client.on("connect", self._connected)
        self.client.on("disconnect", self._disconnected)
        self.client.on("connect_error", self._refused)
        self.client.on("*", self._event)

    async def connect(self, url: str, auth: Any, transports: list[str]) -> None:
        """Connect and wait until it is in."""
        await self.client.connect(url, auth=auth, transports=transports, wait_timeout=PATIENCE)

    async def ask(self, event: str, *arguments: Any) -> Any:
        """Emit an event and wait for its acknowledgement."""
        return await self.client.call(event, *arguments, timeout=PATIENCE)

    async def heard(self, event: str) -> Any:
        """What came with the next event of a name."""
        await self.until(lambda: bool(self._heard.get(event)))
        arguments = self._heard[event].popleft()
        return arguments[0] if len(arguments) == 1 else arguments

    async def gone(self) -> None:
        """Wait until its transport is closed, which sets no event; it does not try to come back."""
        async with asyncio.timeout(PATIENCE):
            while self.client.eio.state != "disconnected":  # noqa: ASYNC110 - see above
                await asyncio.sleep(0.01)

    async def until(self, met: Callable[[], bool]) -> None:
        """Wait until something is so."""
        async with asyncio.timeout(PATIENCE):
            while not met():
                self._news.clear()
                await self._news.wait()

    async def _connected(self) -> None:
        self.connects.append(self.client.get_sid())
        self._news.set()

    async def _disconnected(self, reason: str) -> None:
        self.reasons.append(reason)
        asyncio.get_running_loop().call_soon(self._news.set)  # `connected` changes after this

    async def _refused(self, told: Any) -> None:
        self.refusals.append(told["data"]["code"] if isinstance(told, dict) else str(told))
        self._news.set()

    async def _event(self, event: str, *arguments: Any) -> Any:
        self._heard.setdefault(event, deque()).append(arguments)
        self._news.set()
        return self.answers.get(event)


@asynccontextmanager
async def python_client() -> AsyncIterator[PythonClient]:
    """A client that is gone at the end."""
    async with aiohttp.ClientSession() as http:
        made = PythonClient(http)
        try:
            yield made
        finally:
            await made.client.shutdown()
