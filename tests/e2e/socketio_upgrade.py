"""One client by hand that is somewhere on its way from polling to WebSocket, and what it hears of its end."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.e2e.socketio_client import PATIENCE
from tests.e2e.socketio_raw import SEPARATOR, Polling, polling

MOMENTS: Final = ("polling", "connected", "probed", "upgraded")
"""Before there is a WebSocket; before its probe; after the probe was answered; after the last step."""


@dataclass
class Heard:
    """What a client heard: Socket.IO packets in order, and the close code where a WebSocket carried them.

    `probe_code` is the close code of a WebSocket that never carried anything.
    """

    packets: list[str] = field(default_factory=list)
    code: int | None = None
    probe_code: int | None = None

    def errors(self, nsp: str = "") -> list[str]:
        """The codes of the event `error`."""
        head = f'2{nsp}["error",'
        return [
            json.loads(each[len(head) - 9 :])[1]["code"]
            for each in self.packets
            if each.startswith(head)
        ]


class Mover:
    """A session that began by polling. It asks as real clients do: one poll and one post at a time."""

    def __init__(self, peer: Polling) -> None:
        self.peer = peer
        self.moment = MOMENTS[0]
        self.socket: ClientConnection | None = None
        self.packets: list[str] = []

    async def move(self, moment: str) -> None:
        """Go on to a moment of the upgrade."""
        steps = MOMENTS[1 : MOMENTS.index(moment) + 1]
        for step in steps:
            if step == "connected":
                url = self.peer.url("websocket", self.peer.sid)
                self.socket = await connect(url, open_timeout=PATIENCE, max_size=None)
            elif step == "probed":
                await self.send("2probe")
                assert await self.receive() == "3probe"
            else:
                await self.send("5")
                while (await self.peer.get()).status_code != 400:
                    pass  # it has not been taken yet
            self.moment = step

    async def send(self, packet: str) -> None:
        """Send a packet over the WebSocket."""
        assert self.socket is not None
        await self.socket.send(packet)

    async def receive(self) -> str | bytes:
        """The next packet of the WebSocket."""
        assert self.socket is not None
        async with asyncio.timeout(PATIENCE):
            return await self.socket.recv()

    async def say(self, text: str) -> None:
        """Send a message over whatever carries the session."""
        if self.moment == "upgraded":
            await self.send(f"4{text}")
        else:
            assert (await self.peer.post(f"4{text}")).text == "ok"

    async def enter(self, auth: dict[str, Any] | None) -> None:
        """Send a CONNECT."""
        await self.say("0" if auth is None else f"0{json.dumps(auth)}")

    async def end(self) -> Heard:
        """Do as a client does until the session is over, in the time a client is promised."""
        async with asyncio.timeout(PATIENCE):
            if self.moment == "probed":
                await self.send("5")
            if self.moment in {"probed", "upgraded"}:
                code = await self.drain()
                heard = Heard(self.packets, code)
            else:
                await self._poll()
                heard = Heard(self.packets)
                if self.socket is not None:
                    heard.probe_code = await self.drain()
            response = await self.peer.get()
            assert response.status_code == 400, response.text
        return heard

    async def drain(self) -> int | None:
        """Read the WebSocket until it is closed; its code."""
        assert self.socket is not None
        try:
            while True:
                self.note(await self.socket.recv())
        except ConnectionClosed:
            return self.socket.close_code

    async def _poll(self) -> None:
        """Poll until there is a close packet."""
        while True:
            response = await self.peer.get()
            assert response.status_code == 200, response.text
            texts = response.text.split(SEPARATOR)
            for text in texts:
                self.note(text)
            if "1" in texts:
                return

    def note(self, packet: str | bytes) -> None:
        """Keep the Socket.IO packet that a packet brings."""
        if isinstance(packet, str) and packet.startswith("4"):
            self.packets.append(packet[1:])


@asynccontextmanager
async def mover(base: str, path: str = "/socket.io/") -> AsyncIterator[Mover]:
    """A session by polling of a gateway at `ws://…`."""
    async with polling(base.removeprefix("ws://"), path) as peer:
        found = Mover(peer)
        try:
            yield found
        finally:
            if found.socket is not None:
                await found.socket.close()
