"""The handshake service of the transports: admission, plain HTTP replies, and opening sessions."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Final

import msgspec

from portward.model.handshake_errors import HandshakeRejected, HandshakeRejection
from portward.model.request import RequestHead
from portward.node.handshake import (
    ClosedRefusal,
    SessionBinding,
    StatusPage,
    closed_refusal,
    follow_up,
)
from portward.node.node import Node
from portward.node.sessions import (
    ActiveEndpoint,
    Admission,
    HandshakeFacts,
    HttpReply,
    PendingConnections,
    Session,
    Transport,
    TransportCallbacks,
    at_path,
)
from portward.telemetry.events import Event

_TEST: Final = "/test"
_READ: Final = frozenset({"GET", "HEAD"})
_JSON = (("Content-Type", "application/json"), ("Cache-Control", "no-store"))


@dataclass(frozen=True, slots=True)
class RejectionReply:
    """Implements `node.sessions.transport.HttpReply`."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = _JSON


class AdmittedHandshake:
    """Implements `node.sessions.Admission`: an admitted handshake that has no link yet."""

    __slots__ = (
        "_handshake", "_node", "_used", "bond", "compression", "max_early", "max_message",
        "max_unsent",
        "subprotocol",
    )  # fmt: skip

    def __init__(self, node: Node, handshake: HandshakeFacts) -> None:
        rules = handshake.endpoint.rules
        self._node = node
        self._handshake = handshake
        self._used = False
        self.max_message = rules.max_message
        self.max_early = min(rules.max_message, rules.max_early)
        self.max_unsent = rules.backpressure_threshold
        self.compression = rules.compression
        self.subprotocol = handshake.subprotocol
        self.bond = SessionBinding(handshake) if rules.steady_ping else None

    def open(self, link: Transport) -> TransportCallbacks:
        """Create the session of the link."""
        self._used = True
        session = Session(self._node, self._handshake)
        session.transport = link
        if self.bond is not None:
            self.bond.session = session
        self._node.open(self._handshake, session)
        return session

    def cancel(self) -> None:
        """Release what was counted, if no session was created."""
        if not self._used:
            self._used = True
            self._node.admission_control.left(self._handshake)


class HandshakeService:
    """Implements `node.sessions.HandshakeGate`."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._random = Random()  # noqa: S311 - spreads load, keeps no secret
        self._answers: dict[str, Callable[[RequestHead], RejectionReply]] = {
            "/health": self._health
        }
        if node.status_page is not None:
            self._answers[_TEST] = partial(self._test, node.status_page)

    @property
    def pending(self) -> PendingConnections:
        """The pool of unauthenticated connections."""
        return self._node.admission_control.pending

    def has_capacity(self) -> HandshakeRejection | None:
        """Check the global cap; None when one more connection fits."""
        return self._node.admission_control.has_capacity()

    def answer(self, head: RequestHead) -> HttpReply | None:
        """Answer `GET /health` (state of the node) and `GET /test` (state of the relay), else None."""
        answer = at_path(self._answers, head.path)
        if answer is None or (answer == self._health and head.method not in _READ):
            return None
        return answer(head)

    def _test(self, page: StatusPage, head: RequestHead) -> RejectionReply:
        try:
            allowed = page.preflight(head)
            if allowed:
                return RejectionReply(204, b"", allowed)
            status = page.status(head)
        except HandshakeRejected as refused:
            self.refused(head, refused)
            if refused.refusal is HandshakeRejection.RATE:
                self._node.legacy_events.limited(self._node.admission_control.address(head))
            headers = (*refused.refusal.headers, *page.retry_after(refused))
            return RejectionReply(refused.refusal.status, b"", headers)
        if head.method not in _READ:
            return RejectionReply(405, b"", (("Allow", "GET"),))
        return RejectionReply(200, msgspec.json.encode(status), (*_JSON, *page.headers(head)))

    def _health(self, _: RequestHead) -> RejectionReply:
        if self._node.draining:
            return RejectionReply(503, b'{"status":"draining"}')
        return RejectionReply(200, b'{"status":"ok"}')

    async def admit(self, head: RequestHead, *, upgrade_checked: bool = False) -> AdmittedHandshake:
        """Check a handshake and admit it.

        Raises:
            HandshakeRejected: with the row of the outcome table.
        """
        try:
            handshake = await self._node.admission_control.check(
                head, upgrade_checked=upgrade_checked
            )
        except HandshakeRejected as refused:
            closed = self._closed(head, refused, upgrade_checked=upgrade_checked)
            raise closed or refused from None
        return AdmittedHandshake(self._node, handshake)

    def _closed(
        self, head: RequestHead, refused: HandshakeRejected, *, upgrade_checked: bool
    ) -> ClosedRefusal | None:
        """Return the rejection as a close code, where the endpoint is set so and the page may connect."""
        node = self._node
        endpoint = at_path(node.endpoints, head.path)
        if endpoint is None or not endpoint.rules.refuses_by_close:
            return None
        try:
            subprotocol = node.admission_control.check_page(
                head, endpoint, upgrade_checked=upgrade_checked
            )
        except HandshakeRejected:
            return None
        now = int(node.clock.time() * 1000)
        return closed_refusal(endpoint, refused, subprotocol, self._random.random, now)

    async def verify_followup(self, head: RequestHead, admission: Admission) -> None:
        """Check a further request of a session.

        Raises:
            HandshakeRejected: FORBIDDEN when the session belongs to another client; else with the row of
                the outcome table.
        """
        if not isinstance(admission, AdmittedHandshake) or admission.bond is None:
            raise HandshakeRejected(HandshakeRejection.FORBIDDEN, "no session of several requests")
        try:
            await follow_up(self._node.admission_control, head, admission.bond)
        except HandshakeRejected as refused:
            if refused.refusal is HandshakeRejection.FORBIDDEN:
                self._foreign(head, admission.bond, refused)
            raise

    def _foreign(self, head: RequestHead, bond: SessionBinding, refused: HandshakeRejected) -> None:
        self._node.telemetry.record(
            Event.SESSION_FOREIGN,
            client=bond.handshake.id,
            endpoint=bond.handshake.endpoint.name,
            address=self._node.admission_control.address(head),
            detail=refused.detail,
        )

    def _named(self, path: str) -> ActiveEndpoint | None:
        """Return the endpoint of a request's path, also for the status page."""
        page = self._node.status_page
        if page is not None and at_path({_TEST: page}, path) is not None:
            return page.endpoint
        return at_path(self._node.endpoints, path)

    def refused(self, head: RequestHead | None, refused: HandshakeRejected) -> None:
        """Log and count a rejection."""
        node, refusal = self._node, refused.refusal
        endpoint = self._named(head.path) if head is not None else None
        name = endpoint.name if endpoint is not None else "none"
        address = node.admission_control.address(head) if head is not None else None
        node.telemetry.metrics.handshakes_refused_total.add((name, refusal.reason))
        node.telemetry.record(
            Event.ORIGIN_REJECT if refusal is HandshakeRejection.ORIGIN else Event.HANDSHAKE_REJECT,
            endpoint=name,
            address=address,
            status=refusal.status,
            reason=refusal.reason,
            detail=refused.detail or None,
            code=refused.code if isinstance(refused, ClosedRefusal) else None,
        )
        asked = head is not None and head.path == _TEST
        node.legacy_events.blocked(name, address, refusal, status_page=asked)
