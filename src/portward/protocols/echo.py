"""The echo protocol: text and binary messages are sent back unchanged, for connectivity tests."""

from collections.abc import Mapping
from typing import ClassVar

from portward.model.commands import Command, Echo
from portward.model.disconnects import Disconnect
from portward.model.errors import CommandError
from portward.model.replies import Echoed, Push, Reply


class EchoProtocol:
    """Implements `node.sessions.ClientProtocol`. It has no messages of its own: no greeting, no errors."""

    name = "echo"
    binary = True
    resumable = False
    closes: ClassVar[Mapping[Disconnect, tuple[int, str]]] = {}

    def decode(self, payload: bytes, binary: bool) -> Command:
        """Accept any message."""
        return Echo(payload=payload, binary=binary)

    def reply(self, command: Command, reply: Reply, now: int) -> bytes | None:  # noqa: ARG002 - the port
        """Send the message back."""
        return reply.payload if isinstance(reply, Echoed) else None

    def reply_error(self, fault: CommandError, now: int) -> bytes | None:  # noqa: ARG002 - the port
        """Send nothing."""
        return None

    def push(self, push: Push, now: int) -> bytes | None:  # noqa: ARG002 - the port
        """Send nothing."""
        return None
