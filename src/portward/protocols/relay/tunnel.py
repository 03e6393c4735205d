"""The connection of one session to the upstream: complete messages both ways, in order, with backpressure."""

import asyncio
from contextlib import suppress
from typing import Final, Protocol

from portward.model.disconnects import Disconnect
from portward.model.limits import KIB, OUTBOX_COUNT
from portward.node.sessions import NodeContext, Session
from portward.protocols.relay.policy import RelayPolicy
from portward.protocols.relay.ports import UpstreamClosed, UpstreamLink
from portward.protocols.relay.usage import UpstreamUsage, usage
from portward.settings.upstream import UpstreamSettings

UNSENT: Final = 256 * KIB
"""Unsent bytes to the client above which the upstream is not read."""
WAITING: Final = OUTBOX_COUNT // 2
"""Messages that may be unsent, however small."""
_NO_STATUS: Final = 1005
_SENDABLE: Final = frozenset({1000, 1001, 1002, 1003, *range(1007, 1015)})
"""Close codes an endpoint may send (RFC 6455 section 7.4.1), beside 3000-4999."""


def sendable(code: int | None) -> int | None:
    """Return the close code to pass on, 1000 for a close without a code. None when it may not be sent."""
    if code == _NO_STATUS:
        return 1000
    if code is not None and (code in _SENDABLE or 3000 <= code <= 4999):  # noqa: PLR2004 - RFC 6455
        return code
    return None


class UpstreamBudget(Protocol):
    """The rules and budgets of one upstream, which a reload may change."""

    context: NodeContext
    rules: UpstreamSettings
    policy: RelayPolicy

    def affords(self, session: Session) -> bool:
        """Return whether the user of a session has tokens left."""

    def spent(self, session: Session, used: UpstreamUsage) -> None:
        """Count the usage that the upstream reports."""


class Tunnel:
    """Relays messages between one client and the upstream; `forward` takes those of the client."""

    def __init__(
        self, session: Session, upstream: UpstreamLink, model: str, budget: UpstreamBudget
    ) -> None:
        self._session = session
        self._upstream = upstream
        self._model = model
        self._budget = budget
        self._telemetry = budget.context.telemetry
        self._background = budget.context.background
        self._messages = 0
        self._bytes = 0
        self._waiting = 0
        self._pump: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start to relay messages of the upstream, after those already queued for the client."""
        self._telemetry.metrics.upstream_connections.add(amount=1)
        self._pump = asyncio.ensure_future(self._run())
        self._background.adopt(self._pump)

    async def forward(self, payload: bytes, *, binary: bool) -> None:
        """Pass a message on, if policy and budget allow; waits while the upstream does not read.

        Raises:
            CommandError: the event is rejected, and was not sent.
        """
        rules = self._budget.rules
        if not self._budget.affords(self._session):
            self._session.end(Disconnect.QUOTA, "the user's tokens of the day are used up")
            return
        self._budget.policy.judge(payload, binary=binary, model=self._model)
        self._messages += 1
        if 0 < rules.max_messages < self._messages:
            self._session.end(Disconnect.QUOTA, "more messages than a session may send")
            return
        if self._count(len(payload)):
            with suppress(UpstreamClosed):  # the pump gets it too, after earlier messages
                await self._upstream.send(payload, binary=binary)

    def _count(self, size: int) -> bool:
        """Count bytes of both directions. Returns False over the limit, which closes the session."""
        self._bytes += size
        if 0 < self._budget.rules.max_bytes < self._bytes:
            self._session.end(Disconnect.QUOTA, "more bytes than a session may take")
            return False
        return True

    async def _run(self) -> None:
        try:
            while self._session.alive:
                await self._room()
                payload, binary = await self._upstream.receive()
                self._pass_on(payload, binary=binary)
        except UpstreamClosed as closed:
            self._closed(closed)

    async def _room(self) -> None:
        """Wait until the client has read enough."""
        link = self._session.transport
        unsent = link.unsent()
        if not unsent:
            self._waiting = 0
        if unsent <= UNSENT and self._waiting < WAITING:
            return
        taken = asyncio.Event()
        link.when_sent(taken.set)
        await taken.wait()
        self._waiting = 0

    def _pass_on(self, payload: bytes, *, binary: bool) -> None:
        """Write a message to the client first, then count its usage, which may close the session."""
        if self._count(len(payload)):
            self._waiting += 1
            framing = self._session.endpoint.framing
            self._session.transport.write(
                framing.binary(payload) if binary else framing.text(payload)
            )
            self._telemetry.metrics.sent(self._session.endpoint.name, "relayed", len(payload))
        used = usage(payload)
        if used:
            self._budget.spent(self._session, used)

    def _closed(self, closed: UpstreamClosed) -> None:
        """Close the client as the upstream closed, with the same code where that may be sent."""
        passed = sendable(closed.code)
        if passed is None:
            self._session.end(Disconnect.BAD_GATEWAY, "the upstream was lost")
        else:
            why = f": {closed.reason}" if closed.reason else ""
            cause = f"the upstream closed with {closed.code}{why}"
            ending = Disconnect.UPSTREAM_CLOSED
            self._session.end(ending, cause, close=(passed, ending.reason))

    def close(self, ending: Disconnect) -> None:
        """Close the upstream after the session has ended, with the close code of the client if it has one."""
        if self._pump is not None and self._pump is not asyncio.current_task():
            self._pump.cancel()
        if ending is Disconnect.NORMAL:
            code = sendable(self._session.peer_code) or 1011
        elif ending is Disconnect.GOING_AWAY:
            code = 1011
        else:
            code = 1001
        self._telemetry.metrics.upstream_connections.add(amount=-1)
        self._background.run(self._upstream.close(code))
