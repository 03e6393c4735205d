"""What the module of a protocol imports of the node, and the base class of protocols in JSON."""

from abc import abstractmethod
from typing import Any

import msgspec

from portward.model.commands import Command
from portward.model.errors import CommandError, ErrorKind
from portward.node.protocol_service import ProtocolRegistration, ProtocolService
from portward.node.sessions import ClientProtocol, ProtocolViolation
from portward.security import strict_json

__all__ = [
    "ClientProtocol",
    "JsonProtocol",
    "ProtocolRegistration",
    "ProtocolService",
    "ProtocolViolation",
]


class JsonProtocol(ClientProtocol):
    """A protocol whose messages are JSON texts, with an `id` of the client or without."""

    def decode(self, payload: bytes, binary: bool) -> Command:  # noqa: ARG002 - text only, see `binary`
        """Decode one message. See `ClientProtocol.decode`."""
        message = strict_json.parse(payload)
        identifier = strict_json.identifier(message)
        if identifier is None and isinstance(message, dict) and "id" in message:
            raise CommandError(ErrorKind.INVALID_STRUCTURE)
        try:
            return self.read(message, identifier)
        except msgspec.ValidationError:
            raise CommandError(ErrorKind.INVALID_STRUCTURE, command_id=identifier) from None
        except CommandError as fault:
            fault.command_id = identifier
            raise

    @abstractmethod
    def read(self, message: Any, identifier: str | int | None) -> Command:
        """Return the command of a message with this id.

        Raises:
            CommandError, ValidationError: the message is invalid.
        """
