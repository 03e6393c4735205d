"""A session that began by polling, as its further requests find it."""

from dataclasses import dataclass
from typing import Final

from portward.model.handshake_errors import HandshakeRejected, HandshakeRejection
from portward.node.transport import Admission
from portward.transports.engineio.link import EngineLink
from portward.transports.engineio.polling import Polling

LATECOMERS: Final = 2
"""WebSockets in the life of a session that are let in only to be closed."""


@dataclass(slots=True, eq=False)
class SessionEntry:
    """How a session came in, what it is now, and how many WebSockets came too late for it.

    `base64` says that its client takes no binary frames.
    """

    link: EngineLink
    polling: Polling
    admission: Admission
    base64: bool = False
    late: int = 0

    def count_latecomer(self) -> None:
        """Let one more WebSocket be told that the session has one.

        Raises:
            Refused: BAD_REQUEST after the second: such sockets count as no connection of anybody's.
        """
        if self.late >= LATECOMERS:
            raise HandshakeRejected(
                HandshakeRejection.BAD_REQUEST, "too many WebSockets for one session"
            )
        self.late += 1
