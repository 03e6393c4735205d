"""The relay of one node: its upstreams, the protocol object of each session, and the status page."""

from collections.abc import Callable, Mapping
from functools import partial

from portward.model.commands import Command
from portward.model.disconnects import Disconnect
from portward.model.errors import CommandError, ErrorKind
from portward.model.replies import AnsweredLater, Expiring, Parting, Push, Reply
from portward.node.commands import Handler
from portward.node.protocol_service import HttpPage, ProtocolContext, ProtocolService
from portward.node.sessions import ActiveEndpoint, ClientProtocol, Session
from portward.protocols.relay.protocol import ConnectUpstream, Relayed, RelayProtocol, aside
from portward.protocols.relay.relay import Relay
from portward.protocols.relay.request import RequestedRelay
from portward.protocols.relay.status import StatusPage
from portward.protocols.relay.tunnel import Tunnel
from portward.protocols.relay.upstream import UpstreamClient
from portward.settings.resolve import ResolvedSettings
from portward.settings.upstream import UpstreamSettings

STATUS_PATH = "/test"


def make_upstream(given: UpstreamSettings) -> UpstreamClient | None:
    """Make the client of an upstream; None when it has no key.

    Raises:
        ValueError: its address cannot be used.
    """
    if not given.api_key:
        return None
    return UpstreamClient(
        given.url,
        given.api_key.reveal,
        allow_private=given.allow_private,
        auth=(given.auth_header, given.scheme),
        timeout=given.connect_timeout,
    )


class RelayService(ProtocolService):
    """The relays to all upstreams, by the names that endpoints use for them."""

    def __init__(self, context: ProtocolContext) -> None:
        super().__init__(context)
        self._relays = {
            name: Relay(name, given, make_upstream(given), context.node)
            for name, given in context.node.settings.now.relays.items()
        }

    @property
    def handlers(self) -> Mapping[type[Command], Handler]:
        """Handlers of the request for an upstream, and of messages to it."""
        return {ConnectUpstream: self._connect, Relayed: self._forward}

    @property
    def pages(self) -> Mapping[str, HttpPage]:
        """The status page of the first endpoint."""
        served = self.context.served(RelayProtocol.name)
        return {STATUS_PATH: StatusPage(served[0], self.of(served[0]))} if served else {}

    def open(self, session: Session) -> ClientProtocol:
        """Return the protocol object of a new session."""
        return RelayConnection(session, self)

    def of(self, endpoint: ActiveEndpoint) -> Relay:
        """Return the relay of an endpoint.

        Raises:
            KeyError: the endpoint has no upstream.
        """
        return self._relays[endpoint.rules.upstream]

    def prepare(self, settings: ResolvedSettings) -> Callable[[], None]:
        """Make clients for the changed upstreams; new sessions use them, once they are applied.

        Raises:
            ValueError: the address of an upstream cannot be used.
        """
        changed = [
            partial(
                relay.adopt,
                settings.relays[name],
                relay.upstream
                if settings.relays[name] == relay.rules
                else make_upstream(settings.relays[name]),
            )
            for name, relay in self._relays.items()
            if name in settings.relays
        ]

        def apply() -> None:
            for adopt in changed:
                adopt()

        return apply

    @staticmethod
    async def _connect(session: Session, command: ConnectUpstream) -> Reply:
        return await _connection(session).connect(command.model)

    @staticmethod
    async def _forward(session: Session, command: Relayed) -> Reply:
        await _connection(session).forward(command)
        session.faults = 0
        return AnsweredLater()


class RelayConnection(RelayProtocol):
    """The protocol of one session: that of the gateway until the upstream is connected, then both."""

    def __init__(self, session: Session, service: RelayService) -> None:
        request = session.handshake.request
        self._request = request if isinstance(request, RequestedRelay) else RequestedRelay()
        self._session = session
        self._service = service
        self._tunnel: Tunnel | None = None
        # The first message that a transparent client gets must be one of the upstream.
        self.ready = self.announces = not self._request.transparent

    def decode(self, payload: bytes, binary: bool) -> Command:
        """Decode one message; once the upstream is connected, most are for it."""
        if self._tunnel is None:
            return super().decode(payload, binary)
        return aside(payload) or Relayed(payload=payload, binary=binary)

    def push(self, push: Push, now: int) -> bytes | None:
        """Encode a push. A transparent client gets only what it must react to."""
        if self._request.transparent and not isinstance(push, Parting | Expiring):
            return None
        return super().push(push, now)

    async def start(self) -> None:
        """Connect a transparent client.

        Raises:
            CommandError: the upstream refuses, or a budget is used up.
            Unavailable: the budget cannot be read.
        """
        if not self._request.transparent:
            return
        try:
            await self.connect(None)
        except CommandError as fault:
            if fault.kind is not ErrorKind.MODEL_REFUSED:
                raise
            self._service.context.replies.reply_error(self._session, fault)
            # Not at once: ending with this disconnect drops queued messages, and the reply may be queued.
            end = partial(self._session.end, Disconnect.PERMISSION_LOST)
            self._service.context.node.call_soon(partial(end, "a model that is not allowed"))

    async def connect(self, model: str | None) -> Reply:
        """Connect to the upstream, see `Relay.connect`."""
        relay = self._service.of(self._session.endpoint)
        self._tunnel, reply = await relay.connect(self._session, self._request, model)
        self.ready = True
        return reply

    async def forward(self, command: Relayed) -> None:
        """Pass a message on, see `Tunnel.forward`."""
        if self._tunnel is not None:
            await self._tunnel.forward(command.payload, binary=command.binary)

    def closed(self, ending: Disconnect) -> None:
        """Close the upstream."""
        if self._tunnel is not None:
            self._tunnel.close(ending)


def _connection(session: Session) -> RelayConnection:
    protocol: ClientProtocol = session.protocol
    assert isinstance(protocol, RelayConnection)  # noqa: S101 - only its sessions have these commands
    return protocol
