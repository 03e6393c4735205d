import asyncio
import errno
import os
import socket
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from portward.app.workers.sockets import RETRY, Acceptor, private_folder, reserved
from portward.testing import FakeClock


def sharing(host: str, port: int) -> socket.socket:
    """A listening socket as a worker makes it."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    sock.bind((host, port))
    sock.listen()
    return sock


def test_port_is_kept_and_shared() -> None:
    """While a port is kept, workers listen on it, and get every connection."""
    with reserved("127.0.0.1", 0) as (host, port):
        assert (host, port > 0) == ("127.0.0.1", True)
        with sharing(host, port) as worker:
            for _ in range(10):
                with socket.create_connection((host, port), timeout=10) as client:
                    peer, _ = worker.accept()
                    with peer:
                        peer.sendall(b"x")
                        assert client.recv(1) == b"x"


def test_port_stays_kept_without_workers() -> None:
    """Between two workers nobody else can take the port."""
    with reserved("127.0.0.1", 0) as (host, port):
        with pytest.raises(OSError, match="in use") as caught, socket.socket() as other:
            other.bind((host, port))
        assert caught.value.errno == errno.EADDRINUSE


def test_port_of_somebody_else() -> None:
    """A port on which somebody listens is refused, even one who would share it."""
    with sharing("127.0.0.1", 0) as sock:
        host, port = sock.getsockname()
        with pytest.raises(OSError, match="in use"), reserved(host, port):
            pass


def test_every_address_of_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name may stand for several addresses: the port is the same on all of them."""
    found = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, 0))
        for host in ("127.0.0.1", "127.0.0.2")
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    with reserved("both", 0) as (host, port):
        assert host == "127.0.0.1"
        for each in ("127.0.0.1", "127.0.0.2"):
            with sharing(each, port):
                pass
            with pytest.raises(OSError, match="in use"), socket.socket() as other:
                other.bind((each, port))


def test_ipv6() -> None:
    """An address of the newer kind is kept too, where the machine has one."""
    try:
        with reserved("::1", 0) as (host, port):
            assert (host, port > 0) == ("::1", True)
    except OSError as error:
        pytest.skip(f"no IPv6 here: {error.strerror}")


def test_folder_is_private_and_gone() -> None:
    """The folder is for this user alone, and removed with all that is in it."""
    with private_folder() as folder:
        assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700  # noqa: PTH116 - a mode
        Path(folder, "left").touch()
    assert not Path(folder).exists()


def test_no_place_for_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no folder can be made, the error says what it is for."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    with pytest.raises(OSError, match="no place for the workers' sockets"), private_folder():
        pass


def test_folder_with_too_long_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no socket's name would fit, the error says what to set."""
    long = tmp_path / ("x" * 100)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    with pytest.raises(OSError, match="set TMPDIR to a shorter one"), private_folder():
        pass
    assert list(long.iterdir()) == []


class Scarce(socket.socket):
    """A listening socket of a process that may have no free descriptor."""

    error: OSError | None = None
    calls = 0

    def accept(self) -> tuple[socket.socket, tuple[str, int]]:
        """Accept, or fail as the kernel does."""
        self.calls += 1
        if self.error is not None:
            raise self.error
        return super().accept()


@pytest.fixture
def scarce() -> Iterator[Scarce]:
    """A listening socket with one connection that waits."""
    with Scarce() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.setblocking(False)
        with socket.create_connection(listener.getsockname(), timeout=10):
            yield listener


async def turns(count: int = 20) -> None:
    """Let the event loop look at its sockets so often."""
    for _ in range(count):
        await asyncio.sleep(0)


async def test_no_descriptor_is_free(scarce: Scarce) -> None:
    """A connection that cannot be accepted is tried again after a while, not in every turn of the loop."""
    clock, taken = FakeClock(), list[socket.socket]()
    acceptor = Acceptor(scarce, taken.append, clock)
    scarce.error = OSError(errno.EMFILE, "too many open files")
    acceptor.start()
    await turns()
    assert scarce.calls == 1
    acceptor.start()
    await turns()
    assert scarce.calls == 1
    scarce.error = None
    clock.advance(RETRY)
    await turns()
    acceptor.stop()
    assert len(taken) == 1
    assert not taken[0].getblocking()
    taken[0].close()


async def test_stop_without_a_free_descriptor(scarce: Scarce) -> None:
    """A stop in the pause is one: nothing is accepted when the pause would have ended."""
    clock, taken = FakeClock(), list[socket.socket]()
    acceptor = Acceptor(scarce, taken.append, clock)
    scarce.error = OSError(errno.ENFILE, "too many open files in system")
    acceptor.start()
    await turns()
    acceptor.stop()
    scarce.error = None
    clock.advance(RETRY)
    await turns()
    assert not taken


async def test_another_process_was_faster(scarce: Scarce) -> None:
    """A connection that another process took, or that is gone, makes no pause."""
    clock, taken = FakeClock(), list[socket.socket]()
    acceptor = Acceptor(scarce, taken.append, clock)
    scarce.error = BlockingIOError(errno.EAGAIN, "nothing there")
    acceptor.start()
    await turns()
    scarce.error = None
    await turns()
    acceptor.stop()
    assert len(taken) == 1
    taken[0].close()
