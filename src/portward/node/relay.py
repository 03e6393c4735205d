"""Connections of sessions to the upstream, within the budgets of a session and a user."""

from collections.abc import Mapping
from math import ceil
from time import gmtime, strftime
from typing import Final

from portward.model.disconnects import Disconnect
from portward.model.errors import CommandError, ErrorKind, Unavailable
from portward.model.replies import UpstreamConnected
from portward.model.upstream import UpstreamClosed
from portward.node.ports import Parameters, UpstreamLink, UpstreamPort
from portward.node.sessions import ActiveEndpoint, NodeContext, Session
from portward.node.tunnel import Tunnel
from portward.security.relay import RelayPolicy
from portward.security.relay import opening as opening_event
from portward.security.usage import UpstreamUsage
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
        context: NodeContext,
        name: str,
        rules: UpstreamSettings,
        upstream: UpstreamPort | None,
    ) -> None:
        self.adopt(rules)
        self.upstream = upstream
        self._counted = f"tokens@{name}" if name else "tokens"
        self._engine = context.engine
        self._telemetry = context.telemetry
        self._background = context.background
        self._clock = context.clock
        self._empty: dict[str, int] = {}
        """The usage of users whose tokens of the day are used up, as far as this node knows."""

    def adopt(self, rules: UpstreamSettings) -> None:
        """Apply changed settings, to open sessions too."""
        self.rules = rules
        self.policy = RelayPolicy(
            strict=rules.policy is RelayMode.STRICT,
            allow=frozenset(rules.allow_events),
            pin=rules.pin,
            models=rules.models,
            allow_binary=rules.allow_binary,
        )

    async def connect(self, session: Session, model: str | None) -> UpstreamConnected:
        """Connect a session to the upstream; from then on its messages go there.

        Without a model, the one in the URL of the client is used, else the default one.

        Raises:
            CommandError: the model is not allowed; or the upstream is unreachable, or the budget of the user
                is used up, which both close the session.
            Unavailable: the budget cannot be read.
        """
        asked = session.handshake.model if model is None else model
        chosen = self.rules.models[0] if asked is None else asked
        if chosen not in self.rules.models:
            raise CommandError(ErrorKind.MODEL_REFUSED)
        await self._insist_on_budget(session)
        named = asked is not None or not _chosen_elsewhere(session.handshake.parameters)
        link = await self._open(session, chosen, named=named)
        # It may have ended while the upstream was being opened.
        if not session.alive:
            self._background.run(link.close(1001))
            raise CommandError(ErrorKind.NOT_AUTHENTICATED)
        session.tunnel = tunnel = Tunnel(
            session,
            link,
            chosen,
            self._telemetry,
            self._background,
            rules=lambda: self.rules,
            policy=lambda: self.policy,
            spent=self._spent,
            affords=self._affords,
        )
        tunnel.start()
        if self.rules.max_duration:
            session.end_at(self._clock.monotonic() + self.rules.max_duration)
        return UpstreamConnected(model=chosen if named else None)

    async def _open(self, session: Session, model: str, *, named: bool) -> UpstreamLink:
        try:
            return await self._reach(model, session.handshake.parameters, named=named)
        except (Unavailable, UpstreamClosed) as error:
            self._telemetry.record(
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
                self._background.run(link.close(1001))
                raise
        return link

    async def _insist_on_budget(self, session: Session) -> None:
        if self.rules.max_tokens and await self._used(session, 0) >= self.rules.max_tokens:
            session.end(Disconnect.QUOTA, "the user's tokens of the day are used up")
            raise CommandError(ErrorKind.LIMIT_EXCEEDED)

    async def _used(self, session: Session, tokens: int) -> int:
        purse = self._purse(session)
        used = await self._engine.counters.add(purse, tokens, 2 * DAY)
        if 0 < self.rules.max_tokens <= used:
            self._empty[purse] = used
            if len(self._empty) > EMPTY:
                del self._empty[next(iter(self._empty))]
        return used

    def _purse(self, session: Session) -> str:
        """Return the key under which the tokens of today are counted for a session."""
        day = strftime("%Y-%m-%d", gmtime(self._clock.time()))
        # Clients without a token are counted by address: they all have the same subject.
        proven = session.endpoint.rules.authenticated
        return f"{self._counted} {day} {session.limit_keys[0] if proven else session.keys[0]}"

    def _affords(self, session: Session) -> bool:
        """Return whether the budget of the user is left; another session may have used it up."""
        return (
            not self.rules.max_tokens
            or self._empty.get(self._purse(session), 0) < self.rules.max_tokens
        )

    def _spent(self, session: Session, used: UpstreamUsage) -> None:
        """Count the usage that the upstream reports; over the budget of the user the session is closed."""
        self._telemetry.metrics.upstream_usage(used.tokens, used.seconds)
        tokens = used.tokens + ceil(used.seconds * self.rules.tokens_per_second)
        if tokens:
            self._background.run(self._spend(session, tokens))

    async def _spend(self, session: Session, tokens: int) -> None:
        used = await self._used(session, tokens)
        limit = self.rules.max_tokens
        if 0 < limit <= used:
            session.end(Disconnect.QUOTA, "the user's tokens of the day are used up")


class Relays:
    """The relays to all upstreams, by the names that endpoints use for them."""

    def __init__(self, context: NodeContext, upstreams: Mapping[str, UpstreamPort | None]) -> None:
        self._relays = {
            name: Relay(context, name, each, upstreams.get(name))
            for name, each in context.settings.now.relays.items()
        }

    def is_configured(self, endpoint: ActiveEndpoint) -> bool:
        """Return whether there is a key for the upstream of an endpoint."""
        return self.of(endpoint).upstream is not None

    def of(self, endpoint: ActiveEndpoint) -> Relay:
        """Return the relay of an endpoint.

        Raises:
            KeyError: the endpoint has no upstream.
        """
        return self._relays[endpoint.rules.upstream]

    async def connect(self, session: Session, model: str | None) -> UpstreamConnected:
        """Connect a session to the upstream of its endpoint, see :meth:`Relay.connect`."""
        return await self.of(session.endpoint).connect(session, model)

    def adopt(self, rules: Mapping[str, UpstreamSettings]) -> None:
        """Apply changed rules, to open sessions too."""
        for name, relay in self._relays.items():
            relay.adopt(rules.get(name, relay.rules))

    def use(self, name: str, upstream: UpstreamPort | None) -> None:
        """Use another upstream client for new sessions."""
        self._relays[name].upstream = upstream
