import asyncio
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from portward.app.gateway import Gateway
from portward.app.server import Server
from portward.cli.config import with_secrets
from portward.cli.demo import loaded
from portward.cli.signing import TokenClaims, mint
from portward.client import (
    ClientError,
    ClosedError,
    ConnectionLost,
    Message,
    Position,
    RequestRefused,
)
from portward.client.sync import Portward
from tests.cli.demos import anywhere

ROOT = Path(__file__).resolve().parents[2]


class Running:
    """A gateway in a thread of its own: where it is, and tokens for it."""

    def __init__(self) -> None:
        self.settings = anywhere(with_secrets(loaded("http://127.0.0.1:1")).settings)
        self.url = ""
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),))

    async def _serve(self) -> None:
        async with Gateway(self.settings) as gateway:
            server = Server(gateway)
            await server.start()
            host, port = server.public.addresses[0]
            self.url = f"ws://{host}:{port}"
            self._ready.set()
            await self._stop.wait()
            await server.stop()

    def start(self) -> None:
        """Serve."""
        self._thread.start()
        assert self._ready.wait(60)

    def stop(self) -> None:
        """Serve no longer."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._loop.close()

    def token(self, user: str) -> str:
        """A token of a user."""
        return mint(self.settings, TokenClaims(sub=user, roles=("user",)))


@pytest.fixture(scope="module")
def gateway() -> Iterator[Running]:
    """A gateway for the tests of this file."""
    running = Running()
    running.start()
    yield running
    running.stop()


def threads() -> list[str]:
    """The threads that run now, those of the gateway aside."""
    return [each.name for each in threading.enumerate() if "portward-client" in each.name]


def test_two_users_talk(gateway: Running) -> None:
    """Rooms are joined, sent to, read and left by a thread without a loop."""
    tokens: list[str] = []

    def get_token(reason: str) -> str:
        time.sleep(0)  # a plain function may block
        tokens.append(reason)
        return gateway.token("ann")

    with (
        Portward(gateway.url, get_token=get_token) as ann,
        Portward(gateway.url, get_token=gateway.token("bob")) as bob,
    ):
        room, other = ann.room("hall"), bob.room("hall")
        room.join(timeout=30)
        other.join()
        assert other.send("one", timeout=30).status == "stored"
        other.send("two")
        other.typing()
        read = []
        for message in room:
            read.append(message.content)
            if len(read) == 2:
                break
        assert read == ["one", "two"]
        assert [each.content for each in room.history(1).messages] == ["two"]
        assert {each.user for each in room.participants()} == {"ann", "bob"}
        assert set(other.users) == {"ann", "bob"}
        assert (room.id, repr(room)) == ("hall", "Room('hall', in)")
        with pytest.raises(TimeoutError):
            room.next(timeout=0.05)
        with pytest.raises(RequestRefused):
            room.kick("bob")
        with pytest.raises(RequestRefused):
            room.set_permissions({"read": ["user"]})
        room.leave()
        assert list(room) == []
        assert len(threads()) == 2
    assert tokens == ["connect"]
    assert threads() == []


def test_callbacks_and_state(gateway: Running) -> None:
    """Callbacks run in the background; get_state may be a plain function."""
    positions: list[Position] = []
    heard: list[Message] = []
    states: list[Any] = []
    arrived = threading.Event()

    def heard_one(message: Message) -> None:
        heard.append(message)
        arrived.set()

    with Portward(gateway.url, get_token=lambda: gateway.token("ann")) as client:
        client.on("state", states.append)
        room = client.room("attic", get_state=positions.append)
        off = room.on("message", heard_one)
        room.join()
        room.send("x")
        assert arrived.wait(30)
        off()
        assert [each.content for each in heard] == ["x"]
        assert len(positions) == 1
    assert [change.state for _, change in states] == ["connecting", "ready", "closed"]


def test_after_close(gateway: Running) -> None:
    """A closed client says so, and closing it again is nothing."""
    client = Portward(gateway.url, get_token=gateway.token("ann"))
    room = client.room("hall")
    assert "secret" not in repr(client)
    client.close()
    client.close()
    for use in (room.join, room.next, client.close, lambda: client.room("x"), client.alerts):
        if use == client.close:
            continue
        with pytest.raises(ClosedError):
            use()


async def test_inside_a_running_loop(gateway: Running) -> None:
    """Where an event loop runs, waiting would stop it: an error says what to use."""
    client = Portward(gateway.url, get_token=gateway.token("ann"))
    try:
        with pytest.raises(RuntimeError, match=r"use portward\.client there"):
            client.room("hall").join()
    finally:
        await asyncio.to_thread(client.close)


def test_other_endpoints(gateway: Running) -> None:
    """Alerts, live and the relay have the same methods, blocking."""
    with Portward(gateway.url, get_token=lambda: gateway.token("ann")) as client:
        alerts = client.alerts()
        assert alerts.subscribe(["call-x"], timeout=30) == ("call-x",)
        assert alerts.history("call-x", 5) == ()
        assert alerts.unsubscribe() == ()
        topic = client.live(cookie=lambda: "a=b").topic("event:1")
        topic.subscribe()
        assert topic.snapshot == ()
        topic.close()
        relay = client.relay(model="none")
        with pytest.raises(ConnectionLost):
            relay.send({"type": "x"})
        with pytest.raises((TimeoutError, ClientError)):
            relay.connect(timeout=0.2)


SCRIPT = """
import sys
from portward.client.sync import Portward

with Portward(sys.argv[1], get_token="t") as client:
    print("waiting", flush=True)
    client.room("hall").join()
"""


def test_control_c() -> None:
    """Ctrl-C ends a wait at once, and the program with it."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # nothing listens: joining waits for ever
        url = f"ws://127.0.0.1:{held.getsockname()[1]}"
        process = subprocess.Popen(
            [sys.executable, "-c", SCRIPT, url],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        assert process.stdout.readline() == "waiting\n"
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=50)
    assert process.returncode in (-signal.SIGINT, 130, 1)
    assert errors.rstrip().endswith("KeyboardInterrupt")
