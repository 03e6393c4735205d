"""The handshake service of the transports: admission, plain HTTP replies, and opening sessions."""

from functools import partial
from random import Random
from typing import Final

from portward.model.handshake_errors import HandshakeRejected, HandshakeRejection
from portward.model.path_router import PathParameters, PathRouter
from portward.model.request import RequestHead
from portward.node.handshake import (
    ClosedRefusal,
    SessionBinding,
    closed_refusal,
    follow_up,
)
from portward.node.node import Node
from portward.node.protocol_service import JSON_HEADERS, READ_METHODS, HttpPage
from portward.node.sessions import (
    ActiveEndpoint,
    Admission,
    Answer,
    HandshakeFacts,
    HttpReply,
    Transport,
    TransportCallbacks,
)
from portward.telemetry.events import Event

_random: Final = Random()  # noqa: S311 - spreads load, keeps no secret


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
        draining = self._node.draining
        session = self._node.session_opening.open(self._handshake, link, draining=draining)
        if self.bond is not None:
            self.bond.session = session
        return session

    def cancel(self) -> None:
        """Release what was counted, if no session was created."""
        if not self._used:
            self._used = True
            self._node.admission_control.left(self._handshake)


class PathHandshakes:
    """Implements `node.sessions.PathHandler`. Without an endpoint, every handshake gets 404.

    `answer` serves the plain HTTP requests of a path that has some; `page` is the page of a protocol, at its
    path.
    """

    def __init__(
        self,
        node: Node,
        endpoint: ActiveEndpoint | None = None,
        *,
        answer: Answer | None = None,
        page: HttpPage | None = None,
    ) -> None:
        named = endpoint if page is None else page.endpoint
        self.endpoint = endpoint
        self.answer = answer
        self._named = named
        self._node = node
        self._page = page

    async def admit(
        self, head: RequestHead, parameters: PathParameters = (), *, upgrade_checked: bool = False
    ) -> AdmittedHandshake:
        """Check a handshake and admit it.

        Raises:
            HandshakeRejected: with the row of the outcome table.
        """
        endpoint = self.endpoint
        try:
            handshake = await self._node.admission_control.check(
                head, endpoint, parameters, upgrade_checked=upgrade_checked
            )
        except HandshakeRejected as refused:
            if endpoint is None or not endpoint.rules.refuses_by_close:
                raise
            closed = self._closed(head, endpoint, refused, upgrade_checked=upgrade_checked)
            raise closed or refused from None
        return AdmittedHandshake(self._node, handshake)

    def _closed(
        self,
        head: RequestHead,
        endpoint: ActiveEndpoint,
        refused: HandshakeRejected,
        *,
        upgrade_checked: bool,
    ) -> ClosedRefusal | None:
        """Return the rejection as a close code, where the page may connect."""
        node = self._node
        try:
            subprotocol = node.admission_control.check_page(
                head, endpoint, upgrade_checked=upgrade_checked
            )
        except HandshakeRejected:
            return None
        now = int(node.clock.time() * 1000)
        return closed_refusal(endpoint, refused, subprotocol, _random.random, now)

    def refused(self, head: RequestHead | None, refused: HandshakeRejected) -> None:
        """Log and count a rejection."""
        node, refusal = self._node, refused.refusal
        name = "none" if self._named is None else self._named.name
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
        if self._named is not None:
            self._named.observer.rejected(address, refusal, page=self._page is not None)


class HandshakeService(PathHandshakes):
    """Implements `node.sessions.HandshakeGate`."""

    def __init__(self, node: Node) -> None:
        super().__init__(node)
        self.pending = node.admission_control.pending
        self.has_capacity = node.admission_control.has_capacity
        self.handlers = {
            path: PathHandshakes(node, endpoint) for path, endpoint in node.endpoints.items()
        }
        self.handlers["/health"] = PathHandshakes(node, answer=self._health)
        for path, page in node.protocols.pages.items():
            answer = partial(self._answer_page, path, page)
            self.handlers[path] = PathHandshakes(node, answer=answer, page=page)
        self.find = PathRouter(self.handlers, self).find

    def _answer_page(self, path: str, page: HttpPage, head: RequestHead) -> HttpReply:
        """Answer a request for a page of a protocol."""
        try:
            return page.answer(head, self._node.admission_control.client_address(head))
        except HandshakeRejected as refused:
            self.handlers[path].refused(head, refused)
            return page.reject(refused)

    def _health(self, head: RequestHead) -> HttpReply | None:
        """Answer a request about the state of the node."""
        if head.method not in READ_METHODS:
            return None
        if self._node.draining:
            return HttpReply(503, b'{"status":"draining"}', JSON_HEADERS)
        return HttpReply(200, b'{"status":"ok"}', JSON_HEADERS)

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
