"""Workspaces at the terminal: Socket.IO over a WebSocket, one event per line.

A received event is shown as `event data`, the acknowledgement of a typed one as `ack event data`. An event is
typed in the same form, `join_room {"room": "…"}`, or as the array that is sent,
`["join_room", {"room": "…"}]`.
"""

import asyncio
import json
from collections.abc import Sequence
from itertools import count
from typing import Any, Final
from urllib.parse import urlsplit

from portward.cli.connect.loop import TerminalProtocol
from portward.cli.connect.options import ConnectOptions
from portward.cli.connect.screen import Screen
from portward.cli.terminal import CommandRefused
from portward.client.transport import ClientTransport, Payload, TransportClosed
from portward.protocols.socketio import packets
from portward.protocols.socketio.attachments import unpack
from portward.protocols.socketio.packets import PacketError, SocketIoPacket, SocketIoPacketKind
from portward.wire import engineio
from portward.wire.engineio import EngineIoPacket, EngineIoPacketKind
from portward.wire.errors import WireFault

_CONNECT: Final = f"4{int(SocketIoPacketKind.CONNECT)}"
_DISCONNECT: Final = f"4{int(SocketIoPacketKind.DISCONNECT)}"
_EVENT: Final = f"4{int(SocketIoPacketKind.EVENT)}"
_ACK: Final = f"4{int(SocketIoPacketKind.ACK)}"
_REFUSED: Final = str(int(SocketIoPacketKind.CONNECT_ERROR)).encode()
_ACKS: Final = frozenset({SocketIoPacketKind.ACK, SocketIoPacketKind.BINARY_ACK})


def websocket_address(url: str) -> str:
    """Return the address for a WebSocket without a preceding poll."""
    parts = urlsplit(url)
    query = "&".join(filter(None, (parts.query, "EIO=4&transport=websocket")))
    return parts._replace(query=query).geturl()


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


class TerminalSocketIo(TerminalProtocol):
    """One connection without reconnects."""

    def __init__(
        self, transport: ClientTransport, screen: Screen, token: str | None, rooms: Sequence[str]
    ) -> None:
        super().__init__(screen)
        self._transport = transport
        self._token = token
        self._rooms = rooms
        self._ids = count()
        self._unanswered: dict[int, str] = {}
        self._connected = asyncio.Event()
        self._incomplete: SocketIoPacket | None = None
        self._parts: list[bytes] = []

    # -- receiving

    async def receive(self) -> Payload:
        """Wait for a message."""
        return await self._transport.receive()

    async def show(self, message: Payload) -> None:
        """Show an event; answer the packets of the protocol.

        Raises:
            TransportClosed: the gateway ends the connection.
            CommandRefused: it rejects the connection, or uses another protocol.
        """
        try:
            if isinstance(message, str):
                await self._packet(engineio.read(message.encode()))
            else:
                await self._packet(EngineIoPacket(EngineIoPacketKind.MESSAGE, message, binary=True))
        except (WireFault, ValueError) as error:
            raise CommandRefused(f"what came is no Socket.IO: {error}") from None

    async def _packet(self, packet: EngineIoPacket) -> None:
        if packet.binary:
            await self._attachment(packet.payload)
        elif packet.kind is EngineIoPacketKind.MESSAGE:
            await self._message(packet.payload)
        elif packet.kind is EngineIoPacketKind.OPEN:
            auth = json.dumps({"token": self._token}) if self._token else ""
            await self._transport.send(_CONNECT + auth)
        elif packet.kind is EngineIoPacketKind.PING:
            await self._transport.send("3" + packet.payload.decode())
        elif packet.kind is EngineIoPacketKind.CLOSE:
            raise TransportClosed(None, "closed by the gateway")

    async def _message(self, text: bytes) -> None:
        if text.startswith(_REFUSED):
            raise _refusal(text)
        packet = packets.parse(text)
        if packet.fault is not None:
            raise PacketError("the payload cannot be read")
        if packet.attachments:
            self._incomplete, self._parts = packet, []
        else:
            await self._complete(packet, packet.data)

    async def _attachment(self, part: bytes) -> None:
        packet = self._incomplete
        if packet is None:
            raise PacketError("an attachment without a packet")
        self._parts.append(part)
        if len(self._parts) == packet.attachments:
            self._incomplete = None
            await self._complete(packet, unpack(packet.data, self._parts))

    async def _complete(self, packet: SocketIoPacket, data: Any) -> None:
        if packet.kind is SocketIoPacketKind.CONNECT:
            self.screen.note("connected")
            for room in self._rooms:
                await self._emit(["join_room", {"room": room}])
            self._connected.set()
        elif packet.kind is SocketIoPacketKind.DISCONNECT:
            raise TransportClosed(None, "disconnected by the gateway")
        elif packet.kind in _ACKS:
            self._acknowledged(packet.id, data)
        else:
            self.failed |= packet.name == "error"
            self._print(packet.name, data)
            if packet.id is not None:
                await self._transport.send(f"{_ACK}{packet.id}[]")

    def _acknowledged(self, number: int | None, data: list[Any]) -> None:
        name = self._unanswered.pop(number, None) if number is not None else None
        if name is not None:
            self.failed |= bool(data) and isinstance(data[0], dict) and "error" in data[0]
            self._print(f"ack {name}", data)

    def _print(self, name: str, data: list[Any]) -> None:
        values = (json.dumps(each, ensure_ascii=False, default=_as_text) for each in data)
        self.screen.payload(" ".join((name, *values)))

    # -- sending

    async def begin(self) -> None:
        """Wait until the gateway has accepted the connection."""
        await self._connected.wait()

    async def send(self, line: str) -> bool:
        """Emit the typed event."""
        if line.strip():
            try:
                event = typed(line)
            except ValueError as error:
                self.refuse(str(error))
            else:
                await self._emit(event)
        return True

    async def _emit(self, event: list[Any]) -> None:
        number = next(self._ids)
        self._unanswered[number] = event[0]
        await self._transport.send(f"{_EVENT}{number}{json.dumps(event)}")

    @property
    def waiting(self) -> bool:
        """Whether an acknowledgement is still to come."""
        return bool(self._unanswered)

    async def leave(self) -> None:
        """Disconnect from the Socket.IO namespace."""
        await self._transport.send(_DISCONNECT)

    async def close(self) -> None:
        """Close."""
        await self._transport.close()


def _refusal(text: bytes) -> CommandRefused:
    error = json.loads(text[text.index(b"{") :])
    data = error.get("data")
    code = data.get("code") if isinstance(data, dict) else None
    return CommandRefused(f"not admitted: {error.get('message')}{f' ({code})' if code else ''}")


def _as_text(value: Any) -> str:
    """Return the text that is shown in place of bytes."""
    return f"<{len(value)} bytes>"


async def open_socketio(options: ConnectOptions, screen: Screen) -> TerminalSocketIo:
    """Open the WebSocket; the token is sent later, in the CONNECT packet."""
    token = await options.current_token()
    transport = await options.dial(websocket_address(options.url), {})
    return TerminalSocketIo(transport, screen, token, options.subscribe)
