"""What is measured: the floor and the peers. The gateway itself is in `bench.portward`."""

import os
import shutil
import socket
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from bench.load import Load, Script, head
from bench.processes import ROOT, BenchError, Process, build, last_words

PEERS = Path(__file__).parent / "peers"
NODE_MODULES = ROOT / "tests" / "js" / "node_modules"
SECRET = "a secret for benches, which guards nothing at all"


class NotInstalledError(Exception):
    """There is nothing of this kind here to compare with."""


class Workshop:
    """Where a bench keeps its compiled programs, plans, settings and logs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.floor = build(Path(__file__).parent / "floor.c", folder / "floor")
        self.load = build(Path(__file__).parent / "load.c", folder / "load")

    def log(self, name: str) -> Path:
        """Where the named process writes its errors."""
        return self.folder / f"{name}.log"


class Server(ABC):
    """One running server under measurement. Ends with the `with` block."""

    pid: int
    port: int

    def __init__(self, workshop: Workshop) -> None:
        self.workshop = workshop

    @abstractmethod
    def subscriber(self, index: int) -> Script:
        """What the connection of this index does to become a subscriber."""

    @abstractmethod
    def publish(self, count: int, rate: float, size: int) -> None:
        """Publishes to all subscribers; returns when the last publication was made."""

    @abstractmethod
    def stop(self) -> None:
        """Ends the server."""

    def load(self, count: int, script: Callable[[int], Script] | None = None) -> Load:
        """A load client for `count` connections, as yet unopened."""
        make = script or self.subscriber
        return Load(
            self.workshop.load,
            self.port,
            (make(index) for index in range(count)),
            folder=self.workshop.folder,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


SOCKET_ROOM = "workspace:bench:dashboard"


def socketio_client(connect: str) -> Script:
    """Socket.IO over WebSocket: a session, the packet `connect`, then the one room."""
    joins = f'420["join_room",{{"room":"{SOCKET_ROOM}"}}]'
    return Script(
        head("/socket.io/?EIO=4&transport=websocket"),
        ('"pingInterval"', connect, '40{"sid"', joins, '"joined"'),
    )


class Simple(Server):
    """A server that says `ready PORT` and publishes on command: the floor and the small peers."""

    path = "/"

    def __init__(self, workshop: Workshop, process: Process) -> None:
        super().__init__(workshop)
        self.process = process
        try:
            self.port = int(process.hear("ready")[0])
        except BenchError:
            process.stop()
            raise
        self.pid = process.pid

    def subscriber(self, index: int) -> Script:  # noqa: ARG002 - all are alike here
        """Nothing but a handshake."""
        return Script(head(self.path))

    def publish(self, count: int, rate: float, size: int) -> None:
        """Has the process publish by itself."""
        self.process.ask(f"publish {count} {rate} {size}", "done")

    def stop(self) -> None:
        """Ends the process."""
        self.process.stop()


def free_port() -> int:
    """A port that nobody listens on at this moment."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def listens(port: int) -> bool:
    """Whether a server accepts on the port."""
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True


def paced(count: int, rate: float, publish: Callable[[], None]) -> None:
    """Calls `publish` so many times, so many a second."""
    start = time.monotonic()
    for message in range(count):
        publish()
        time.sleep(max(0.0, start + (message + 1) / rate - time.monotonic()))


def clean_environment() -> dict[str, str]:
    """What a program needs of the environment, without the variables that would configure it."""
    kept = ("PATH", "HOME", "LANG", "PYTHONPATH")
    return {name: os.environ[name] for name in kept if name in os.environ}


class Program:
    """A program that is given its port. Ends with the `with` block."""

    pid: int
    port: int

    def start(self, command: list[str], log: Path, *ports: int) -> None:
        """Starts the program and waits until it listens on the ports, the clients' first."""
        with log.open("ab") as output:
            self._child = subprocess.Popen(
                command, cwd=ROOT, env=clean_environment(), stdout=output, stderr=output
            )
        self.pid, self.port = self._child.pid, ports[0]
        deadline = time.monotonic() + 20
        while not all(map(listens, ports)):
            if self._child.poll() is not None or time.monotonic() > deadline:
                self.stop()
                name = Path(command[0]).name
                raise BenchError(f"{name} did not start. Its last words: {last_words(log)}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Ends the program."""
        self._child.terminate()
        try:
            self._child.wait(10)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


class Installed(Program, Server):
    """One that is measured, and published to from outside."""


def floor(workshop: Workshop) -> Simple:
    """The C program that only sends."""
    return Simple(workshop, Process([workshop.floor], log=workshop.log("floor")))


def _node(workshop: Workshop, package: str, program: str, *mode: str) -> Process:
    """A peer of Node's, from the packages of the tests."""
    node = shutil.which("node")
    if node is None:
        raise NotInstalledError("node was not found on PATH")
    if not (NODE_MODULES / package).is_dir():
        raise NotInstalledError(f"`{package}` is not in tests/js (npm ci there installs it)")
    return Process(
        [node, PEERS / program, *mode],
        log=workshop.log(package),
        environment={"NODE_PATH": str(NODE_MODULES), "NODE_ENV": "production"},
    )


def ws(workshop: Workshop, *mode: str) -> Simple:
    """Node's `ws`."""
    return Simple(workshop, _node(workshop, "ws", "ws_server.cjs", *mode))


class SocketIo(Simple):
    """Node's socket.io."""

    def subscriber(self, index: int) -> Script:  # noqa: ARG002 - all are alike here
        """A client in the one room."""
        return socketio_client("40")


def socketio(workshop: Workshop) -> SocketIo:
    """Node's socket.io."""
    return SocketIo(workshop, _node(workshop, "socket.io", "socketio_server.cjs"))


def websockets(workshop: Workshop, *mode: str) -> Simple:
    """Python's `websockets`."""
    command: list[str | Path] = [sys.executable, PEERS / "websockets_server.py", *mode]
    return Simple(workshop, Process(command, log=workshop.log("websockets")))
