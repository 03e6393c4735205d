"""Server of Engine.IO: a gate around the core's gate, and the router of polling requests."""

import random as _random
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final

from msgspec.structs import replace

from portward.model.clock import Clock
from portward.model.handshake_errors import HandshakeRejected, HandshakeRejection
from portward.model.limits import CLOSE_TIME, MESSAGE_TIME
from portward.model.request import RequestHead
from portward.node.sessions import (
    ActiveEndpoint,
    Admission,
    HandshakeGate,
    HttpReply,
    PendingConnections,
    at_path,
)
from portward.security.handshake import check_upgrade
from portward.security.subprotocols import select
from portward.transports.deadlines import Deadlines
from portward.transports.engineio.http_request import PollingRequest
from portward.transports.engineio.link import EngineLink
from portward.transports.engineio.opening import SocketAdmission, opening, session_id
from portward.transports.engineio.payload_reader import PayloadReader
from portward.transports.engineio.polling import Polling
from portward.transports.engineio.queries import Query, is_upgrade, read_query
from portward.transports.engineio.session_entry import SessionEntry
from portward.transports.engineio.upgrade_probe import PROBE_TIME, LateUpgrade, Probe
from portward.transports.listener_state import RequestHandler
from portward.wire import engineio
from portward.wire import message as wire

_TAGGED: Final = "."


class EngineServer:
    """`node.sessions.HandshakeGate` and `transports.listener_state.RequestRouter` around another gate.

    It keeps the sessions that began by polling, by id; other sessions are never looked up.
    """

    def __init__(
        self,
        gate: HandshakeGate,
        clock: Clock,
        endpoints: Mapping[str, ActiveEndpoint],
        *,
        random: Callable[[], float] = _random.random,
    ) -> None:
        """`endpoints` are by path; those that do not use Engine.IO are left to `gate`."""
        self.gate = gate
        self.random = random
        self.tag = ""
        """Prefix of session ids, where several processes have each their own sessions."""
        self._clock = clock
        self._endpoints = {
            path: endpoint
            for path, endpoint in endpoints.items()
            if endpoint.framing is wire.ENGINE
        }
        self._sessions: dict[str, SessionEntry] = {}
        self._closing: Deadlines[Polling] = Deadlines(clock, CLOSE_TIME)
        self._bodies: Deadlines[PayloadReader] = Deadlines(clock, MESSAGE_TIME)
        self._probes: Deadlines[Probe] = Deadlines(clock, PROBE_TIME)

    @property
    def polled(self) -> bool:
        """Whether there is an endpoint of Engine.IO at all."""
        return bool(self._endpoints)

    def __len__(self) -> int:
        return len(self._sessions)

    def close(self) -> None:
        """Stop all deadlines: every session has ended."""
        self._closing.stop()
        self._bodies.stop()
        self._probes.stop()

    # As a gate.

    @property
    def pending(self) -> PendingConnections:
        """The pool of connections that have not authenticated."""
        return self.gate.pending

    def has_capacity(self) -> HandshakeRejection | None:
        """The global cap, which does not apply while there are sessions: their polls must be accepted.

        Whether a connection is such a poll shows only in its head; a new session meets the cap again there.
        """
        return None if self._sessions else self.gate.has_capacity()

    def answer(self, head: RequestHead) -> HttpReply | None:
        """Answer one of the small HTTP paths."""
        return self.gate.answer(head)

    def refused(self, head: RequestHead | None, refused: HandshakeRejected) -> None:
        """Log and count a rejection."""
        known = self._named(head) if head is not None else None
        self.gate.refused(known or head, refused)

    def admit(
        self, head: RequestHead, *, upgrade_checked: bool = False
    ) -> Coroutine[Any, Any, Admission]:
        """Decide about a WebSocket handshake: a new session, or the upgrade of one.

        Raises:
            HandshakeRejected: the handshake is rejected.
        """
        named = self._named(head)
        if named is None:
            return self.gate.admit(head, upgrade_checked=upgrade_checked)
        return self._admit(named, upgrade_checked=upgrade_checked)

    async def _admit(self, head: RequestHead, *, upgrade_checked: bool) -> Admission:
        query = read_query(head.query)
        if query.sid:
            return await self._upgrade(head, query, upgrade_checked=upgrade_checked)
        _check(query)
        admission = await self.gate.admit(head, upgrade_checked=upgrade_checked)
        return SocketAdmission(self._endpoints[head.path], admission, base64=query.base64)

    async def _upgrade(
        self, head: RequestHead, query: Query, *, upgrade_checked: bool
    ) -> Admission:
        if not upgrade_checked:
            check_upgrade(head)
        _check(query)
        found = self._sessions.get(query.sid)
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

    async def verify_followup(self, head: RequestHead, admission: Admission) -> None:
        """Check a further request of a session."""
        await self.gate.verify_followup(head, admission)

    # As a request router.

    def take(self, head: RequestHead) -> RequestHandler | None:
        """A handler for a request of Engine.IO that is no WebSocket handshake; None for others."""
        named = self._named(head)
        if named is None or is_upgrade(head):
            return None
        return PollingRequest(self, self._endpoints[named.path], named)

    def _named(self, head: RequestHead) -> RequestHead | None:
        """The request with the endpoint's own spelling of its path; None when no endpoint here has it."""
        endpoint = at_path(self._endpoints, head.path)
        if endpoint is None:
            return None
        path = endpoint.rules.path
        return head if head.path == path else replace(head, path=path)

    def tag_of(self, head: RequestHead) -> str:
        """The tag of the session a request names; empty when it names none, or has no endpoint here."""
        if at_path(self._endpoints, head.path) is None:
            return ""
        return read_query(head.query).sid.rpartition(_TAGGED)[0]

    # Called by polling requests.

    def find(self, sid: str) -> SessionEntry | None:
        """The session with this id, if it began by polling and is still open."""
        return self._sessions.get(sid)

    async def handshake(self, head: RequestHead) -> Admission:
        """Decide about the first request of a session by polling.

        Raises:
            HandshakeRejected: the request is rejected.
        """
        rules = self._endpoints[head.path].rules
        if rules.authenticated and not rules.deferred and read_query(head.query).credential:
            raise HandshakeRejected(
                HandshakeRejection.UNAUTHENTICATED, "a credential in the address of a poll"
            )
        return await self.gate.admit(head, upgrade_checked=True)

    async def known(self, head: RequestHead, found: SessionEntry) -> SessionEntry:
        """Check a further request of a session.

        Raises:
            HandshakeRejected: it does not belong to the session, or is not allowed.
        """
        await self.gate.verify_followup(head, found.admission)
        return found

    def open(self, endpoint: ActiveEndpoint, admission: Admission, *, base64: bool) -> bytes:
        """Make a session that polls; returns its open packet."""
        sid = _TAGGED.join(filter(None, (self.tag, session_id())))
        polling = Polling(
            self._clock,
            self._closing,
            self._bodies,
            limit=admission.max_message,
            early=admission.max_early,
            room=admission.max_unsent,
        )
        link = EngineLink(polling, lambda: self._sessions.pop(sid, None))
        polling.begin(link)
        self._sessions[sid] = SessionEntry(link, polling, admission, base64)
        link.begin(admission)
        return opening(endpoint, sid, ("websocket",))


def _check(query: Query) -> None:
    if query.protocol != engineio.PROTOCOL:
        raise HandshakeRejected(HandshakeRejection.BAD_REQUEST, "Engine.IO protocol")
    if query.transport != "websocket" or not query.sound:
        raise HandshakeRejected(HandshakeRejection.BAD_REQUEST, "Engine.IO transport")
