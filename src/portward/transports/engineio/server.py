"""The sessions of Engine.IO that poll, and their upgrade to a WebSocket."""

import random as _random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from portward.model.clock import Clock
from portward.model.handshake_errors import HandshakeRejected, HandshakeRejection
from portward.model.limits import CLOSE_TIME, MESSAGE_TIME
from portward.model.request import RequestHead
from portward.node.sessions import (
    ActiveEndpoint,
    Admission,
    HandshakeGate,
)
from portward.security.handshake import check_upgrade
from portward.security.subprotocols import select
from portward.transports.deadlines import Deadlines
from portward.transports.engineio.link import EngineLink
from portward.transports.engineio.opening import opening, session_id
from portward.transports.engineio.payload_reader import PayloadReader
from portward.transports.engineio.polling import Polling
from portward.transports.engineio.queries import Query, check
from portward.transports.engineio.upgrade_probe import PROBE_TIME, LateUpgrade, Probe

TAGGED: Final = "."
"""Between the tag of a process and the id of a session."""


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


class EngineServer:
    """The sessions that began by polling, by id. Other sessions are never looked up."""

    def __init__(
        self,
        gate: HandshakeGate,
        clock: Clock,
        *,
        random: Callable[[], float] = _random.random,
    ) -> None:
        self.gate = gate
        self.random = random
        self._tag = ""
        """Prefix of session ids, where several processes have each their own sessions."""
        self._clock = clock
        self.sessions: dict[str, SessionEntry] = {}
        self._closing: Deadlines[Polling] = Deadlines(clock, CLOSE_TIME)
        self._bodies: Deadlines[PayloadReader] = Deadlines(clock, MESSAGE_TIME)
        self._probes: Deadlines[Probe] = Deadlines(clock, PROBE_TIME)

    def adopt_tag(self, tag: str) -> None:
        """Begin the ids of new sessions with a tag: the number of this worker."""
        self._tag = tag

    def close(self) -> None:
        """Stop all deadlines: every session has ended."""
        self._closing.stop()
        self._bodies.stop()
        self._probes.stop()

    def find(self, sid: str) -> SessionEntry | None:
        """The session with this id, if it began by polling and is still open."""
        return self.sessions.get(sid)

    def open(self, endpoint: ActiveEndpoint, admission: Admission, *, base64: bool) -> bytes:
        """Make a session that polls; returns its open packet."""
        sid = TAGGED.join(filter(None, (self._tag, session_id())))
        polling = Polling(
            self._clock,
            self._closing,
            self._bodies,
            limit=admission.max_message,
            early=admission.max_early,
            room=admission.max_unsent,
        )
        link = EngineLink(polling, lambda: self.sessions.pop(sid, None))
        polling.begin(link)
        self.sessions[sid] = SessionEntry(link, polling, admission, base64)
        link.begin(admission)
        return opening(endpoint, sid, ("websocket",))

    async def upgrade(
        self, head: RequestHead, query: Query, *, upgrade_checked: bool = False
    ) -> Admission:
        """Decide about a WebSocket for a session that polls.

        Raises:
            HandshakeRejected: there is no such session, or it is not the client's.
        """
        if not upgrade_checked:
            check_upgrade(head)
        check(query)
        found = self.find(query.sid)
        if found is None:
            raise HandshakeRejected(HandshakeRejection.BAD_REQUEST, "no such Engine.IO session")
        await self.gate.verify_followup(head, found.admission)
        wait = found.polling.hurried()
        if wait:
            raise HandshakeRejected(HandshakeRejection.RATE, "upgrades", retry_after=wait)
        subprotocol = select(head, (), first=True)
        carrier = found.link.carrier
        if found.link.open and isinstance(carrier, Polling) and carrier.probe is None:
            return Probe(
                found.link,
                carrier,
                found.admission,
                self._probes,
                base64=query.base64 or found.base64,
                subprotocol=subprotocol,
            )
        found.count_latecomer()
        return LateUpgrade(found.admission, subprotocol)
