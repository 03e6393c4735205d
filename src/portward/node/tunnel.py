"""One session's connection to the upstream: whole messages both ways, in order, at the slower one's pace."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from portward.dialects import relay, strict_json
from portward.model.commands import Command
from portward.model.disconnects import Disconnect
from portward.model.limits import KIB, OUTBOX_COUNT
from portward.model.upstream import UpstreamClosed
from portward.node.background import Background
from portward.node.ports import UpstreamLink
from portward.node.session import Session
from portward.security.relay import RelayPolicy
from portward.security.usage import UpstreamUsage, usage
from portward.telemetry import Telemetry

UNSENT: Final = 256 * KIB
"""Bytes a client may have left unread before the upstream is read no further."""
WAITING: Final = OUTBOX_COUNT // 2
"""Messages that may wait for it, however small."""
_NO_STATUS: Final = 1005
_SENDABLE: Final = frozenset({1000, 1001, 1002, 1003, *range(1007, 1015)})
"""Codes an endpoint may put in a close frame (RFC 6455 section 7.4.1), beside 3000-4999."""


def sendable(code: int | None) -> int | None:
    """The code to pass on; a close without one is an ordinary one. None when it may not be sent."""
    if code == _NO_STATUS:
        return 1000
    if code is not None and (code in _SENDABLE or 3000 <= code <= 4999):  # noqa: PLR2004 - RFC 6455
        return code
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class RelayRules:
    """What sessions and users may spend. A figure of 0 means no bound; `max_duration` is in seconds."""

    policy: RelayPolicy
    max_duration: float = 3600.0
    max_messages: int = 0
    max_bytes: int = 0
    max_tokens: int = 0
    """Tokens of one user in one day (UTC), as the upstream counts them."""
    tokens_per_second: float = 10.0
    """Tokens that count for a second of audio, where the upstream reports that."""

    @property
    def models(self) -> tuple[str, ...]:
        """Models clients may choose; the first is the default."""
        return self.policy.models


class Tunnel:
    """Between one client and the upstream. The client's messages come in by `forward`."""

    def __init__(
        self,
        session: Session,
        upstream: UpstreamLink,
        model: str,
        telemetry: Telemetry,
        background: Background,
        *,
        rules: Callable[[], RelayRules],
        spent: Callable[[Session, UpstreamUsage], None],
        affords: Callable[[Session], bool],
    ) -> None:
        """`rules` are read each time, since they may change; `spent` is called with each report of usage.

        `affords` says whether the session's user has tokens left.
        """
        self._rules = rules
        self._spent = spent
        self._affords = affords
        self._session = session
        self._upstream = upstream
        self._model = model
        self._telemetry = telemetry
        self._background = background
        self._messages = 0
        self._bytes = 0
        self._waiting = 0
        self._pump: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to pass on what the upstream says, after what is already on its way to the client."""
        self._telemetry.metrics.upstream_connections(1)
        self._pump = asyncio.ensure_future(self._run())
        self._background.adopt(self._pump)

    @staticmethod
    def own(payload: bytes) -> Command | None:
        """The command in a message that is for the gateway and not for the upstream.

        Raises:
            Fault: the message is refused.
        """
        return relay.aside(payload)

    async def forward(self, payload: bytes, *, binary: bool) -> None:
        """Pass a message on, if policy and budget allow; waits while the upstream does not read.

        Raises:
            Fault: the event is refused, and was not sent.
        """
        rules = self._rules()
        if not self._affords(self._session):
            self._session.end(Disconnect.QUOTA, "the user's tokens of the day are used up")
            return
        rules.policy.judge(payload, binary=binary, model=self._model, parse=strict_json.parse)
        self._messages += 1
        if 0 < rules.max_messages < self._messages:
            self._session.end(Disconnect.QUOTA, "more messages than a session may send")
            return
        if self._count(len(payload)):
            with suppress(UpstreamClosed):  # the pump sees it too, after what was said before
                await self._upstream.send(payload, binary=binary)

    def _count(self, size: int) -> bool:
        """Count bytes of either way; False when they are too many, which ends the session."""
        self._bytes += size
        if 0 < self._rules().max_bytes < self._bytes:
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
        """Wait until the client has taken enough of what it was sent."""
        link = self._session.link
        unsent = link.unsent()
        if not unsent:
            self._waiting = 0
        if unsent <= UNSENT and self._waiting < WAITING:
            return
        taken = asyncio.Event()
        link.when_taken(taken.set)
        await taken.wait()
        self._waiting = 0

    def _pass_on(self, payload: bytes, *, binary: bool) -> None:
        """Hand a message to the client, then count what it reports: that may be the session's end."""
        if self._count(len(payload)):
            self._waiting += 1
            framing = self._session.endpoint.framing
            self._session.link.write(framing.binary(payload) if binary else framing.text(payload))
            self._telemetry.metrics.sent(self._session.endpoint.name, "relayed", len(payload))
        used = usage(payload)
        if used:
            self._spent(self._session, used)

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
        """The session has ended: close the upstream, with the client's own code where there is one."""
        if self._pump is not None and self._pump is not asyncio.current_task():
            self._pump.cancel()
        if ending is Disconnect.NORMAL:
            code = sendable(self._session.peer_code) or 1011
        elif ending is Disconnect.GOING_AWAY:
            code = 1011
        else:
            code = 1001
        self._telemetry.metrics.upstream_connections(-1)
        self._background.run(self._upstream.close(code))
