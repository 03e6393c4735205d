"""Listening sockets in the file system: for owner and group; only a dead process's path is replaced."""

import asyncio
import errno
import fcntl
import os
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from portward.model.request import UNIX_PEER

PREFIX: Final = UNIX_PEER
"""Prefix of a path where an address is written."""
MODE: Final = 0o660
"""For the owner and the group: the proxy in front has to be in it."""
_LOCK_TIME: Final = 1.0
_LOCK_PAUSE: Final = 0.01
_PROBE_TIME: Final = 1.0


class UnixListener:
    """One bound socket and its path. `close` removes the path while it still belongs to this socket."""

    def __init__(self, path: str, backlog: int) -> None:
        """Bind and listen at `path`; the socket of a process that is gone is replaced.

        Raises:
            OSError: another file is there, another process listens there, or the path is not usable.
        """
        self.path = path
        with _locked(Path(path).parent):
            _make_room(path)
            self.sock = _bound(path, backlog)
            self._identity = _identity(path)

    def close(self) -> None:
        """Stop listening, and remove the path."""
        with _locked(Path(self.path).parent):
            if self._identity is not None and _identity(self.path) == self._identity:
                with suppress(OSError):
                    Path(self.path).unlink()
        self.sock.close()


def peer_of(transport: asyncio.BaseTransport) -> str:
    """The address of the other end as text; `UNIX_PEER` for a Unix socket, empty when it is gone."""
    if transport.get_extra_info("socket").family == socket.AF_UNIX:
        return UNIX_PEER
    name = transport.get_extra_info("peername")
    return str(name[0]) if name else ""


def _bound(path: str, backlog: int) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with suppress(OSError):
            # Linux gives the path the mode of the socket, so there is no moment with wider rights.
            os.fchmod(sock.fileno(), MODE)
        sock.bind(path)
        Path(path).chmod(MODE)  # the mode above is narrowed by the mask of the process
        sock.listen(backlog)
    except OSError as error:
        sock.close()
        raise _named(error, path) from None
    sock.setblocking(False)
    return sock


def _named(error: OSError, path: str) -> OSError:
    return OSError(error.errno or errno.EINVAL, error.strerror or str(error), path)


def _make_room(path: str) -> None:
    """Remove a socket at which no process listens.

    Raises:
        OSError: what is there must not be removed.
    """
    try:
        found = Path(path).lstat()
    except FileNotFoundError:
        return
    except OSError as error:
        raise _named(error, path) from None
    if not stat.S_ISSOCK(found.st_mode):
        text = "something is there that is no socket, and is not removed"
        raise OSError(errno.EEXIST, text, path)
    if not _is_dead(path):
        raise OSError(errno.EADDRINUSE, "another process listens there", path)
    with suppress(FileNotFoundError):
        Path(path).unlink()


def _is_dead(path: str) -> bool:
    """Whether no process listens. Only a refused connection proves it: not a full queue or missing right."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(_PROBE_TIME)
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
    return False


def _identity(path: str) -> tuple[int, int] | None:
    try:
        found = Path(path).lstat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Lock `folder` against other gateways that take over a path in it, if possible.

    Every process that may read the folder can hold the lock, so the wait for it is short.
    """
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        yield
        return
    try:
        until = time.monotonic() + _LOCK_TIME
        while time.monotonic() < until:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                time.sleep(_LOCK_PAUSE)
            else:
                break
        yield
    finally:
        os.close(descriptor)
