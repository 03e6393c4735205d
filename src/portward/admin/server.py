"""The admin listener: uvicorn in the running event loop, without its signal handling and logging."""

import asyncio
import errno
import logging
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final, Protocol, cast

import uvicorn
from starlette.types import Receive, Scope, Send

from portward.admin.protocol import BoundedProtocol
from portward.model.clock import Clock
from portward.telemetry import Telemetry

BACKLOG: Final = 128
CONNECTIONS: Final = 256
"""Connections at once; more are answered with 503, which bounds the memory for bodies."""
GRACE: Final = 2.0
"""Seconds for running requests to finish when the listener stops."""
_ABSENT: Final = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})
"""Errors of an address that this machine does not have, although the host name resolves to it."""


class _UvicornServer(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Install no signal handlers."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()


class AdminApplication(Protocol):
    """An ASGI application with the parts that its server needs. See `admin.app.AdminApp`."""

    clock: Clock
    telemetry: Telemetry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request."""


class AdminServer:
    """Serves `app` on every address of `host`, or on `sockets` that listen already.

    Port 0 takes a free port; see `address`.
    """

    def __init__(
        self,
        app: AdminApplication,
        host: str,
        port: int,
        *,
        sockets: Sequence[socket.socket] = (),
        grace: float = GRACE,
    ) -> None:
        self.app = app
        self._host = host
        self._port = port
        self._grace = grace
        self._sockets = list(sockets)
        self._server: _UvicornServer | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def address(self) -> tuple[str, int]:
        """Host and port of the first listening socket.

        Raises:
            RuntimeError: the server is not running.
        """
        if not self._sockets:
            raise RuntimeError("the admin listener is not serving")
        host, port = self._sockets[0].getsockname()[:2]
        return str(host), int(port)

    async def start(self) -> None:
        """Bind the sockets and start to serve.

        Raises:
            OSError: an address cannot be bound; the text names it and the reason.
            RuntimeError: the server is already running.
        """
        if self._task is not None:
            raise RuntimeError("the admin listener is serving already")
        if not self._sockets:
            self._sockets = await bind(self._host, self._port)
        server = self._server = _UvicornServer(self._config())
        task = self._task = asyncio.create_task(server.serve(self._sockets))
        ready = asyncio.create_task(server.ready.wait())
        await asyncio.wait({task, ready}, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        if task.done():
            self._release()
            task.result()

    async def stop(self) -> None:
        """Stop accepting requests, wait a moment for running ones, and close the sockets."""
        task, server = self._task, self._server
        if task is None or server is None:
            return
        server.should_exit = True
        _, late = await asyncio.wait({task}, timeout=self._grace)
        if late:
            self._abort(server)
            await task
        self._release()

    @staticmethod
    def _abort(server: _UvicornServer) -> None:
        server.force_exit = True
        for connection in tuple(server.server_state.connections):
            connection.transport.abort()
        for request in tuple(server.server_state.tasks):
            request.cancel()

    def _release(self) -> None:
        for sock in self._sockets:
            sock.close()
        self._sockets = []
        self._task = self._server = None

    def _config(self) -> uvicorn.Config:
        logger = logging.Logger("uvicorn", logging.WARNING)  # noqa: LOG001 - not registered globally
        logger.addHandler(self.app.telemetry.handler())
        clock = self.app.clock

        def protocol(**given: Any) -> BoundedProtocol:
            return BoundedProtocol(clock, logger, **given)

        return uvicorn.Config(
            self.app,
            # uvicorn only calls it, with the arguments of its own protocols.
            http=cast("type[asyncio.Protocol]", protocol),
            ws="none",
            lifespan="off",
            log_config=None,
            proxy_headers=False,
            server_header=False,
            limit_concurrency=CONNECTIONS,
            backlog=BACKLOG,
        )


async def bind(host: str, port: int) -> list[socket.socket]:
    """Make a listening socket for every address of `host`; for port 0 all have the same free port.

    Raises:
        OSError: an address cannot be bound; the text names it and the reason.
    """
    try:
        return await _bind(host, port)
    except OSError as error:
        why = error.strerror or str(error)
        text = f"the admin listener cannot use {host}:{port}: {why}"
        raise OSError(error.errno, text) from None


async def _bind(host: str, port: int) -> list[socket.socket]:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    bound: list[socket.socket] = []
    absent: OSError | None = None
    for family, _, _, _, address in dict.fromkeys(found):
        try:
            bound.append(_listen(family, address, bound))
        except OSError as error:
            if error.errno not in _ABSENT:
                for sock in bound:
                    sock.close()
                raise
            absent = error
    if absent is not None and not bound:
        raise absent
    return bound


def _listen(family: int, address: tuple[Any, ...], bound: list[socket.socket]) -> socket.socket:
    """Make one listening socket. For port 0, all addresses share the port of the first socket."""
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        host, port, *rest = address
        sock.bind((host, port or (bound[0].getsockname()[1] if bound else 0), *rest))
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    sock.setblocking(False)
    return sock
