"""The protocol `socketio`: workspaces for `socket.io-client`, and events of the application."""

from typing import Any

import portward.protocols.workspaces.encode as encode
import portward.protocols.workspaces.payloads as payloads
from portward.model.commands import Command
from portward.model.errors import CommandError, ErrorKind
from portward.model.payload import Payload
from portward.model.replies import Push, Reply
from portward.protocols.socketio.packets import ROOT, SocketIoPacket
from portward.protocols.socketio.protocol import SocketIoProtocol, acknowledge
from portward.protocols.workspaces.events import WorkspaceEvents


class WorkspacesProtocol(SocketIoProtocol):
    """Rooms `workspace:{id}:{kind}` are channels of `namespace`; `kinds` are the valid kinds."""

    name = "socketio"

    def __init__(
        self, namespace: str, kinds: tuple[str, ...], *, connect_errors: bool = False
    ) -> None:
        super().__init__(connect_errors=connect_errors)
        self._events = WorkspaceEvents(namespace, kinds)

    def read_event(self, packet: SocketIoPacket) -> Command:
        """The command of an event; an unknown event, or one of another namespace, is for the application.

        Raises:
            CommandError: the event is invalid.
        """
        command = self._events.read(packet) if packet.nsp == ROOT else None
        return super().read_event(packet) if command is None else command

    def answer(self, reply: Reply) -> Any:
        """The one argument of an acknowledgement; None when there is nothing to acknowledge."""
        return encode.answer(reply)

    def event(self, push: Push) -> tuple[str, Any] | None:
        """The name and the data of an event; None when the protocol has no event for the push."""
        return encode.event(push)

    def reply_error(self, fault: CommandError, now: int) -> Payload | None:
        """Encode a command error. To leave a room in which the client is not is no error."""
        if fault.kind is ErrorKind.NOT_SUBSCRIBED and fault.about is not None:
            return acknowledge(fault.command_id, ({"left": payloads.ROOM + fault.about},))
        return super().reply_error(fault, now)
