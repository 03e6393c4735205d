"""A session that began by polling, as its further requests find it."""

from dataclasses import dataclass
from typing import Final

from portward.model.handshake_errors import HandshakeRejected, HandshakeRejection
from portward.node.sessions import Admission
from portward.transports.engineio.link import EngineLink
from portward.transports.engineio.polling import Polling

LATECOMERS: Final = 2
"""Late WebSockets of one session that are accepted only to be closed."""


@dataclass(slots=True, eq=False)
class SessionEntry:
    """The admission of a session, its transport, and how many late WebSockets it had.

    `base64` tells that its client takes no binary frames.
    """

    link: EngineLink
    polling: Polling
    admission: Admission
    base64: bool = False
    late: int = 0

    def count_latecomer(self) -> None:
        """Count one more WebSocket for a session that already has one.

        Raises:
            HandshakeRejected: BAD_REQUEST after the second, because such sockets count in no limit.
        """
        if self.late >= LATECOMERS:
            raise HandshakeRejected(
                HandshakeRejection.BAD_REQUEST, "too many WebSockets for one session"
            )
        self.late += 1
