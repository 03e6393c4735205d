import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from portward.app import service_manager
from portward.app.service_manager import READY, notified, notify
from tests.process_start import starting

pytestmark = pytest.mark.timeout(180)

PATIENCE = 60.0


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[socket.socket]:
    """A service manager's socket; its name is that of a path."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(tmp_path / "notify"))
        listening.settimeout(PATIENCE)
        yield listening


def test_a_path(manager: socket.socket) -> None:
    """The state is one datagram to the socket at a path."""
    assert notify(READY, {"NOTIFY_SOCKET": manager.getsockname()})
    assert manager.recv(100) == b"READY=1"


def test_an_abstract_name() -> None:
    """A name that begins with `@` is one of the kernel's own."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind("")  # the kernel chooses an abstract name
        name = listening.getsockname().decode()
        assert notify("STATUS=x", {"NOTIFY_SOCKET": f"@{name[1:]}"})
        assert listening.recv(100) == b"STATUS=x"


@pytest.mark.parametrize(
    "address",
    ["", "@", "/", "/nowhere/at/all", "@nobody-listens-here", "vsock:2:1", "relative", "/" + "x" * 200],
)  # fmt: skip
def test_nobody_to_notify(address: str) -> None:
    """Without a socket, or with one that is of no use, nothing is sent and nothing fails."""
    assert not notify(READY, {"NOTIFY_SOCKET": address})


def test_no_service_manager() -> None:
    """Most processes have none."""
    assert not notify(READY, {})


def test_a_socket_that_nobody_reads(
    manager: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service manager that reads nothing costs a moment, and stops nothing."""
    monkeypatch.setattr(service_manager, "_TIMEOUT", 0.01)
    environment = {"NOTIFY_SOCKET": manager.getsockname()}
    assert any(not notify(READY, environment) for _ in range(10_000))


def test_a_reload_that_fails(manager: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    """The begin of a reload is told with the time of the monotonic clock, its end in any case."""
    monkeypatch.setenv("NOTIFY_SOCKET", manager.getsockname())

    def fails() -> None:
        raise ValueError("no settings")

    with pytest.raises(ValueError, match="no settings"):
        notified(fails)()
    begin, time = manager.recv(100).decode().split("\n")
    assert begin == "RELOADING=1"
    assert time.removeprefix("MONOTONIC_USEC=").isdigit()
    assert manager.recv(100) == b"READY=1"


def test_the_life_of_a_gateway(manager: socket.socket, tmp_path: Path) -> None:
    """A gateway tells that it is ready once it serves, that it reloads, and that it stops."""
    address = str(manager.getsockname())
    ports = ("--port", "0", "--admin-port", "0")
    with starting(tmp_path, "serve", *ports, NOTIFY_SOCKET=address) as process:
        assert manager.recv(100) == b"READY=1"
        assert process.health() == 200
        process.process.send_signal(signal.SIGHUP)
        assert manager.recv(100).startswith(b"RELOADING=1\nMONOTONIC_USEC=")
        assert manager.recv(100) == b"READY=1"
        assert process.end() == 0
        assert manager.recv(100) == b"STOPPING=1"
