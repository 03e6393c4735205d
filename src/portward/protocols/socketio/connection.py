"""The protocol object of a Socket.IO session: multipart packets, namespaces, and the sockets in them."""

from collections.abc import Iterable
from typing import Any, Final, Protocol

from msgspec.structs import replace

import portward.protocols.socketio.codes as codes
import portward.protocols.socketio.packets as packets
from portward.model.commands import Command
from portward.model.disconnects import Disconnect
from portward.model.errors import RATE_FAULTS, CommandError
from portward.model.lifecycle import State
from portward.model.payload import MultipartPayload, Payload
from portward.model.replies import Expiring, Parting, Push, Reply, SharedChanged, ShuttingDown
from portward.node.sessions import ClientProtocol, Session
from portward.protocols.socketio.attachments import unpack
from portward.protocols.socketio.commands import CloseSocket, ConnectId
from portward.protocols.socketio.packets import (
    ROOT,
    PacketError,
    SocketIoPacket,
    SocketIoPacketKind,
)
from portward.protocols.socketio.protocol import SocketIoProtocol
from portward.protocols.socketio.server import Socket, SocketRooms

_ACKS: Final = frozenset({SocketIoPacketKind.ACK, SocketIoPacketKind.BINARY_ACK})
_SILENT: Final = frozenset({Disconnect.NORMAL, Disconnect.SHUTDOWN})
"""Disconnects without a separate error message to the client."""


class ConnectionHost(SocketRooms, Protocol):
    """What a connection needs of the Socket.IO namespaces of the node."""

    def left(self, session: Session, socket: Socket, reason: str) -> None:
        """A socket has left its namespace, the session goes on."""

    def ended(self, session: Session, sockets: Iterable[Socket], ending: Disconnect) -> None:
        """The session has ended with these sockets."""

    def rate_limited(self, session: Session) -> None:
        """A command was refused by a limit."""


class SocketIoConnection(ClientProtocol):
    """The protocol of one session. `protocol` encodes, and decodes whole packets.

    `opening` is the namespace of a CONNECT in progress, `code` the error code if it fails. `reopening` is a
    namespace of the client for which a second CONNECT is in progress.
    """

    __slots__ = (
        "_awaited", "_host", "_last", "_parts", "_protocol", "_removed", "_session", "code",
        "incomplete_since", "opening", "reopening", "sockets",
    )  # fmt: skip

    binary = True
    own_authentication = True
    stateful = True

    def __init__(self, session: Session, protocol: SocketIoProtocol, host: ConnectionHost) -> None:
        self._session = session
        self._protocol = protocol
        self._host = host
        self._awaited: SocketIoPacket | None = None
        self._parts: list[bytes] = []
        self._removed: set[str] = set()
        self._last: tuple[str, ...] = ()
        self.incomplete_since = 0.0
        self.sockets: dict[str, Socket] = {}
        self.opening: str | None = None
        self.reopening: str | None = None
        self.code: str | None = None

    # -- incoming packets

    def receive(self, payload: bytes, binary: bool, now: float) -> SocketIoPacket | None:
        """Return the packet that this message completes; None for incomplete ones and acknowledgements.

        Acknowledgements are handled at once: a handler may wait for one, and the inbox waits for the handler.

        Raises:
            PacketError: the client violates the protocol.
        """
        packet = self._attached(payload) if binary else self._begun(payload, now)
        if packet is not None and packet.kind in _ACKS:
            self._acknowledged(packet)
            return None
        return packet

    def _begun(self, payload: bytes, now: float) -> SocketIoPacket | None:
        if self._awaited is not None:
            raise PacketError("text in place of an attachment")
        packet = packets.parse(payload)
        if not packet.attachments:
            return packet
        self._awaited, self._parts, self.incomplete_since = packet, [], now
        return None

    def _attached(self, payload: bytes) -> SocketIoPacket | None:
        packet = self._awaited
        if packet is None:
            raise PacketError("an attachment of nothing")
        self._parts.append(payload)
        size = packet.size + len(payload)
        if size > self._limit():
            raise PacketError("a packet over the size limit")
        self._awaited = replace(packet, size=size)
        if len(self._parts) < packet.attachments:
            return None
        parts, self._parts = self._parts, []
        self._awaited, self.incomplete_since = None, 0.0
        try:
            data = unpack(packet.data, parts) if packet.fault is None else None
        except ValueError as error:
            raise PacketError(str(error)) from None
        return replace(packet, data=data, size=size)

    def _limit(self) -> int:
        """Return the size limit of a packet with its attachments; smaller before authentication."""
        if self._session.state is State.NEW:
            return self._session.endpoint.rules.max_early
        return self._session.endpoint.rules.max_message

    def _acknowledged(self, packet: SocketIoPacket) -> None:
        socket = self.sockets.get(packet.nsp)
        if socket is None and packet.nsp in self._removed:
            return  # sent before the client knew of its removal
        if socket is None:
            raise PacketError("an acknowledgement in a namespace one is not in")
        if packet.id is not None:
            socket.acknowledged(packet.id, tuple(packet.data))

    def decode(self, payload: SocketIoPacket, binary: bool) -> Command:
        """Return the command of the packet that is handled now.

        Packets sent before the client knew of its removal from the namespace have no effect.

        Raises:
            CommandError: its payload is invalid.
            PacketError: the client is not in the namespace of the packet.
        """
        if payload.kind is not SocketIoPacketKind.CONNECT:
            if payload.nsp in self._removed:
                return CloseSocket(nsp=payload.nsp)
            if payload.nsp not in self.sockets:
                raise PacketError("not in this namespace")
        return self._protocol.decode(payload, binary)

    # -- sockets by namespace

    def enter(self, nsp: str) -> Socket:
        """Add the client to a namespace."""
        self.opening = None
        self._removed.discard(nsp)
        socket = self.sockets[nsp] = Socket(self._session, nsp, self._host)
        return socket

    def leave(self, nsp: str) -> Socket | None:
        """Remove the client from a namespace. Returns its socket, None when it was not in it."""
        socket = self.sockets.pop(nsp, None)
        if socket is not None:
            socket.gone()
        return socket

    def remove(self, nsp: str) -> None:
        """Remove the client from a namespace and inform it; its later packets there have no effect."""
        socket = self.leave(nsp)
        if socket is not None:
            self._removed.add(nsp)
            self._session.send_raw(packets.disconnected(nsp))
            self._host.left(self._session, socket, "server")

    def peer_closed(self) -> None:
        """End all waits for acknowledgements: the peer has closed, and received ones were handled at once."""
        for socket in self.sockets.values():
            socket.unanswered()

    def closed(self, ending: Disconnect) -> None:
        """Close all sockets at the end of the connection; the last push still goes to each."""
        self._last = tuple(self.sockets)
        gone = list(self.sockets.values())
        self.sockets.clear()
        for socket in gone:
            socket.gone()
        self._host.ended(self._session, gone, ending)

    # -- outgoing packets

    def reply(self, command: Command, reply: Reply, now: int) -> Payload | None:
        """Encode the reply to a command."""
        return self._protocol.reply(command, reply, now)

    def reply_error(self, fault: CommandError, now: int) -> Payload | None:
        """Encode a command error; a client in no namespace can get only that of a CONNECT."""
        if not self.sockets and not isinstance(fault.command_id, ConnectId):
            return None
        if fault.kind in RATE_FAULTS:
            self._host.rate_limited(self._session)
        return self._protocol.reply_error(fault, now)

    def push(self, push: Push, now: int) -> Payload | None:
        """Encode a push; what concerns the connection is sent in each of its namespaces."""
        if isinstance(push, Parting):
            return _chain(self._last_packets(push.ending, push.retry))
        if isinstance(push, Expiring | ShuttingDown):
            events = (self._protocol.connection_event(nsp, push) for nsp in self.sockets)
            return _chain(each for each in events if each is not None)
        if isinstance(push, SharedChanged) and ROOT not in self.sockets:
            return None
        return self._protocol.push(push, now)

    def _last_packets(self, ending: Disconnect, retry: int | None) -> Iterable[Payload]:
        """Yield the reason of a disconnect, and a DISCONNECT unless the client may reconnect."""
        if self.opening is not None and ending not in _SILENT:
            code = self.code or codes.admission_code(ending)
            if self._protocol.connect_errors:
                yield packets.connect_error(self.opening, codes.ERROR_TEXTS.get(code, code), code)
            else:
                accepted = Socket(self._session, self.opening, self._host)
                yield packets.connected(self.opening, accepted.sid)
                yield from _disconnect(self.opening, ending, code, retry)
        code = self.code or codes.ending_code(ending)
        for nsp in self._last:
            if nsp == self.reopening and ending not in _SILENT:
                yield packets.connect_error(nsp, codes.ERROR_TEXTS.get(code, code), code)
            else:
                yield from _disconnect(nsp, ending, code, retry)


def _disconnect(nsp: str, ending: Disconnect, code: str, retry: int | None) -> Iterable[Payload]:
    if ending not in _SILENT:
        yield packets.event(nsp, "error", (codes.ending_error(code, retry),))
    if not ending.reconnect:
        yield packets.disconnected(nsp)


def _chain(payloads: Iterable[Payload]) -> Payload | None:
    """Join several payloads into one, in order."""
    rest: Payload | None = None
    for each in reversed(list(payloads)):
        if rest is None:
            rest = each
        elif isinstance(each, MultipartPayload):
            rest = MultipartPayload(each.text, each.attachments, rest)
        else:
            rest = MultipartPayload(each, (), rest)
    return rest


def connection_of(session: Session) -> SocketIoConnection:
    """Return the protocol object of a Socket.IO session.

    Raises:
        TypeError: its clients use another protocol.
    """
    protocol: Any = session.protocol
    if not isinstance(protocol, SocketIoConnection):
        raise TypeError("no Socket.IO session")
    return protocol
