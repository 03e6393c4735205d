"""Interface of a protocol. A new protocol is one module with one class of this form."""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from portward.model.commands import Command
from portward.model.disconnects import Disconnect
from portward.model.errors import CommandError
from portward.model.payload import Payload
from portward.model.publication import Publication
from portward.model.replies import Push, Reply


@runtime_checkable
class Ranking(Protocol):
    """A protocol whose publications differ in urgency, and which can mark a late one."""

    def urgency(self, publication: Publication) -> int:
        """How urgent a publication is: a more urgent one passes the cooldown after a less urgent one."""


class ClientProtocol(Protocol):
    """Translates one message at a time. `now` is Unix time in milliseconds throughout."""

    @property
    def name(self) -> str:
        """The name in settings and logs."""

    @property
    def binary(self) -> bool:
        """Whether binary messages are accepted; else they close the connection with 1003."""

    @property
    def resumable(self) -> bool:
        """Whether clients get a session token, with which they can resume their session."""

    @property
    def closes(self) -> Mapping[Disconnect, tuple[int, str]]:
        """Close codes and reasons that this protocol fixes differently from the table of disconnects."""

    def decode(self, payload: bytes, binary: bool) -> Command:
        """Decode one client message.

        Raises:
            CommandError: the message is invalid in this protocol; has the client's own id when it had one.
        """

    def reply(self, command: Command, reply: Reply, now: int) -> Payload | None:
        """Encode the answer to a command; None when this protocol sends none."""

    def reply_error(self, fault: CommandError, now: int) -> Payload | None:
        """Encode the answer to a refused command."""

    def push(self, push: Push, now: int) -> Payload | None:
        """Encode a push; the same bytes go to every connection."""
