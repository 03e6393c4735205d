"""The gate as the transports see it: judging, the small HTTP answers, and opening sessions."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Final

import msgspec

from portward.model.refusals import Refusal, Refused
from portward.model.request import RequestHead
from portward.node.closed_refusals import ClosedRefusal, closed_refusal
from portward.node.endpoint import Endpoint, Newcomer, at_path
from portward.node.link import Admission, HttpAnswer, Link, Receiver
from portward.node.node import Node
from portward.node.pending_connections import PendingConnections
from portward.node.returning import Bond, follow_up
from portward.node.session import Session
from portward.node.status import StatusPage
from portward.telemetry.events import Event

_TEST: Final = "/test"
_READ: Final = frozenset({"GET", "HEAD"})
_JSON = (("Content-Type", "application/json"), ("Cache-Control", "no-store"))


@dataclass(frozen=True, slots=True)
class Answer:
    """Implements `node.link.HttpAnswer`."""

    status: int
    body: bytes
    headers: tuple[tuple[str, str], ...] = _JSON


class Entry:
    """Implements `node.link.Admission`: a newcomer that was let in and has no link yet."""

    __slots__ = (
        "_newcomer", "_node", "_used", "bond", "compression", "max_early", "max_message",
        "max_unsent",
        "subprotocol",
    )  # fmt: skip

    def __init__(self, node: Node, newcomer: Newcomer) -> None:
        rules = newcomer.endpoint.rules
        self._node = node
        self._newcomer = newcomer
        self._used = False
        self.max_message = rules.max_message
        self.max_early = min(rules.max_message, rules.max_early)
        self.max_unsent = rules.max_unsent
        self.compression = rules.compression
        self.subprotocol = newcomer.subprotocol
        self.bond = Bond(newcomer) if rules.steady_ping else None

    def open(self, link: Link) -> Receiver:
        """Make the session."""
        self._used = True
        session = Session(self._node, self._newcomer)
        session.link = link
        if self.bond is not None:
            self.bond.session = session
        self._node.open(self._newcomer, session)
        return session

    def cancel(self) -> None:
        """Give back what was counted, if no session was made."""
        if not self._used:
            self._used = True
            self._node.doorman.left(self._newcomer)


class NodeGate:
    """Implements `node.link.Gate`."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._random = Random()  # noqa: S311 - spreads load, keeps no secret
        self._answers: dict[str, Callable[[RequestHead], Answer]] = {"/health": self._health}
        if node.status_page is not None:
            self._answers[_TEST] = partial(self._test, node.status_page)

    @property
    def pending(self) -> PendingConnections:
        """The pool of those who have not proved anything."""
        return self._node.doorman.pending

    def room_for_one(self) -> Refusal | None:
        """The global cap."""
        return self._node.doorman.room_for_one()

    def answer(self, head: RequestHead) -> HttpAnswer | None:
        """`GET /health`: whether this node takes connections; `GET /test`: whether the relay does."""
        answer = at_path(self._answers, head.path)
        if answer is None or (answer == self._health and head.method not in _READ):
            return None
        return answer(head)

    def _test(self, page: StatusPage, head: RequestHead) -> Answer:
        try:
            allowed = page.preflight(head)
            if allowed:
                return Answer(204, b"", allowed)
            status = page.judge(head)
        except Refused as refused:
            self.refused(head, refused)
            if refused.refusal is Refusal.RATE:
                self._node.chronicle.limited(self._node.doorman.address(head))
            headers = (*refused.refusal.headers, *page.retry_after(refused))
            return Answer(refused.refusal.status, b"", headers)
        if head.method not in _READ:
            return Answer(405, b"", (("Allow", "GET"),))
        return Answer(200, msgspec.json.encode(status), (*_JSON, *page.headers(head)))

    def _health(self, _: RequestHead) -> Answer:
        if self._node.draining:
            return Answer(503, b'{"status":"draining"}')
        return Answer(200, b'{"status":"ok"}')

    async def admit(self, head: RequestHead, *, upgrade_checked: bool = False) -> Entry:
        """Judge a handshake.

        Raises:
            Refused: with the row of the outcome table.
        """
        try:
            newcomer = await self._node.doorman.judge(head, upgrade_checked=upgrade_checked)
        except Refused as refused:
            closed = self._closed(head, refused, upgrade_checked=upgrade_checked)
            raise closed or refused from None
        return Entry(self._node, newcomer)

    def _closed(
        self, head: RequestHead, refused: Refused, *, upgrade_checked: bool
    ) -> ClosedRefusal | None:
        """The refusal as a close code, where the endpoint is set so and the page may connect at all."""
        node = self._node
        endpoint = at_path(node.endpoints, head.path)
        if endpoint is None or not endpoint.rules.refuses_by_close:
            return None
        try:
            subprotocol = node.doorman.check_page(head, endpoint, upgrade_checked=upgrade_checked)
        except Refused:
            return None
        now = int(node.clock.time() * 1000)
        return closed_refusal(endpoint, refused, subprotocol, self._random.random, now)

    async def follow_up(self, head: RequestHead, admission: Admission) -> None:
        """Judge a further request of a session.

        Raises:
            Refused: FORBIDDEN when it is somebody else's; else with the row of the outcome table.
        """
        if not isinstance(admission, Entry) or admission.bond is None:
            raise Refused(Refusal.FORBIDDEN, "no session of several requests")
        try:
            await follow_up(self._node.doorman, head, admission.bond)
        except Refused as refused:
            if refused.refusal is Refusal.FORBIDDEN:
                self._foreign(head, admission.bond, refused)
            raise

    def _foreign(self, head: RequestHead, bond: Bond, refused: Refused) -> None:
        self._node.telemetry.record(
            Event.SESSION_FOREIGN,
            client=bond.newcomer.id,
            endpoint=bond.newcomer.endpoint.name,
            address=self._node.doorman.address(head),
            detail=refused.detail,
        )

    def _named(self, path: str) -> Endpoint | None:
        """The endpoint that a request is for."""
        page = self._node.status_page
        if page is not None and at_path({_TEST: page}, path) is not None:
            return page.endpoint
        return at_path(self._node.endpoints, path)

    def refused(self, head: RequestHead | None, refused: Refused) -> None:
        """Log and count a refusal."""
        node, refusal = self._node, refused.refusal
        endpoint = self._named(head.path) if head is not None else None
        name = endpoint.name if endpoint is not None else "none"
        address = node.doorman.address(head) if head is not None else None
        node.telemetry.metrics.refused(name, refusal)
        node.telemetry.record(
            Event.ORIGIN_REJECT if refusal is Refusal.ORIGIN else Event.HANDSHAKE_REJECT,
            endpoint=name,
            address=address,
            status=refusal.status,
            reason=refusal.reason,
            detail=refused.detail or None,
            code=refused.code if isinstance(refused, ClosedRefusal) else None,
        )
        asked = head is not None and head.path == _TEST
        node.chronicle.blocked(name, address, refusal, status_page=asked)
