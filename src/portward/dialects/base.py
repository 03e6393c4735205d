"""What a dialect is. A new one is one module with one class like this."""

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from portward.model.commands import Command
from portward.model.disconnects import Disconnect
from portward.model.errors import CommandError
from portward.model.payload import Words
from portward.model.publication import Publication
from portward.model.replies import Push, Reply


@runtime_checkable
class Ranking(Protocol):
    """A dialect whose publications differ in urgency, and which can say of one that it comes late."""

    def urgency(self, publication: Publication) -> int:
        """How urgent a publication is: a more urgent one passes the cooldown after a less urgent one."""


class Dialect(Protocol):
    """Translates one message at a time. `now` is Unix time in milliseconds throughout."""

    @property
    def name(self) -> str:
        """The name in settings and logs."""

    @property
    def binary(self) -> bool:
        """Whether binary messages are accepted; else they end the connection with 1003."""

    @property
    def resumable(self) -> bool:
        """Whether its clients are told a session token, with which they come back."""

    @property
    def closes(self) -> Mapping[Disconnect, tuple[int, str]]:
        """Close codes and reasons that this protocol fixes differently from the table of endings."""

    def decode(self, payload: bytes, binary: bool) -> Command:
        """Read one client message.

        Raises:
            Fault: the message is none of this dialect; carries the client's own id when it had one.
        """

    def reply(self, command: Command, reply: Reply, now: int) -> Words | None:
        """The answer to a command; None when this dialect answers it with silence."""

    def fault(self, fault: CommandError, now: int) -> Words | None:
        """The answer to a refused command."""

    def push(self, push: Push, now: int) -> Words | None:
        """Words nobody asked for; the same bytes go to every connection."""
