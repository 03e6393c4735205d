"""The Socket.IO protocol: decoding and encoding of whole packets.

A message of this protocol is a packet, or a part of one. `connection` joins the parts and keeps the
namespaces of a connection.
"""

from typing import Any

import portward.protocols.socketio.codes as codes
import portward.protocols.socketio.packets as packets
from portward.model import replies as say
from portward.model.commands import Command
from portward.model.errors import RATE_FAULTS, CommandError, ErrorKind
from portward.model.payload import MultipartPayload, Payload
from portward.model.replies import Push, Reply
from portward.node.sessions import ClientProtocol
from portward.protocols.socketio.commands import (
    Call,
    Called,
    CloseSocket,
    ConnectId,
    Emitted,
    Opened,
    OpenSocket,
    nsp_of,
)
from portward.protocols.socketio.packets import (
    ROOT,
    PacketError,
    SocketIoPacket,
    SocketIoPacketKind,
)

MESSAGE = "message"
"""The event of a publication without a type, and of a message to one connection."""


class SocketIoProtocol(ClientProtocol):
    """Decodes and encodes packets. The events of the root namespace are defined by a derived class.

    With `connect_errors` a refused CONNECT is answered with a CONNECT_ERROR, else it is accepted, and the
    event `error` and a disconnect follow at once, as in older workspace gateways.
    """

    binary = True
    own_authentication = True
    stateful = True

    def __init__(self, *, connect_errors: bool = False) -> None:
        self.connect_errors = connect_errors

    def read_event(self, packet: SocketIoPacket) -> Command:
        """The command of an event.

        Raises:
            CommandError: the event is invalid.
        """
        return Call(
            id=packet.address,
            nsp=packet.nsp,
            event=packet.name,
            arguments=tuple(packet.data),
        )

    def answer(self, reply: Reply) -> Any:  # noqa: ARG002 - for derived classes
        """The one argument of an acknowledgement; None when there is nothing to acknowledge."""
        return None

    def event(self, push: Push) -> tuple[str, Any] | None:
        """The name and the data of an event; None when the protocol has no event for the push."""
        return (MESSAGE, push.data) if isinstance(push, say.Told) else None

    # -- decoding

    def decode(self, payload: SocketIoPacket, binary: bool) -> Command:  # noqa: ARG002 - a whole packet
        """Return the command of a whole packet, with its attachments in place.

        Raises:
            CommandError: its payload is refused.
            PacketError: no client sends a packet of this type.
        """
        if payload.fault is not None:
            raise payload.fault
        match payload.kind:
            case SocketIoPacketKind.CONNECT:
                return OpenSocket(id=ConnectId(payload.nsp), nsp=payload.nsp, auth=payload.data)
            case SocketIoPacketKind.DISCONNECT:
                return CloseSocket(id=payload.address, nsp=payload.nsp)
            case SocketIoPacketKind.EVENT | SocketIoPacketKind.BINARY_EVENT:
                return self._event(payload)
            case _:
                raise PacketError("packet type")

    def _event(self, packet: SocketIoPacket) -> Command:
        try:
            return self.read_event(packet)
        except CommandError as fault:
            fault.command_id = packet.address
            raise

    # -- encoding

    def reply(self, command: Command, reply: Reply, now: int) -> Payload | None:  # noqa: ARG002
        """Encode the answer to a command: for an event only where the client waits for an acknowledgement."""
        if isinstance(reply, Opened):
            return packets.connected(reply.nsp, reply.sid)
        if isinstance(reply, Called):
            return acknowledge(command.id, reply.result)
        answer = self.answer(reply)
        return None if answer is None else acknowledge(command.id, (answer,))

    def reply_error(self, fault: CommandError, now: int) -> Payload | None:  # noqa: ARG002
        """Encode the answer to a refused command. Rate limit errors are also sent as the event `error`."""
        address = fault.command_id
        if isinstance(address, ConnectId):
            return _connect_error(address, fault)
        answer = acknowledge(address, (codes.refusal(fault),))
        if answer is not None and fault.kind not in RATE_FAULTS:
            return answer
        error = packets.event(_nsp(address), "error", ({"code": codes.fault_code(fault)},))
        return error if answer is None else _both(answer, error)

    def push(self, push: Push, now: int) -> Payload | None:  # noqa: ARG002
        """Encode a push; a publication goes to the Socket.IO namespace of its channel."""
        if isinstance(push, say.Delivery):
            return _published(push)
        if isinstance(push, Emitted):
            return packets.event(push.nsp, push.event, push.arguments, push.ack)
        return self.connection_event(ROOT, push)

    def connection_event(self, nsp: str, push: Push) -> Payload | None:
        """Encode a push that concerns the whole connection, for one of its Socket.IO namespaces."""
        event = self.event(push)
        if event is None:
            return None
        name, data = event
        if isinstance(push, say.Told):
            return packets.event(nsp, name, (data,))
        return packets.prepared(nsp, name, (data,), ())  # JSON, which may be nested deeply


def _connect_error(nsp: str, fault: CommandError) -> bytes:
    """Encode the answer to a refused CONNECT."""
    if fault.kind is ErrorKind.UNKNOWN_NAMESPACE:
        return packets.connect_error(nsp, fault.kind.text)
    code = codes.fault_code(fault)
    return packets.connect_error(nsp, codes.ERROR_TEXTS.get(code, fault.kind.text), code)


def acknowledge(address: str | int | None, result: tuple[Any, ...]) -> Payload | None:
    """Encode an acknowledgement, if one is awaited: then the address ends with a number."""
    text = str(address or "")
    return packets.acknowledgement(text, result) if text[-1:].isdigit() else None


def _nsp(address: str | int | None) -> str:
    text = str(address or "")
    return text.partition(",")[0] if text.startswith("/") else ROOT


def _both(first: Payload, second: Payload) -> Payload:
    if isinstance(first, MultipartPayload):
        return MultipartPayload(first.text, first.attachments, second)
    return MultipartPayload(first, (), second)


def _published(push: say.Delivery) -> Payload:
    publication = push.publication
    name, nsp = publication.type or MESSAGE, nsp_of(push.channel)
    if name in packets.RESERVED:  # a reserved event would make clients close the connection
        name = MESSAGE
    if nsp == ROOT:
        return packets.prepared(nsp, name, (publication.data,), publication.attachments)
    data = publication.data
    arguments = tuple(data) if isinstance(data, list) else (data,)
    return packets.prepared(nsp, name, arguments, publication.attachments)
