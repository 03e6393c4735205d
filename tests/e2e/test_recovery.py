"""Coming back to many rooms, over a real process and real sockets, as a slow reader."""

import asyncio
import json
import time
from pathlib import Path
from typing import Any, Final

import jwt
import pytest
from websockets.asyncio.client import ClientConnection, connect

from tests.e2e.gateways import PROCESS, TOKENS, UNLIMITED, process
from tests.e2e.process import SECRET, Served

MEMORY: Final = {"PORTWARD_ENGINE__URL": "memory://"}
MESSAGE: Final = "m" * 1024
SETTINGS: Final = (
    PROCESS
    + TOKENS
    + UNLIMITED.replace('[limits.join]\nrate = "none"\n', '[limits.join]\nrate = "128/min"\n')
)
"""As many joins as a connection has rooms: coming back must be free to be possible at once."""


class Reader:
    """A client that takes so many bytes a second, and notes what it is brought of each room."""

    def __init__(self, socket: ClientConnection, rate: float) -> None:
        self.socket = socket
        self.rate = rate
        self.places: dict[str, dict[str, Any]] = {}
        self.brought: dict[str, list[int]] = {}
        self.recovered: dict[str, bool | None] = {}
        self.ends: list[dict[str, Any]] = []
        self._began = time.monotonic()
        self._taken = 0

    async def hear(self) -> dict[str, Any]:
        """The next message, not before its time."""
        text = await self.socket.recv()
        self._taken += len(text)
        early = self._began + self._taken / self.rate - time.monotonic()
        if early > 0:
            await asyncio.sleep(early)
        message: dict[str, Any] = json.loads(text)
        self._note(message["type"], message["data"])
        return message

    def _note(self, kind: str, data: dict[str, Any]) -> None:
        room = data.get("roomId", "")
        if kind == "room_joined":
            self.places[room] = data["position"]
            self.recovered[room] = data.get("recovered")
            brought = [each["offset"] for each in data.get("messages", ())]
            self.brought.setdefault(room, []).extend(brought)
        elif kind == "message":
            self.brought.setdefault(room, []).append(data["offset"])
            self.places[room]["offset"] = data["offset"]
        elif kind == "joined":
            self.ends.append(data)

    async def until(self, kind: str) -> dict[str, Any]:
        """The next message of a type."""
        while (message := await self.hear())["type"] != kind:
            pass
        return message

    async def say(self, kind: str, **data: Any) -> None:
        """Send one envelope."""
        envelope = {"type": kind, "id": kind, "data": data, "timestamp": 0}
        await self.socket.send(json.dumps(envelope))


def dial(served: Served) -> connect:
    """A connection that holds back what is not read."""
    return connect(f"{served.url}/rooms", compression=None, max_size=None, max_queue=1)


async def enter(socket: ClientConnection, rate: float = 1e9) -> Reader:
    """An authenticated client."""
    reader = Reader(socket, rate)
    claims = {"sub": "ann", "roles": ["user"], "exp": time.time() + 3600}
    await reader.say("auth", token=jwt.encode(claims, SECRET))
    await reader.until("auth_success")
    return reader


async def come_back(folder: Path, rooms: int, messages: int, rate: float) -> None:
    """Everything that was missed is brought to a reader of `rate` bytes a second, and nothing ends it."""
    names = [f"room-{number}" for number in range(rooms)]
    async with process(folder, SETTINGS, MEMORY) as served:
        for name in names:
            await served.call("rooms_set", id=name)
        async with dial(served) as socket:
            ann = await enter(socket)
            await ann.say("join", rooms=[{"roomId": name} for name in names])
            await ann.until("joined")
            assert ann.ends == [{"rooms": names, "failed": []}]
            socket.transport.abort()
        for number in range(messages):
            channels = [f"rooms:{name}" for name in names]
            await served.call("broadcast", channels=channels, data=f"{number} {MESSAGE}")
        async with dial(served) as socket:
            back = await enter(socket, rate)
            wanted = [{"roomId": name, "since": ann.places[name]} for name in names]
            await back.say("join", rooms=wanted)
            await back.until("joined")
            await back.say("heartbeat")
            await back.until("heartbeat_response")
    assert back.ends == [{"rooms": names, "failed": []}]
    for name in names:
        assert back.recovered[name] is True
        assert back.brought[name] == list(range(1, messages + 1))


@pytest.mark.long
async def test_twelve_rooms_of_a_slow_reader(tmp_path: Path) -> None:
    """Some megabytes are brought back to a client that reads one in a second."""
    await come_back(tmp_path, 12, 100, 1_000_000)


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_128_rooms_of_300_messages(tmp_path: Path) -> None:
    """A full connection with as much missed as can be recovered, to a client of a megabyte a second."""
    await come_back(tmp_path, 128, 300, 1_000_000)
