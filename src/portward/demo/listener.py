"""The demo's own port. It is taken before the gateway is built, which has to be told the address."""

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import uvicorn
from starlette.types import ASGIApp

HOST: Final = "127.0.0.1"
"""The one name in every address of the demo: cookies belong to a host, whatever the port."""
BACKLOG: Final = 64
CONNECTIONS: Final = 64
GRACE: Final = 1
_HIGHEST: Final = 65_535


class _DemoServer(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals of the process alone."""
        yield


class DemoListener:
    """A port of this machine, taken at once: `port`, or the next free one; 0 for any.

    Who connects before `start` waits. Leaving the context lets go of it.

    Raises:
        OSError: no port can be had.
    """

    def __init__(self, port: int) -> None:
        self._socket = _listen(port)
        self.port: int = self._socket.getsockname()[1]
        self.url = f"http://{HOST}:{self.port}"
        self._server: _DemoServer | None = None
        self._task: asyncio.Task[None] | None = None

    def __enter__(self) -> "DemoListener":
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def start(self, app: ASGIApp) -> None:
        """Serve `app` from now on."""
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
            timeout_graceful_shutdown=GRACE,
        )
        self._server = _DemoServer(config)
        self._task = asyncio.create_task(self._server.serve([self._socket]))

    async def stop(self) -> None:
        """Serve no more; requests under way have a second to finish."""
        if self._server is not None and self._task is not None:
            self._server.should_exit = True
            await self._task


def _listen(first: int) -> socket.socket:
    for port in range(first, _HIGHEST + 1):
        try:
            # Listening, not only bound: others would be let onto a port that is merely bound.
            return socket.create_server((HOST, port), backlog=BACKLOG)
        except OSError:
            if not port:
                raise
    return socket.create_server((HOST, 0), backlog=BACKLOG)
