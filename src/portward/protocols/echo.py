"""The echo protocol: text and binary messages are sent back unchanged, for connectivity tests."""

from collections.abc import Mapping

from portward.model.commands import Command
from portward.model.errors import CommandError
from portward.model.payload import BinaryPayload
from portward.model.replies import Push, Reply
from portward.node.commands import Handler
from portward.node.protocol_service import ProtocolRegistration, ProtocolService
from portward.node.sessions import ClientProtocol, Session


class Echo(Command, frozen=True):
    """Return the message unchanged."""

    payload: bytes
    binary: bool


class Echoed(Reply, frozen=True):
    """The received message, unchanged."""

    payload: bytes
    binary: bool


class EchoProtocol(ClientProtocol):
    """It has no messages of its own: no greeting, no errors."""

    name = "echo"
    binary = True

    def decode(self, payload: bytes, binary: bool) -> Command:
        """Accept any message."""
        return Echo(payload=payload, binary=binary)

    def reply(self, command: Command, reply: Reply, now: int) -> bytes | None:  # noqa: ARG002 - the port
        """Send the message back."""
        if not isinstance(reply, Echoed):
            return None
        return BinaryPayload(reply.payload) if reply.binary else reply.payload

    def reply_error(self, fault: CommandError, now: int) -> bytes | None:  # noqa: ARG002 - the port
        """Send nothing."""
        return None

    def push(self, push: Push, now: int) -> bytes | None:  # noqa: ARG002 - the port
        """Send nothing."""
        return None


class EchoService(ProtocolService):
    """Returns messages."""

    @property
    def handlers(self) -> Mapping[type[Command], Handler]:
        """The handler of messages."""
        return {Echo: self._echo}

    @staticmethod
    async def _echo(_: Session, command: Echo) -> Reply:
        return Echoed(payload=command.payload, binary=command.binary)


PROTOCOL = ProtocolRegistration(name="echo", make=lambda _, __: EchoProtocol(), service=EchoService)
