"""The handshake service of the transports: admission, plain HTTP replies, and opening sessions."""

from collections.abc import Mapping
from random import Random
from typing import Final

from portward.model.handshake_errors import HandshakeRejected, HandshakeRejection
from portward.model.path_router import PathParameters, PathRouter
from portward.model.request import RequestHead
from portward.node.handshake.admission import AdmissionControl
from portward.node.handshake.closed_refusals import ClosedRefusal, closed_refusal
from portward.node.handshake.session_binding import SessionBinding, follow_up
from portward.node.handshake.session_opening import SessionOpening
from portward.node.protocol_service import JSON_HEADERS, READ_METHODS, HttpPage
from portward.node.sessions import (
    ActiveEndpoint,
    Admission,
    Answer,
    HandshakeFacts,
    HttpReply,
    NodeContext,
    Transport,
    TransportCallbacks,
)
from portward.telemetry.events import Event

_random: Final = Random()  # noqa: S311 - spreads load, keeps no secret


class AdmittedHandshake:
    """Implements `node.sessions.Admission`: an admitted handshake that has no link yet."""

    __slots__ = (
        "_admission", "_handshake", "_opening", "_used", "binding", "compression", "max_early",
        "max_message", "max_unsent", "subprotocol",
    )  # fmt: skip

    def __init__(
        self, admission: AdmissionControl, opening: SessionOpening, handshake: HandshakeFacts
    ) -> None:
        rules = handshake.endpoint.rules
        self._admission = admission
        self._opening = opening
        self._handshake = handshake
        self._used = False
        self.max_message = rules.max_message
        self.max_early = min(rules.max_message, rules.max_early)
        self.max_unsent = rules.backpressure_threshold
        self.compression = rules.compression
        self.subprotocol = handshake.subprotocol
        self.binding: SessionBinding | None = None
        """For sessions of several requests; None before the session exists."""

    def open(self, transport: Transport) -> TransportCallbacks:
        """Create the session of a transport."""
        self._used = True
        draining = self._admission.draining
        session = self._opening.open(self._handshake, transport, draining=draining)
        if self._handshake.endpoint.rules.steady_ping:
            self.binding = SessionBinding(self._handshake, session)
        return session

    def cancel(self) -> None:
        """Release what was counted, if no session was created."""
        if not self._used:
            self._used = True
            self._admission.left(self._handshake)


class PathHandshakes:
    """Implements `node.sessions.PathHandler`. Without an endpoint, every handshake gets 404.

    `named` is the endpoint in the log and the metrics.
    """

    answer: Answer | None = None

    def __init__(
        self,
        context: NodeContext,
        admission: AdmissionControl,
        opening: SessionOpening,
        endpoint: ActiveEndpoint | None = None,
        named: ActiveEndpoint | None = None,
    ) -> None:
        self.endpoint = endpoint
        self._named = named or endpoint
        self._context = context
        self._admission = admission
        self._opening = opening

    async def admit(
        self, head: RequestHead, parameters: PathParameters = (), *, upgrade_checked: bool = False
    ) -> AdmittedHandshake:
        """Check a handshake and admit it.

        Raises:
            HandshakeRejected: with a row of `HandshakeRejection`.
        """
        endpoint = self.endpoint
        try:
            handshake = await self._admission.check(
                head, endpoint, parameters, upgrade_checked=upgrade_checked
            )
        except HandshakeRejected as refused:
            if endpoint is None or not endpoint.rules.refuses_by_close:
                raise
            closed = self._closed(head, endpoint, refused, upgrade_checked=upgrade_checked)
            raise closed or refused from None
        return AdmittedHandshake(self._admission, self._opening, handshake)

    def _closed(
        self,
        head: RequestHead,
        endpoint: ActiveEndpoint,
        refused: HandshakeRejected,
        *,
        upgrade_checked: bool,
    ) -> ClosedRefusal | None:
        """Return the rejection as a close code, where the page may connect."""
        try:
            subprotocol = self._admission.check_page(
                head, endpoint, upgrade_checked=upgrade_checked
            )
        except HandshakeRejected:
            return None
        now = int(self._context.clock.time() * 1000)
        return closed_refusal(endpoint, refused, subprotocol, _random.random, now)

    def refused(self, head: RequestHead | None, refused: HandshakeRejected) -> None:
        """Log and count a rejection."""
        telemetry, refusal = self._context.telemetry, refused.refusal
        name = "none" if self._named is None else self._named.name
        address = self._admission.address(head) if head is not None else None
        telemetry.metrics.handshakes_refused_total.add((name, refusal.reason))
        telemetry.record(
            Event.ORIGIN_REJECT if refusal is HandshakeRejection.ORIGIN else Event.HANDSHAKE_REJECT,
            endpoint=name,
            address=address,
            status=refusal.status,
            reason=refusal.reason,
            detail=refused.detail or None,
            code=refused.code if isinstance(refused, ClosedRefusal) else None,
        )
        self._observe(address, refusal)

    def _observe(self, address: str | None, refusal: HandshakeRejection) -> None:
        if self._named is not None:
            self._named.observer.rejected(address, refusal, page=False)


class PageHandshakes(PathHandshakes):
    """The requests for a page of a protocol."""

    def __init__(
        self,
        context: NodeContext,
        admission: AdmissionControl,
        opening: SessionOpening,
        page: HttpPage,
    ) -> None:
        super().__init__(context, admission, opening, named=page.endpoint)
        self._page = page
        self.answer = self._answer

    def _answer(self, head: RequestHead) -> HttpReply:
        try:
            return self._page.answer(head, self._admission.client_address(head))
        except HandshakeRejected as refused:
            self.refused(head, refused)
            return self._page.reject(refused)

    def _observe(self, address: str | None, refusal: HandshakeRejection) -> None:
        self._page.endpoint.observer.rejected(address, refusal, page=True)


class HealthHandshakes(PathHandshakes):
    """The requests about the state of the node."""

    def __init__(
        self, context: NodeContext, admission: AdmissionControl, opening: SessionOpening
    ) -> None:
        super().__init__(context, admission, opening)
        self.answer = self._answer

    def _answer(self, head: RequestHead) -> HttpReply | None:
        if head.method not in READ_METHODS:
            return None
        if self._admission.draining:
            return HttpReply(503, b'{"status":"draining"}', JSON_HEADERS)
        return HttpReply(200, b'{"status":"ok"}', JSON_HEADERS)


class HandshakeService(PathHandshakes):
    """Implements `node.sessions.HandshakeGate`."""

    def __init__(
        self,
        context: NodeContext,
        admission: AdmissionControl,
        opening: SessionOpening,
        pages: Mapping[str, HttpPage],
    ) -> None:
        super().__init__(context, admission, opening)
        parts = context, admission, opening
        self.pending = admission.pending
        self.has_capacity = admission.has_capacity
        self.handlers: dict[str, PathHandshakes] = {
            path: PathHandshakes(*parts, endpoint) for path, endpoint in context.endpoints.items()
        }
        self.handlers["/health"] = HealthHandshakes(*parts)
        for path, page in pages.items():
            self.handlers[path] = PageHandshakes(*parts, page)
        self.find = PathRouter(self.handlers, PathHandshakes(*parts)).find

    async def verify_followup(self, head: RequestHead, admission: Admission) -> None:
        """Check a further request of a session.

        Raises:
            HandshakeRejected: FORBIDDEN when the session belongs to another client; else with
                a row of `HandshakeRejection`.
        """
        if not isinstance(admission, AdmittedHandshake) or admission.binding is None:
            raise HandshakeRejected(HandshakeRejection.FORBIDDEN, "no session of several requests")
        try:
            await follow_up(self._admission, head, admission.binding)
        except HandshakeRejected as refused:
            if refused.refusal is HandshakeRejection.FORBIDDEN:
                self._foreign(head, admission.binding, refused)
            raise

    def _foreign(
        self, head: RequestHead, binding: SessionBinding, refused: HandshakeRejected
    ) -> None:
        self._context.telemetry.record(
            Event.SESSION_FOREIGN,
            client=binding.handshake.id,
            endpoint=binding.handshake.endpoint.name,
            address=self._admission.address(head),
            detail=refused.detail,
        )
