"""The Socket.IO dialect: workspaces for `socket.io-client`, and events of the application.

A message of this protocol is a packet, or a part of one. `node.socketio_connection` puts packets together and
knows the namespaces of a connection; here packets are read and written.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from portward.dialects.socketio import encode, packets, payloads
from portward.dialects.socketio.events import Events
from portward.dialects.socketio.packets import ROOT, PacketError, SocketIoPacket, SocketIoPacketKind
from portward.model import commands as ask
from portward.model import replies as say
from portward.model.commands import Command
from portward.model.disconnects import Disconnect
from portward.model.errors import RATE_FAULTS, CommandError, ErrorKind
from portward.model.payload import MultipartPayload, Words
from portward.model.replies import Push, Reply

__all__ = ["ROOT", "PacketError", "SocketIoDialect", "SocketIoPacket", "SocketIoPacketKind"]


class SocketIoDialect:
    """Implements `dialects.base.Dialect`. Rooms `workspace:{id}:{kind}` are channels of `namespace`.

    With `tells_error` a refused CONNECT is answered with a CONNECT_ERROR, else let in and at once told
    the event `error` and disconnected, as older workspace gateways did.
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

    # -- what is heard

    def decode(self, payload: bytes, binary: bool) -> Command:
        """Read a packet that came in one piece. See `Dialect.decode`."""
        if binary:
            raise CommandError(ErrorKind.INVALID_STRUCTURE)
        try:
            return self.command(packets.parse(payload))
        except PacketError:
            raise CommandError(ErrorKind.INVALID_FORMAT) from None

    def command(self, packet: SocketIoPacket) -> Command:
        """The command behind a whole packet, its attachments in their places.

        Raises:
            Fault: its payload is not taken.
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

    # -- what is said

    def reply(self, command: Command, reply: Reply, now: int) -> Words | None:  # noqa: ARG002 - the port
        """The answer to a command: to an event only where an acknowledgement is waited for."""
        if isinstance(reply, say.Opened):
            return packets.connected(reply.nsp, reply.sid)
        if isinstance(reply, say.Called):
            return _acknowledge(command.id, reply.result)
        answer = encode.answer(reply)
        return None if answer is None else _acknowledge(command.id, (answer,))

    def fault(self, fault: CommandError, now: int) -> Words | None:  # noqa: ARG002 - the port
        """The answer to a refused command. Refusals by a limit are told as the event `error`, too."""
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

    def push(self, push: Push, now: int) -> Words | None:  # noqa: ARG002 - the port
        """Words nobody asked for; publications go to the namespace that their channel belongs to."""
        if isinstance(push, say.Delivery):
            return _published(push)
        if isinstance(push, say.Emitted):
            return packets.event(push.nsp, push.event, push.arguments, push.ack)
        return self.tell(ROOT, push)

    def tell(self, nsp: str, push: Push) -> Words | None:
        """What concerns the whole connection, to one of its namespaces."""
        said = encode.event(push)
        if said is None:
            return None
        if isinstance(push, say.Told):
            return packets.event(nsp, said[0], (said[1],))
        return packets.prepared(nsp, said[0], (said[1],), ())  # JSON, which may be nested deeply


def _turned_away(nsp: str, fault: CommandError) -> bytes:
    """The answer to a CONNECT that lets nobody in."""
    if fault.kind is ErrorKind.UNKNOWN_NAMESPACE:
        return packets.connect_error(nsp, fault.kind.text)
    code = payloads.fault_code(fault)
    return packets.connect_error(nsp, payloads.REFUSALS.get(code, fault.kind.text), code)


def _acknowledge(address: str | int | None, result: tuple[Any, ...]) -> Words | None:
    """An acknowledgement, where one is waited for: then the address ends with a number."""
    text = str(address or "")
    return packets.acknowledgement(text, result) if text[-1:].isdigit() else None


def _nsp(address: str) -> str:
    return address.partition(",")[0] if address.startswith("/") else ROOT


def _both(first: Words, second: Words) -> Words:
    if isinstance(first, MultipartPayload):
        return MultipartPayload(first.text, first.attachments, second)
    return MultipartPayload(first, (), second)


def _published(push: say.Delivery) -> Words:
    publication = push.publication
    name, nsp = publication.type or encode.MESSAGE, encode.nsp_of(push.channel)
    if name in packets.RESERVED:  # whoever heard it under this name would break the connection off
        name = encode.MESSAGE
    if nsp == ROOT:
        return packets.prepared(nsp, name, (publication.data,), publication.attachments)
    data = publication.data
    arguments = tuple(data) if isinstance(data, list) else (data,)
    return packets.prepared(nsp, name, arguments, publication.attachments)
