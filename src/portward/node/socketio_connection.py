"""The Socket.IO state of one connection: multipart packets, namespaces, and the sockets in them."""

from collections.abc import Callable, Iterable
from typing import Final

from msgspec.structs import replace

from portward.model.commands import CloseSocket, Command
from portward.model.disconnects import Disconnect
from portward.model.errors import CommandError, ErrorKind
from portward.model.lifecycle import State
from portward.model.payload import MultipartPayload, Payload
from portward.model.replies import Expiring, Parting, Push, ShuttingDown
from portward.node.sessions import Session
from portward.node.socketio_server import Socket, SocketRooms
from portward.protocols.socketio import (
    PacketError,
    SocketIoPacket,
    SocketIoPacketKind,
    SocketIoProtocol,
    packets,
)
from portward.protocols.socketio import payloads as words
from portward.protocols.socketio.attachments import unpack

_ACKS: Final = frozenset({SocketIoPacketKind.ACK, SocketIoPacketKind.BINARY_ACK})
_UNSAID: Final = frozenset({Disconnect.NORMAL, Disconnect.SHUTDOWN})
"""Disconnects without a separate error message to the client."""


class SocketIoConnection:
    """Protocol state between a session and the Socket.IO protocol; implements `ProtocolState`.

    `began` is when the packet began that waits for attachments, 0.0 when there is none. `opening` is the
    namespace of a CONNECT in progress, `code` the error code if it fails. `reopening` is a namespace of the
    client for which a second CONNECT is in progress.
    """

    __slots__ = (
        "_awaited", "_dialect", "_dismissed", "_last", "_parts", "_rooms", "_session", "began", "closed",
        "code", "opening", "reopening", "sockets",
    )  # fmt: skip

    def __init__(self, session: Session, protocol: SocketIoProtocol, rooms: SocketRooms) -> None:
        self._session = session
        self._rooms = rooms
        self._dialect = protocol
        self._awaited: SocketIoPacket | None = None
        self._parts: list[bytes] = []
        self._dismissed: set[str] = set()
        self.began = 0.0
        self.sockets: dict[str, Socket] = {}
        self.opening: str | None = None
        self.reopening: str | None = None
        self.code: str | None = None
        self.closed: Callable[[Socket], None] | None = None
        self._last: tuple[str, ...] = ()

    # -- incoming packets

    def take(self, payload: bytes, binary: bool, now: float) -> SocketIoPacket | None:
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
        self._awaited, self._parts, self.began = packet, [], now
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
        self._awaited, self.began = None, 0.0
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
        if socket is None and packet.nsp in self._dismissed:
            return  # sent before the client knew of its removal
        if socket is None:
            raise PacketError("an acknowledgement in a namespace one is not in")
        if packet.id is not None:
            socket.acknowledged(packet.id, tuple(packet.data))

    def command(self, packet: SocketIoPacket) -> Command:
        """Return the command of the packet that is served now.

        Packets sent before the client knew of its removal from the namespace have no effect.

        Raises:
            CommandError: its payload is invalid.
            PacketError: the client is not in the namespace of the packet.
        """
        if packet.nsp in self._dismissed and packet.kind is not SocketIoPacketKind.CONNECT:
            return CloseSocket(nsp=packet.nsp)
        if packet.kind is not SocketIoPacketKind.CONNECT and packet.nsp not in self.sockets:
            raise PacketError("not in this namespace")
        return self._dialect.command(packet)

    # -- sockets by namespace

    def enter(self, nsp: str) -> Socket:
        """Add the client to a namespace."""
        self.opening = None
        self._dismissed.discard(nsp)
        socket = self.sockets[nsp] = Socket(self._session, nsp, self._rooms)
        return socket

    def leave(self, nsp: str) -> Socket | None:
        """Remove the client from a namespace. Returns its socket, None when it was not in it."""
        socket = self.sockets.pop(nsp, None)
        if socket is not None:
            socket.gone()
        return socket

    def peer_closed(self) -> None:
        """End all waits for acknowledgements: the peer has closed, and received ones were handled at once."""
        for socket in self.sockets.values():
            socket.unanswered()

    def over(self) -> list[Socket]:
        """Close and return all sockets at the end of the connection; `words` still sends them the reason."""
        self._last = tuple(self.sockets)
        gone = list(self.sockets.values())
        self.sockets.clear()
        for socket in gone:
            socket.gone()
        return gone

    def ended(self, ending: Disconnect) -> None:
        """Close all namespaces."""
        self._rooms.ended(self._session, ending)

    def dismiss(self, nsp: str) -> None:
        """Remove the client from a namespace; its later packets there have no effect."""
        socket = self.leave(nsp)
        if socket is None:
            return
        self._dismissed.add(nsp)
        self._session.send_raw(packets.disconnected(nsp))
        if self.closed is not None:
            self.closed(socket)

    def within(self, nsp: str) -> bool:
        """Return whether the client is in a namespace."""
        return nsp in self.sockets

    # -- outgoing packets

    def words(self, push: Push) -> Payload | None:
        """Encode a push; what concerns the connection is sent in each of its namespaces."""
        if isinstance(push, Parting):
            return _chain(self._farewell(push.ending, push.retry))
        if isinstance(push, Expiring | ShuttingDown):
            said = (self._dialect.tell(nsp, push) for nsp in self.sockets)
            return _chain(each for each in said if each is not None)
        return self._dialect.push(push, 0)

    def _farewell(self, ending: Disconnect, retry: int | None) -> Iterable[Payload]:
        """Yield the reason of a disconnect, and a DISCONNECT unless the client may reconnect."""
        if self.opening is not None and ending not in _UNSAID:
            code = self.code or words.door_code(ending)
            if self._dialect.tells_error:
                yield packets.connect_error(self.opening, words.REFUSALS.get(code, code), code)
            else:
                stranger = Socket(self._session, self.opening, self._rooms)
                yield packets.connected(self.opening, stranger.sid)
                yield from self._sent_out(self.opening, ending, code, retry)
        code = self.code or words.ending_code(ending)
        for nsp in self._last:
            if nsp == self.reopening and ending not in _UNSAID:
                yield packets.connect_error(nsp, words.REFUSALS.get(code, code), code)
            else:
                yield from self._sent_out(nsp, ending, code, retry)

    @staticmethod
    def _sent_out(nsp: str, ending: Disconnect, code: str, retry: int | None) -> Iterable[Payload]:
        if ending not in _UNSAID:
            yield packets.event(nsp, "error", (words.ending_error(code, retry),))
        if not ending.reconnect:
            yield packets.disconnected(nsp)


def _chain(said: Iterable[Payload]) -> Payload | None:
    """Join several payloads into one, in order."""
    rest: Payload | None = None
    for each in reversed(list(said)):
        if rest is None:
            rest = each
        elif isinstance(each, MultipartPayload):
            rest = MultipartPayload(each.text, each.attachments, rest)
        else:
            rest = MultipartPayload(each, (), rest)
    return rest


def conversation(session: Session) -> SocketIoConnection:
    """Return the Socket.IO state of a session.

    Raises:
        CommandError: `UNKNOWN_TYPE`, its clients use another protocol.
    """
    if not isinstance(session.conversation, SocketIoConnection):
        raise CommandError(ErrorKind.UNKNOWN_TYPE)
    return session.conversation
