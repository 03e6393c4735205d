"""The Socket.IO protocol: workspaces for `socket.io-client`, and events of the application.

A message of this protocol is a packet, or a part of one. `node.socketio_connection` joins the parts and
keeps the namespaces of a connection; this package decodes and encodes packets.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from portward.model import commands as ask
from portward.model import replies as say
from portward.model.commands import Command
from portward.model.disconnects import Disconnect
from portward.model.errors import RATE_FAULTS, CommandError, ErrorKind
from portward.model.payload import MultipartPayload, Payload
from portward.model.replies import Push, Reply
from portward.protocols.socketio import encode, packets, payloads
from portward.protocols.socketio.events import Events
from portward.protocols.socketio.packets import (
    ROOT,
    PacketError,
    SocketIoPacket,
    SocketIoPacketKind,
)

__all__ = ["ROOT", "PacketError", "SocketIoPacket", "SocketIoPacketKind", "SocketIoProtocol"]


class SocketIoProtocol:
    """Implements `node.sessions.ClientProtocol`. Rooms `workspace:{id}:{kind}` are channels of `namespace`.

    With `tells_error` a refused CONNECT is answered with a CONNECT_ERROR, else it is accepted, and the
    event `error` and a disconnect follow at once, as in older workspace gateways.
    """

    name = "socketio"
    binary = True
    resumable = False
    closes: ClassVar[Mapping[Disconnect, tuple[int, str]]] = {}

    def __init__(
        self, namespace: str, kinds: tuple[str, ...], *, tells_error: bool = False
    ) -> None:
        self.events = Events(namespace, kinds)
        self.tells_error = tells_error

    # -- decoding

    def decode(self, payload: bytes, binary: bool) -> Command:
        """Decode a packet that came in one piece. See `ClientProtocol.decode`."""
        if binary:
            raise CommandError(ErrorKind.INVALID_STRUCTURE)
        try:
            return self.command(packets.parse(payload))
        except PacketError:
            raise CommandError(ErrorKind.INVALID_FORMAT) from None

    def command(self, packet: SocketIoPacket) -> Command:
        """The command of a whole packet, with its attachments in place.

        Raises:
            CommandError: its payload is refused.
            PacketError: no client sends a packet of this type.
        """
        if packet.fault is not None:
            raise packet.fault
        match packet.kind:
            case SocketIoPacketKind.CONNECT:
                return ask.OpenSocket(id=packet.address, nsp=packet.nsp, auth=packet.data)
            case SocketIoPacketKind.DISCONNECT:
                return ask.CloseSocket(id=packet.address, nsp=packet.nsp)
            case SocketIoPacketKind.EVENT | SocketIoPacketKind.BINARY_EVENT:
                return self._event(packet)
            case _:
                raise PacketError("packet type")

    def _event(self, packet: SocketIoPacket) -> Command:
        try:
            return self.events.read(packet)
        except CommandError as fault:
            fault.command_id = packet.address
            raise

    # -- encoding

    def reply(self, command: Command, reply: Reply, now: int) -> Payload | None:  # noqa: ARG002 - the port
        """Encode the answer to a command: for an event only where the client waits for an acknowledgement."""
        if isinstance(reply, say.Opened):
            return packets.connected(reply.nsp, reply.sid)
        if isinstance(reply, say.Called):
            return _acknowledge(command.id, reply.result)
        answer = encode.answer(reply)
        return None if answer is None else _acknowledge(command.id, (answer,))

    def reply_error(self, fault: CommandError, now: int) -> Payload | None:  # noqa: ARG002 - the port
        """Encode the answer to a refused command. Rate limit errors are also sent as the event `error`."""
        address = str(fault.command_id or "")
        if fault.nsp is not None:
            return _turned_away(fault.nsp, fault)
        if fault.kind is ErrorKind.NOT_SUBSCRIBED and fault.about is not None:
            return _acknowledge(address, ({"left": payloads.ROOM + fault.about},))
        answer = _acknowledge(address, (payloads.refusal(fault),))
        if answer is not None and fault.kind not in RATE_FAULTS:
            return answer
        error = packets.event(_nsp(address), "error", ({"code": payloads.fault_code(fault)},))
        return error if answer is None else _both(answer, error)

    def push(self, push: Push, now: int) -> Payload | None:  # noqa: ARG002 - the port
        """Encode a push; a publication goes to the Socket.IO namespace of its channel."""
        if isinstance(push, say.Delivery):
            return _published(push)
        if isinstance(push, say.Emitted):
            return packets.event(push.nsp, push.event, push.arguments, push.ack)
        return self.tell(ROOT, push)

    def tell(self, nsp: str, push: Push) -> Payload | None:
        """Encode a push that concerns the whole connection, for one of its Socket.IO namespaces."""
        said = encode.event(push)
        if said is None:
            return None
        if isinstance(push, say.Told):
            return packets.event(nsp, said[0], (said[1],))
        return packets.prepared(nsp, said[0], (said[1],), ())  # JSON, which may be nested deeply


def _turned_away(nsp: str, fault: CommandError) -> bytes:
    """Encode the answer to a refused CONNECT."""
    if fault.kind is ErrorKind.UNKNOWN_NAMESPACE:
        return packets.connect_error(nsp, fault.kind.text)
    code = payloads.fault_code(fault)
    return packets.connect_error(nsp, payloads.REFUSALS.get(code, fault.kind.text), code)


def _acknowledge(address: str | int | None, result: tuple[Any, ...]) -> Payload | None:
    """Encode an acknowledgement, if one is awaited: then the address ends with a number."""
    text = str(address or "")
    return packets.acknowledgement(text, result) if text[-1:].isdigit() else None


def _nsp(address: str) -> str:
    return address.partition(",")[0] if address.startswith("/") else ROOT


def _both(first: Payload, second: Payload) -> Payload:
    if isinstance(first, MultipartPayload):
        return MultipartPayload(first.text, first.attachments, second)
    return MultipartPayload(first, (), second)


def _published(push: say.Delivery) -> Payload:
    publication = push.publication
    name, nsp = publication.type or encode.MESSAGE, encode.nsp_of(push.channel)
    if name in packets.RESERVED:  # a reserved event would make clients close the connection
        name = encode.MESSAGE
    if nsp == ROOT:
        return packets.prepared(nsp, name, (publication.data,), publication.attachments)
    data = publication.data
    arguments = tuple(data) if isinstance(data, list) else (data,)
    return packets.prepared(nsp, name, arguments, publication.attachments)
