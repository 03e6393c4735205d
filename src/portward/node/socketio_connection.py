"""The Socket.IO side of one connection: packets in several parts, namespaces, and who is in them."""

from collections.abc import Callable, Iterable
from typing import Final

from msgspec.structs import replace

from portward.dialects.socketio import (
    PacketError,
    SocketIoDialect,
    SocketIoPacket,
    SocketIoPacketKind,
    packets,
)
from portward.dialects.socketio import payloads as words
from portward.dialects.socketio.attachments import unpack
from portward.model.commands import CloseSocket, Command
from portward.model.disconnects import Disconnect
from portward.model.errors import CommandError, ErrorKind
from portward.model.lifecycle import State
from portward.model.payload import MultipartPayload, Words
from portward.model.replies import Expiring, Parting, Push, ShuttingDown
from portward.node.session import Session
from portward.node.socketio_server import Socket, SocketRooms

_ACKS: Final = frozenset({SocketIoPacketKind.ACK, SocketIoPacketKind.BINARY_ACK})
_UNSAID: Final = frozenset({Disconnect.NORMAL, Disconnect.SHUTDOWN})
"""Endings that are told otherwise, or not at all."""


class SocketIoConnection:
    """Stands between a session and its dialect.

    `began` is when the packet began whose attachments are still to come, 0.0 when none is open. `opening`
    is the namespace the client is about to be let into, `code` what it is told when it is not.
    `reopening` is a namespace the client is in, and sent a CONNECT for again.
    """

    __slots__ = (
        "_awaited", "_dialect", "_dismissed", "_last", "_parts", "_rooms", "_session", "began", "closed",
        "code", "opening", "reopening", "sockets",
    )  # fmt: skip

    def __init__(self, session: Session, dialect: SocketIoDialect, rooms: SocketRooms) -> None:
        self._session = session
        self._rooms = rooms
        self._dialect = dialect
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

    # -- what is heard

    def take(self, payload: bytes, binary: bool, now: float) -> SocketIoPacket | None:
        """The packet that this message completes; None while parts are missing, and for acknowledgements.

        Acknowledgements are taken at once: a handler may be waiting for one, and everything else for it.

        Raises:
            PacketError: the client does not speak the protocol.
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
        """How large a packet may be with its attachments; small before anybody proved anything."""
        if self._session.state is State.NEW:
            return self._session.endpoint.rules.max_early
        return self._session.endpoint.rules.max_message

    def _acknowledged(self, packet: SocketIoPacket) -> None:
        socket = self.sockets.get(packet.nsp)
        if socket is None and packet.nsp in self._dismissed:
            return  # it was on its way
        if socket is None:
            raise PacketError("an acknowledgement in a namespace one is not in")
        if packet.id is not None:
            socket.acknowledged(packet.id, tuple(packet.data))

    def command(self, packet: SocketIoPacket) -> Command:
        """The command behind a packet whose turn has come.

        What was on its way when the client was sent out of its namespace comes to nothing.

        Raises:
            Fault: its payload is not taken.
            PacketError: the client is not in the namespace of the packet.
        """
        if packet.nsp in self._dismissed and packet.kind is not SocketIoPacketKind.CONNECT:
            return CloseSocket(nsp=packet.nsp)
        if packet.kind is not SocketIoPacketKind.CONNECT and packet.nsp not in self.sockets:
            raise PacketError("not in this namespace")
        return self._dialect.command(packet)

    # -- who is where

    def enter(self, nsp: str) -> Socket:
        """The client is let into a namespace."""
        self.opening = None
        self._dismissed.discard(nsp)
        socket = self.sockets[nsp] = Socket(self._session, nsp, self._rooms)
        return socket

    def leave(self, nsp: str) -> Socket | None:
        """The client leaves a namespace."""
        socket = self.sockets.pop(nsp, None)
        if socket is not None:
            socket.gone()
        return socket

    def peer_closed(self) -> None:
        """No acknowledgement comes any more; those that came were taken at once."""
        for socket in self.sockets.values():
            socket.unanswered()

    def over(self) -> list[Socket]:
        """The connection ends: who was in a namespace, and is told so by the last words."""
        self._last = tuple(self.sockets)
        gone = list(self.sockets.values())
        self.sockets.clear()
        for socket in gone:
            socket.gone()
        return gone

    def dismiss(self, nsp: str) -> None:
        """Send the client out of a namespace; what it still says there is not heard."""
        socket = self.leave(nsp)
        if socket is None:
            return
        self._dismissed.add(nsp)
        self._session.send_raw(packets.disconnected(nsp))
        if self.closed is not None:
            self.closed(socket)

    def within(self, nsp: str) -> bool:
        """Whether the client is in a namespace."""
        return nsp in self.sockets

    # -- what is said

    def words(self, push: Push) -> Words | None:
        """A push in words; what concerns the connection is said in each of its namespaces."""
        if isinstance(push, Parting):
            return _chain(self._farewell(push.ending, push.retry))
        if isinstance(push, Expiring | ShuttingDown):
            said = (self._dialect.tell(nsp, push) for nsp in self.sockets)
            return _chain(each for each in said if each is not None)
        return self._dialect.push(push, 0)

    def _farewell(self, ending: Disconnect, retry: int | None) -> Iterable[Words]:
        """Why it ends; and unless it may come back by itself, that it is sent out."""
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
    def _sent_out(nsp: str, ending: Disconnect, code: str, retry: int | None) -> Iterable[Words]:
        if ending not in _UNSAID:
            yield packets.event(nsp, "error", (words.ending_error(code, retry),))
        if not ending.reconnect:
            yield packets.disconnected(nsp)


def _chain(said: Iterable[Words]) -> Words | None:
    """Several words, each to follow the one before."""
    rest: Words | None = None
    for each in reversed(list(said)):
        if rest is None:
            rest = each
        elif isinstance(each, MultipartPayload):
            rest = MultipartPayload(each.text, each.attachments, rest)
        else:
            rest = MultipartPayload(each, (), rest)
    return rest


def conversation(session: Session) -> SocketIoConnection:
    """The conversation of a session that has one.

    Raises:
        Fault: `UNKNOWN_TYPE`, its clients speak another protocol.
    """
    if not isinstance(session.conversation, SocketIoConnection):
        raise CommandError(ErrorKind.UNKNOWN_TYPE)
    return session.conversation
