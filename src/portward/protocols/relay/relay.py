"""Connections of sessions to the upstream, within the budgets of a session and a user."""

from math import ceil
from time import gmtime, strftime
from typing import Final

from portward.model.disconnects import Disconnect
from portward.model.errors import CommandError, ErrorKind, Unavailable
from portward.node.sessions import NodeContext, Session
from portward.protocols.relay.policy import RelayPolicy
from portward.protocols.relay.policy import opening as opening_event
from portward.protocols.relay.ports import Parameters, UpstreamClosed, UpstreamLink, UpstreamPort
from portward.protocols.relay.protocol import UpstreamConnected
from portward.protocols.relay.request import RequestedRelay
from portward.protocols.relay.tunnel import Tunnel
from portward.protocols.relay.usage import UpstreamUsage
from portward.settings.upstream import RelayMode, UpstreamSettings
from portward.telemetry.events import Event

DAY: Final = 86400.0
EMPTY: Final = 10_000
"""The number of used-up budgets that are stored, the latest ones."""


def _chosen_elsewhere(parameters: Parameters) -> bool:
    """Return whether the upstream already knows the model of a session, and rejects a model parameter."""
    return any(pair == ("intent", "transcription") or pair[0] == "call_id" for pair in parameters)


class Relay:
    """Connects sessions to one upstream, whose name may be empty.

    `upstream` is None when no key for it is set.
    """

    def __init__(
        self,
        name: str,
        rules: UpstreamSettings,
        upstream: UpstreamPort | None,
        context: NodeContext,
    ) -> None:
        self.context = context
        self.adopt(rules, upstream)
        self._counted = f"tokens@{name}" if name else "tokens"
        self._empty: dict[str, int] = {}
        """The usage of users whose tokens of the day are used up, as far as this node knows."""

    def adopt(self, rules: UpstreamSettings, upstream: UpstreamPort | None) -> None:
        """Apply changed settings, to open sessions too; new ones use this client of the upstream."""
        self.rules = rules
        self.upstream = upstream
        self.policy = RelayPolicy(
            strict=rules.policy is RelayMode.STRICT,
            allow=frozenset(rules.allow_events),
            pin=rules.pin,
            models=rules.models,
            allow_binary=rules.allow_binary,
        )

    async def connect(
        self, session: Session, request: RequestedRelay, model: str | None
    ) -> tuple[Tunnel, UpstreamConnected]:
        """Connect a session to the upstream; from then on its messages go through the tunnel.

        Without a model, the one in the URL of the client is used, else the default one.

        Raises:
            CommandError: the model is not allowed; or the upstream is unreachable, or the budget of the user
                is used up, which both close the session.
            Unavailable: the budget cannot be read.
        """
        asked = request.model if model is None else model
        chosen = self.rules.models[0] if asked is None else asked
        if chosen not in self.rules.models:
            raise CommandError(ErrorKind.MODEL_REFUSED)
        await self._check_budget(session)
        named = asked is not None or not _chosen_elsewhere(request.parameters)
        link = await self._open(session, chosen, request.parameters, named=named)
        # It may have ended while the upstream was being opened.
        if not session.alive:
            self.context.background.run(link.close(1001))
            raise CommandError(ErrorKind.NOT_AUTHENTICATED)
        tunnel = Tunnel(session, link, chosen, self)
        tunnel.start()
        if self.rules.max_duration:
            session.end_at(self.context.clock.monotonic() + self.rules.max_duration)
        return tunnel, UpstreamConnected(model=chosen if named else None)

    async def _open(
        self, session: Session, model: str, parameters: Parameters, *, named: bool
    ) -> UpstreamLink:
        try:
            return await self._reach(model, parameters, named=named)
        except (Unavailable, UpstreamClosed) as error:
            self.context.telemetry.record(
                Event.UPSTREAM_FAIL, client=session.id, user=session.user, detail=str(error)
            )
            session.end(Disconnect.BAD_GATEWAY, "the upstream cannot be reached")
            raise CommandError(ErrorKind.UNAVAILABLE) from None

    async def _reach(self, model: str, parameters: Parameters, *, named: bool) -> UpstreamLink:
        """Connect, and set the pinned fields before the client can send anything."""
        if self.upstream is None:
            raise Unavailable("no key is set")
        link = await self.upstream.open(model, parameters, named=named)
        opening = opening_event(self.policy, model)
        if opening is not None:
            try:
                await link.send(opening, binary=False)
            except BaseException:
                self.context.background.run(link.close(1001))
                raise
        return link

    async def _check_budget(self, session: Session) -> None:
        if self.rules.max_tokens and await self._used(session, 0) >= self.rules.max_tokens:
            session.end(Disconnect.QUOTA, "the user's tokens of the day are used up")
            raise CommandError(ErrorKind.LIMIT_EXCEEDED)

    async def _used(self, session: Session, tokens: int) -> int:
        counter = self._counter(session)
        used = await self.context.engine.counters.add(counter, tokens, 2 * DAY)
        if 0 < self.rules.max_tokens <= used:
            self._empty[counter] = used
            if len(self._empty) > EMPTY:
                del self._empty[next(iter(self._empty))]
        return used

    def _counter(self, session: Session) -> str:
        """Return the key under which the tokens of today are counted for a session."""
        day = strftime("%Y-%m-%d", gmtime(self.context.clock.time()))
        # Clients without a token are counted by address: they all have the same subject.
        proven = session.endpoint.rules.authenticated
        return f"{self._counted} {day} {session.limit_keys[0] if proven else session.keys[0]}"

    def affords(self, session: Session) -> bool:
        """Return whether the budget of the user is left; another session may have used it up."""
        return (
            not self.rules.max_tokens
            or self._empty.get(self._counter(session), 0) < self.rules.max_tokens
        )

    def spent(self, session: Session, used: UpstreamUsage) -> None:
        """Count the usage that the upstream reports; over the budget of the user the session is closed."""
        self.context.telemetry.metrics.upstream_usage(used.tokens, used.seconds)
        tokens = used.tokens + ceil(used.seconds * self.rules.tokens_per_second)
        if tokens:
            self.context.background.run(self._spend(session, tokens))

    async def _spend(self, session: Session, tokens: int) -> None:
        used = await self._used(session, tokens)
        limit = self.rules.max_tokens
        if 0 < limit <= used:
            session.end(Disconnect.QUOTA, "the user's tokens of the day are used up")
