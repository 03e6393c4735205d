"""Listening sockets: their options, and what happens when descriptors run out."""

import asyncio
import os
import resource
import socket
import sys
from collections.abc import Callable
from functools import partial
from typing import Any, Final, NamedTuple

from portward.model.clock import Timer
from portward.model.request import PeerAddress
from portward.transports.deadlines import Waiter
from portward.transports.http_acceptor import HandshakeProtocol
from portward.transports.listener_state import ListenerState
from portward.transports.proxy_header import ProxyHeaderProtocol
from portward.transports.unix_socket import PREFIX, UnixListener

BACKLOG: Final = 1024
RESERVE: Final = 128
"""Descriptors kept for everything that is not a client."""
STOP_AT: Final = 0.9
"""Part of the descriptor limit in use at which accepting stops."""
RETRY: Final = 0.5
"""Seconds between checks whether there are free descriptors again."""
_KEEP_PATH: Final[dict[str, Any]] = {"cleanup_socket": False} if sys.version_info >= (3, 13) else {}
"""From 3.13 on a server removes its path when it closes; ours stays until `close`."""
USER_TIMEOUT: Final = 35_000
"""Milliseconds that sent bytes may stay unacknowledged: a ping and its answer, no longer."""


class DescriptorBudget(NamedTuple):
    """File descriptors: the limit of the process when None, and how many are not for clients."""

    limit: int | None = None
    reserve: int = RESERVE


_USUAL: Final = DescriptorBudget()


class Listener:
    """Accepts connections on every address of `host`, or at the path of `unix:/path`.

    With `reuse_port` several processes may listen on the same port. Accepted sockets inherit the
    options of the listening one, so none are set per connection. With `proxies` every connection has to
    begin with a PROXY header; it returns whether an address is that of a trusted proxy.
    """

    def __init__(
        self,
        listener_state: ListenerState,
        host: str | None,
        port: int,
        *,
        reuse_port: bool = False,
        descriptors: DescriptorBudget = _USUAL,
        proxies: Callable[[str], bool] | None = None,
    ) -> None:
        self._listener_state = listener_state
        self._host = host
        self._port = port
        self._reuse_port = reuse_port
        self._proxies = proxies
        limit = descriptors.limit or resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        self._stop_mark = int(limit * STOP_AT)
        self._refuse_mark = max(limit - descriptors.reserve, limit // 2)
        self._backlog = max(1, min(BACKLOG, limit - self._stop_mark))
        self._sockets: list[socket.socket] = []
        self._unix: UnixListener | None = None
        self._servers: list[asyncio.Server] = []
        self._retry: Timer | None = None
        self._resuming: asyncio.Task[None] | None = None

    @property
    def addresses(self) -> list[tuple[str, int]]:
        """Host and port of every listening socket; of one at a path, `unix:/path` and 0."""
        if self._unix is not None:
            return [(f"{PREFIX}{self._unix.path}", 0)]
        return [sock.getsockname()[:2] for sock in self._sockets]

    @property
    def accepting(self) -> bool:
        """Whether connections are accepted now."""
        return bool(self._servers)

    async def start(self) -> None:
        """Bind, and accept from now on.

        Raises:
            OSError: an address cannot be bound.
        """
        try:
            if self._host is not None and self._host.startswith(PREFIX):
                self._unix = UnixListener(self._host.removeprefix(PREFIX), self._backlog)
                self._sockets.append(self._unix.sock)
            else:
                for family, _, _, _, address in dict.fromkeys(
                    await _resolve(self._host, self._port)
                ):
                    self._sockets.append(self._bind(family, address))
        except OSError:
            self._close_sockets()
            raise
        self._listener_state.reserve_descriptors(self._refuse_mark, self._crowded)
        await self._accept()

    def stop_accepting(self) -> None:
        """Close the listening sockets; open connections stay open."""
        self._stop_servers()
        self._close_sockets()
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None

    def close(self) -> None:
        """Stop accepting, and drop connections that were not admitted."""
        self.stop_accepting()
        self._listener_state.clear()

    # Internals.

    def _bind(self, family: int, address: tuple[Any, ...]) -> socket.socket:
        sock = socket.socket(family, socket.SOCK_STREAM)
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if self._reuse_port:
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            if family == socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if sys.platform == "linux":
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, USER_TIMEOUT)
            host, port, *rest = address
            # Port 0 lets the kernel choose: the first choice holds for every address.
            port = port or (self._sockets[0].getsockname()[1] if self._sockets else 0)
            sock.bind((host, port, *rest))
            sock.listen(self._backlog)
        except OSError:
            sock.close()
            raise
        sock.setblocking(False)
        return sock

    async def _go_on(self) -> None:
        try:
            await self._accept()
        except OSError:  # there is still no descriptor for a duplicate
            self._stop_servers()
            if self._sockets:
                self._retry = self._listener_state.clock.call_later(RETRY, self._look_again)

    async def _accept(self) -> None:
        """Serve a duplicate of every socket: accepting can stop without losing the kernel's queue."""
        loop = asyncio.get_running_loop()
        for sock in tuple(self._sockets):
            self._servers.append(await self._serve(loop, sock.dup()))
        if not self._sockets:
            # Stopped in the meantime. Cancelling the task would leak a server that accepts already.
            self._stop_servers()

    async def _serve(self, loop: asyncio.AbstractEventLoop, sock: socket.socket) -> asyncio.Server:
        make: Callable[[], asyncio.BaseProtocol] = partial(HandshakeProtocol, self._listener_state)
        if self._proxies is not None:
            make = partial(
                ProxyHeaderProtocol, self._listener_state, self._proxies, self._announced
            )
        backlog = self._backlog
        if self._unix is None:
            return await loop.create_server(make, sock=sock, backlog=backlog)
        return await loop.create_unix_server(make, sock=sock, backlog=backlog, **_KEEP_PATH)

    def _announced(self, peer: PeerAddress, waiter: Waiter) -> HandshakeProtocol:
        return HandshakeProtocol(self._listener_state, peer=peer, waiter=waiter)

    def _crowded(self, descriptor: int) -> None:
        """Stop accepting when most descriptors are in use; new connections wait in the kernel's queue."""
        if descriptor >= self._stop_mark and self._servers:
            self._stop_servers()
            self._retry = self._listener_state.clock.call_later(RETRY, self._look_again)

    def _look_again(self) -> None:
        if self._lowest_free() < (self._stop_mark + self._refuse_mark) // 2:
            self._retry = None
            self._resuming = asyncio.get_running_loop().create_task(self._go_on())
        else:
            self._retry = self._listener_state.clock.call_later(RETRY, self._look_again)

    def _lowest_free(self) -> int:
        try:
            descriptor = os.dup(self._sockets[0].fileno())
        except OSError:
            return self._stop_mark
        os.close(descriptor)
        return descriptor

    def _stop_servers(self) -> None:
        servers, self._servers = self._servers, []
        for server in servers:
            server.close()

    def _close_sockets(self) -> None:
        unix, self._unix = self._unix, None
        if unix is not None:
            unix.close()
        sockets, self._sockets = self._sockets, []
        for sock in sockets:
            sock.close()


async def _resolve(host: str | None, port: int) -> list[tuple[Any, ...]]:
    loop = asyncio.get_running_loop()
    kind, flags = socket.SOCK_STREAM, socket.AI_PASSIVE
    return [*await loop.getaddrinfo(host, port, type=kind, flags=flags)]
