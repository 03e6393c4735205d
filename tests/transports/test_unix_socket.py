import asyncio
import os
import socket
import stat
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from portward.testing.clock import FakeClock
from portward.transports.listener import Listener
from portward.transports.listener_state import ListenerState
from portward.transports.request_router import RequestRouter
from portward.transports.unix_socket import UnixListener
from tests.transports.running_listener import TEXT, Client, FakeGate, handshake, masked, until


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a short name: the path of a socket has at most 107 bytes."""
    with TemporaryDirectory(prefix="pw") as made:
        yield Path(made)


async def client(path: Path) -> Client:
    """A client at a path."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, str(path))
    return Client(sock)


@asynccontextmanager
async def listening(path: Path) -> AsyncIterator[tuple[FakeGate, Listener]]:
    """A listener at a path."""
    gate, clock = FakeGate(), FakeClock()
    listener_state = ListenerState(RequestRouter(gate), clock, random=lambda: 0.0)
    listener = Listener(listener_state, f"unix:{path}", 0)
    await listener.start()
    try:
        yield gate, listener
    finally:
        listener.close()
        for session in gate.sessions:
            session.link.abort()
        await until(lambda: listener_state.sockets == 0)


def mode(path: Path) -> int:
    """The permission bits of a path."""
    return stat.S_IMODE(path.lstat().st_mode)


async def test_a_conversation_over_a_unix_socket(folder: Path) -> None:
    """Handshake, echo and close are those of TCP; the peer is called `unix:`."""
    path = folder / "gate.sock"
    async with listening(path) as (gate, listener):
        assert listener.addresses == [(f"unix:{path}", 0)]
        peer = await client(path)
        await peer.send(handshake())
        assert (await peer.head())[0] == "HTTP/1.1 101 Switching Protocols"
        gate.sessions[0].echo = True
        await peer.send(masked(TEXT, b"hello"))
        assert await peer.frame() == (0x81, b"hello")
        gate.sessions[0].link.close(3001, "shutdown")
        assert await peer.closed() == (3001, "shutdown")
        assert gate.heads[0].peer == "unix:"
        peer.leave()
        other = await client(path)
        await other.send(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n")
        assert b'{"status":"ok"}' in await other.rest()
        other.leave()


async def test_a_client_that_is_bound_to_a_path_of_its_own(folder: Path) -> None:
    """The name a client gives to its own end is nobody's address."""
    path = folder / "gate.sock"
    async with listening(path) as (gate, _):
        for name in (str(folder / "1.2.3.4"), "\0abstract-of-the-tests"):
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            sock.bind(name)
            sock.setblocking(False)
            await asyncio.get_running_loop().sock_connect(sock, str(path))
            peer = Client(sock)
            await peer.send(handshake())
            await peer.head()
            peer.leave()
        assert [head.peer for head in gate.heads] == ["unix:", "unix:"]


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077, 0o777])
async def test_the_path_is_for_owner_and_group(folder: Path, mask: int) -> None:
    """Whatever mask the process has, the mode is 0660."""
    before = os.umask(mask)
    try:
        made = UnixListener(str(folder / "gate.sock"), 1)
    finally:
        os.umask(before)
    assert mode(folder / "gate.sock") == 0o660
    made.close()


async def test_the_path_goes_with_its_listener(folder: Path) -> None:
    """After the end nothing is left, and the next gateway can begin."""
    path = folder / "gate.sock"
    for _ in range(2):
        async with listening(path):
            assert path.is_socket()
        assert not path.exists()


async def test_the_socket_of_the_dead_is_replaced(folder: Path) -> None:
    """A process that was killed leaves its path behind."""
    path = folder / "gate.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as left:
        left.bind(str(path))
    path.chmod(0o600)
    async with listening(path):
        assert mode(path) == 0o660
        peer = await client(path)
        await peer.send(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n")
        assert b"200 OK" in await peer.rest()
        peer.leave()


@pytest.mark.parametrize("backlog", [0, 8])
async def test_a_living_listener_is_never_removed(folder: Path, backlog: int) -> None:
    """Not even one that is too busy to accept: the start fails, and the other goes on."""
    path = folder / "gate.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as living:
        living.bind(str(path))
        living.listen(backlog)
        waiting = []
        if not backlog:
            for _ in range(3):
                sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
                sock.setblocking(False)
                sock.connect_ex(str(path))
                waiting.append(sock)
        before = path.lstat().st_ino
        with pytest.raises(OSError, match="another process listens there"):
            UnixListener(str(path), 1)
        assert path.lstat().st_ino == before
        for sock in waiting:
            sock.close()


async def test_two_gateways_at_one_path(folder: Path) -> None:
    """The second does not start, and its failure does not take the first one's path away."""
    path = folder / "gate.sock"
    async with listening(path):
        second = Listener(ListenerState(RequestRouter(FakeGate()), FakeClock()), f"unix:{path}", 0)
        with pytest.raises(OSError, match="another process listens there"):
            await second.start()
        second.close()
        peer = await client(path)
        await peer.send(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n")
        assert b"200 OK" in await peer.rest()
        peer.leave()


@pytest.mark.parametrize("kind", ["file", "folder", "link", "link to a socket", "pipe"])
async def test_what_is_no_socket_stays(folder: Path, kind: str) -> None:
    """A file, a folder, a link or a pipe is never removed, dead or not."""
    path, target = folder / "gate.sock", folder / "target"
    match kind:
        case "file":
            path.write_text("precious")
        case "folder":
            path.mkdir()
        case "link":
            path.symlink_to(target)
        case "pipe":
            os.mkfifo(path)
        case _:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dead:
                dead.bind(str(target))
            path.symlink_to(target)
    before = path.lstat()
    with pytest.raises(OSError, match="no socket"):
        UnixListener(str(path), 1)
    assert path.lstat().st_ino == before.st_ino


async def test_a_socket_of_another_kind_stays(folder: Path) -> None:
    """One of datagrams refuses in its own way, which does not say that it is dead."""
    path = folder / "gate.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        other.bind(str(path))
        with pytest.raises(OSError, match="another process"):
            UnixListener(str(path), 1)
        assert path.is_socket()


async def test_a_path_that_was_taken_over_is_not_removed(folder: Path) -> None:
    """At its end a listener removes its own path, and not what has come in its place."""
    path = folder / "gate.sock"
    first = UnixListener(str(path), 1)
    path.rename(folder / "elsewhere.sock")
    second = UnixListener(str(path), 1)
    first.close()
    assert path.is_socket()
    second.close()
    assert not path.exists()


async def test_a_path_that_is_gone_already(folder: Path) -> None:
    """Somebody may have tidied up."""
    made = UnixListener(str(folder / "gate.sock"), 1)
    (folder / "gate.sock").unlink()
    made.close()


@pytest.mark.parametrize("name", ["no/such/folder/gate.sock", "x" * 120, "\0abstract"])
def test_paths_that_cannot_be_had(folder: Path, name: str) -> None:
    """The error names the path; nothing is left behind."""
    path = f"{folder}/{name}" if name and not name.startswith("\0") else name
    with pytest.raises((OSError, ValueError)):
        UnixListener(path, 1)
    assert list(folder.iterdir()) == []


async def test_a_lock_that_somebody_holds_delays_only(folder: Path) -> None:
    """Whoever can read the folder could hold the lock for ever."""
    import fcntl  # noqa: PLC0415 - for this test alone

    holder = os.open(folder, os.O_RDONLY)
    fcntl.flock(holder, fcntl.LOCK_EX)
    made = UnixListener(str(folder / "gate.sock"), 1)
    os.close(holder)
    made.close()


async def test_a_pause_for_descriptors_keeps_the_path(folder: Path) -> None:
    """While accepting is paused the path stays, and newcomers wait in the queue."""
    path = folder / "gate.sock"
    async with listening(path) as (_, listener):
        listener._stop_servers()
        await asyncio.sleep(0.05)
        assert path.is_socket()
        peer = await client(path)
        await peer.send(b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n")
        await listener._accept()
        assert b"200 OK" in await peer.rest()
        peer.leave()
