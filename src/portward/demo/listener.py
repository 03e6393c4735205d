"""The port of the demo's pages. It is opened before the gateway is built, whose settings name its address."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import uvicorn
from starlette.types import ASGIApp

HOST: Final = "127.0.0.1"
"""The host in every address of the demo: cookies belong to a host, whatever the port."""
CONNECTIONS: Final = 64


class _DemoServer(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to the gateway."""
        yield


class DemoListener:
    """A port of this machine, opened at once; clients wait for `start`.

    Raises:
        OSError: the port is taken.
    """

    def __init__(self, port: int) -> None:
        self._socket = socket.create_server((HOST, port))
        self.port: int = self._socket.getsockname()[1]
        self.url = f"http://{HOST}:{self.port}"
        self._server: _DemoServer | None = None
        self._task: asyncio.Task[None] | None = None

    def close(self) -> None:
        """Close the port."""
        self._socket.close()

    def start(self, app: ASGIApp) -> None:
        """Serve `app`."""
        config = uvicorn.Config(
            app,
            http="h11",  # bounds the size of a request's head
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            limit_concurrency=CONNECTIONS,
            timeout_graceful_shutdown=1,
        )
        self._server = _DemoServer(config)
        self._task = asyncio.create_task(self._server.serve([self._socket]))

    async def stop(self) -> None:
        """Stop serving; requests in progress have a second to finish."""
        if self._server is not None and self._task is not None:
            self._server.should_exit = True
            await self._task
