"""A terminal client for workspaces: Socket.IO over a WebSocket, one event per line.

A received event is shown as `event data`, the acknowledgement of a typed one as `ack event data`. An event is
typed in the same form, `join_room {"room": "…"}`, or as the array that is sent,
`["join_room", {"room": "…"}]`.
"""

import asyncio
import json
from base64 import b64decode, b64encode
from collections.abc import Sequence
from itertools import count
from typing import Any, Final
from urllib.parse import urlsplit

from portward.cli.connect.keyboard import Keyboard
from portward.cli.connect.screen import Screen
from portward.cli.errors import CommandRefused
from portward.client.link import Link, LinkClosed
from portward.protocols.socketio import packets
from portward.protocols.socketio.attachments import unpack
from portward.protocols.socketio.packets import PacketError, SocketIoPacket, SocketIoPacketKind
from portward.wire import engineio
from portward.wire.errors import WireFault

DIALECT: Final = "socketio"
_BINARY: Final = "b"
_LAST_WORDS: Final = 5.0
_REFUSED: Final = str(int(SocketIoPacketKind.CONNECT_ERROR))
_ENTER: Final = f"4{int(SocketIoPacketKind.CONNECT)}"
_LEAVE: Final = f"4{int(SocketIoPacketKind.DISCONNECT)}"
_ACKS: Final = frozenset({SocketIoPacketKind.ACK, SocketIoPacketKind.BINARY_ACK})


def address(url: str) -> str:
    """Return the address for a WebSocket without a preceding poll."""
    parts = urlsplit(url)
    query = "&".join(filter(None, (parts.query, "EIO=4&transport=websocket")))
    return parts._replace(query=query).geturl()


def textual(message: bytes) -> str:
    """Encode bytes as Engine.IO does in a text-only transport."""
    return _BINARY + b64encode(message).decode()


def typed(line: str) -> list[Any]:
    """Parse a typed line into an event with its arguments.

    Raises:
        ValueError: the line is no event; the text is the reason.
    """
    line = line.strip()
    try:
        if line.startswith("["):
            event = json.loads(line)
        else:
            name, _, rest = line.partition(" ")
            event = [name, json.loads(rest)] if rest.strip() else [name]
    except ValueError:
        raise ValueError('type an event and JSON, as in: join_room {"room": "…"}') from None
    if not event or not isinstance(event[0], str) or not event[0]:
        raise ValueError("an event begins with its name")
    return list(event)


class SocketTalk:
    """One connection without reconnects. `failed` is whether something was refused."""

    def __init__(self, link: Link, screen: Screen, token: str | None, rooms: Sequence[str]) -> None:
        self.failed = False
        self._link = link
        self._screen = screen
        self._token = token
        self._rooms = rooms
        self._ids = count()
        self._asked: dict[int, str] = {}
        self._entered = asyncio.Event()
        self._settled = asyncio.Event()
        self._settled.set()
        self._awaited: SocketIoPacket | None = None
        self._parts: list[bytes] = []

    # -- receiving

    async def listen(self) -> None:
        """Show events until the connection is closed.

        Raises:
            CommandRefused: the gateway closed, rejected the connection, or uses another protocol.
        """
        try:
            while True:
                await self._hear(await self._link.receive())
        except LinkClosed as closed:
            code = f" ({closed.code})" if closed.code is not None else ""
            raise CommandRefused(
                f"the connection is over: {closed.reason or 'closed'}{code}"
            ) from None
        except (PacketError, WireFault, ValueError) as error:
            raise CommandRefused(f"what came is no Socket.IO: {error}") from None
        finally:
            await self._link.close()  # a server may send only the close packet

    async def _hear(self, text: str) -> None:
        if text.startswith(_BINARY):
            await self._attached(b64decode(text[1:]))
            return
        packet = engineio.read(text.encode())
        match packet.kind:
            case engineio.EngineIoPacketKind.OPEN:
                auth = json.dumps({"token": self._token}) if self._token else ""
                await self._link.send(_ENTER + auth)
            case engineio.EngineIoPacketKind.PING:
                await self._link.send("3" + packet.payload.decode())
            case engineio.EngineIoPacketKind.CLOSE:
                raise LinkClosed(None, "closed by the gateway")
            case engineio.EngineIoPacketKind.MESSAGE:
                await self._message(packet.payload)
            case _:
                pass

    async def _message(self, text: bytes) -> None:
        if text.startswith(_REFUSED.encode()):
            self._turned_away(text[1:])
        packet = packets.parse(text)
        if packet.fault is not None:
            raise PacketError("the payload cannot be read")
        if packet.attachments:
            self._awaited, self._parts = packet, []
        else:
            await self._whole(packet, packet.data)

    @staticmethod
    def _turned_away(text: bytes) -> None:
        said = json.loads(text[text.index(b"{") :])
        code = said.get("data", {}).get("code") if isinstance(said.get("data"), dict) else None
        raise CommandRefused(f"not let in: {said.get('message')}{f' ({code})' if code else ''}")

    async def _attached(self, part: bytes) -> None:
        packet = self._awaited
        if packet is None:
            raise PacketError("an attachment of nothing")
        self._parts.append(part)
        if len(self._parts) == packet.attachments:
            self._awaited = None
            await self._whole(packet, unpack(packet.data, self._parts))

    async def _whole(self, packet: SocketIoPacket, data: Any) -> None:
        if packet.kind is SocketIoPacketKind.CONNECT:
            await self._begin()
        elif packet.kind is SocketIoPacketKind.DISCONNECT:
            raise LinkClosed(None, "sent out by the gateway")
        elif packet.kind in _ACKS:
            self._answered(packet.id, data)
        else:
            self.failed |= packet.name == "error"
            self._show(packet.name, data)
            if packet.id is not None:
                await self._link.send(f"4{int(SocketIoPacketKind.ACK)}{packet.id}[]")

    async def _begin(self) -> None:
        self._screen.note("connected")
        for room in self._rooms:
            await self._emit(["join_room", {"room": room}])
        self._entered.set()

    def _answered(self, number: int | None, data: list[Any]) -> None:
        name = self._asked.pop(number, None) if number is not None else None
        if name is None:
            return
        refused = bool(data) and isinstance(data[0], dict) and "error" in data[0]
        self.failed |= refused
        self._show(f"ack {name}", data)
        if not self._asked:
            self._settled.set()

    def _show(self, name: str, data: list[Any]) -> None:
        said = (json.dumps(each, ensure_ascii=False, default=_bytes) for each in data)
        self._screen.plain(" ".join((name, *said)))

    # -- sending

    async def type(self, keyboard: Keyboard) -> None:
        """Emit the typed events, once the client is connected."""
        await self._entered.wait()
        try:
            while (line := await keyboard.line()) is not None:
                if line.strip():
                    await self._send(line)
        except LinkClosed:
            return  # `listen` reports how the connection ended

    async def _send(self, line: str) -> None:
        try:
            event = typed(line)
        except ValueError as error:
            self.failed = True
            self._screen.bad(str(error))
            return
        await self._emit(event)

    async def _emit(self, event: list[Any]) -> None:
        number = next(self._ids)
        self._asked[number] = event[0]
        self._settled.clear()
        await self._link.send(f"4{int(SocketIoPacketKind.EVENT)}{number}{json.dumps(event)}")

    async def leave(self) -> None:
        """Wait for the last answers, and close."""
        try:
            async with asyncio.timeout(_LAST_WORDS):
                await self._settled.wait()
            await self._link.send(_LEAVE)
        except (TimeoutError, LinkClosed):
            pass  # the connection is closed in any case
        await self._link.close()


def _bytes(value: Any) -> str:
    """Return the text that is shown in place of bytes."""
    return f"<{len(value)} bytes>"
