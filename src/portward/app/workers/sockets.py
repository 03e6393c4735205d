"""Resources that the workers share: one port, reserved by the parent, and one private folder."""

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from portward.model.clock import Clock, Timer

BACKLOG: Final = 128
RETRY: Final = 0.5
"""Seconds without accepting after an accept that failed, as when no descriptor is free."""
LONGEST: Final = 90
"""The most characters of the folder's name: with a socket's name in it, it must fit into 107."""


@contextmanager
def reserved(host: str, port: int) -> Iterator[tuple[str, int]]:
    """Reserve a port on every address of `host` for sockets that share it; yields the first of them.

    The socket does not listen, so it gets no connections. For port 0, all addresses use the port of the
    first socket.

    Raises:
        OSError: an address cannot be bound, or another program listens there.
    """
    kind, flags = socket.SOCK_STREAM, socket.AI_PASSIVE
    found = dict.fromkeys(socket.getaddrinfo(host, port, type=kind, flags=flags))
    kept: list[tuple[str, int]] = []
    with ExitStack() as stack:
        for family, _, _, _, address in found:
            # First without sharing: otherwise another gateway on the same port would not be noticed.
            with _bound(family, address, port, shared=False) as probe:
                chosen: int = probe.getsockname()[1]
            sock = stack.enter_context(_bound(family, address, chosen, shared=True))
            kept.append(sock.getsockname()[:2])
            port = chosen
        yield kept[0]


@contextmanager
def _bound(
    family: int, address: tuple[Any, ...], port: int, *, shared: bool
) -> Iterator[socket.socket]:
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((address[0], port, *address[2:]))
        yield sock


@contextmanager
def private_folder() -> Iterator[str]:
    """Make a folder for sockets that only this user can access; it is deleted afterwards.

    Raises:
        OSError: there is no usable place for it.
    """
    try:
        made = TemporaryDirectory(prefix="portward-", ignore_cleanup_errors=True)
    except OSError as error:
        why = error.strerror or error
        raise OSError(f"there is no place for the workers' sockets: {why}; set TMPDIR") from None
    with made as folder:
        if len(folder) > LONGEST:
            raise OSError(f"{folder} is too long a name for sockets; set TMPDIR to a shorter one")
        yield folder


def listening(path: str) -> socket.socket:
    """Make a socket that listens at a path; an old socket there is removed.

    Raises:
        OSError: the socket cannot be opened.
    """
    Path(path).unlink(missing_ok=True)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind(path)
        sock.listen(BACKLOG)
    except OSError:
        sock.close()
        raise
    sock.setblocking(False)
    return sock


class Acceptor:
    """Accepts the connections of a listening socket, which other processes may accept from as well."""

    def __init__(
        self, listener: socket.socket, accepted: Callable[[socket.socket], None], clock: Clock
    ) -> None:
        """`accepted` gets each connection; it does not block."""
        self._listener = listener
        self._accepted = accepted
        self._clock = clock
        self._pause: Timer | None = None

    def start(self) -> None:
        """Accept from now on; without effect while it does."""
        if self._pause is None:
            asyncio.get_running_loop().add_reader(self._listener, self._accept)

    def stop(self) -> None:
        """Accept no more, until the next start."""
        pause, self._pause = self._pause, None
        if pause is not None:
            pause.cancel()
        asyncio.get_running_loop().remove_reader(self._listener)

    def _accept(self) -> None:
        try:
            sock, _ = self._listener.accept()
        except (
            BlockingIOError,
            ConnectionAbortedError,
        ):  # another process was faster, or it is gone
            return
        except OSError:
            # The connection still waits, so the event loop would call this again at once.
            self.stop()
            self._pause = self._clock.call_later(RETRY, self._resume)
            return
        sock.setblocking(False)
        self._accepted(sock)

    def _resume(self) -> None:
        self._pause = None
        self.start()
