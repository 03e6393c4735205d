"""The node: assembles the services, opens and closes sessions, and dispatches their messages.

Built by `app.build`, which passes the concrete engine, verifier and telemetry as ports.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any, Final

from portward.hub.channel_state import DeliveryOptions
from portward.hub.hub import Hub
from portward.hub.registry import Registry
from portward.model.channel import Channel
from portward.model.clock import Timer
from portward.model.commands import Command
from portward.model.disconnects import Disconnect
from portward.model.errors import CommandError, ErrorKind, Unavailable
from portward.model.identity import Identity
from portward.model.lifecycle import Transition
from portward.model.namespace import Namespace
from portward.model.replies import Welcome
from portward.node.approvals import ApprovalRequests
from portward.node.channels import (
    FanOutTelemetry,
    GapRepair,
    MultiSubscribe,
    Publishing,
    Recovering,
    SubscribeCost,
    Subscriptions,
)
from portward.node.cluster import (
    AuditExporter,
    BusEventHandler,
    ClusterMaintenance,
    PositionCheck,
    Revalidation,
    RightsEventHandler,
)
from portward.node.commands import CommandHandlers, Dispatcher
from portward.node.handshake import AdmissionControl, StatusPage
from portward.node.hooks import HookRunner
from portward.node.legacy_events import LegacyRelayEvents
from portward.node.pending_replay import PendingReplay
from portward.node.ports import Hooks
from portward.node.relay import Relays
from portward.node.rights import (
    RELEASED_TTL,
    Authentication,
    Authorizer,
    CredentialJudge,
    RoomRecords,
)
from portward.node.rules import NodePorts
from portward.node.server_api import ServerApi
from portward.node.sessions import (
    ActiveEndpoint,
    Background,
    ClusterRateLimiter,
    Drain,
    HandshakeFacts,
    NodeContext,
    PendingSession,
    ReplyWriter,
    Session,
    TimerWheel,
    auto_created,
    ends,
    traits,
)  # fmt: skip
from portward.node.socketio_connect import ConnectAuthentication
from portward.node.socketio_connection import SocketIoConnection
from portward.node.socketio_namespaces import SocketIoNamespaces
from portward.node.workspaces import WorkspaceCommands
from portward.protocols.socketio import SocketIoPacket, SocketIoProtocol
from portward.settings.resolve import ResolvedSettings, SettingsInForce
from portward.telemetry.events import Event

SWEEP_INTERVAL: Final = 10.0


class Node:
    """One gateway process; implements `SessionHost` for sessions."""

    def __init__(
        self,
        settings: ResolvedSettings,
        ports: NodePorts,
        endpoints: Mapping[str, ActiveEndpoint],
        hooks: Hooks,
    ) -> None:
        """`endpoints` are by path. Call it while the event loop runs."""
        self._settings = SettingsInForce(settings)
        self.clock = ports.clock
        self.engine = ports.engine
        self.telemetry = ports.telemetry
        self.endpoints = endpoints
        self.wheel = TimerWheel(ports.clock, self.telemetry.failure)
        self._loop = asyncio.get_running_loop()
        self.registry: Registry[Session] = Registry()
        self.background = Background(self.telemetry.failure)
        self.hooks = HookRunner(hooks, self.background, self.telemetry.failure)
        fan_out = FanOutTelemetry(self.telemetry)
        self.on_encoded = fan_out.on_encoded
        self.hub = Hub(
            self.later,
            fan_out,
            self.clock.monotonic,
            self._delivery_options,
            self.wheel.schedule_at,
        )
        self.started_at = self.clock.time()
        self._drain: Drain | None = None
        self._sweeper: Timer | None = None
        self._assemble(ports)

    def _assemble(self, ports: NodePorts) -> None:
        engine, telemetry, clock = ports.engine, ports.telemetry, ports.clock
        settings = self.settings
        relays = [each for each in self.endpoints.values() if each.rules.relays]
        self.legacy_events = LegacyRelayEvents(
            telemetry, (each.name for each in relays), exact=settings.log.older_names
        )
        self.cluster_limits = ClusterRateLimiter(engine)
        self.context = context = NodeContext(
            engine=engine,
            hub=self.hub,
            registry=self.registry,
            clock=clock,
            telemetry=telemetry,
            background=self.background,
            cluster_limits=self.cluster_limits,
            call_soon=self.later,
        )
        authorizer = Authorizer(
            engine,
            self._settings,
            ports.question,
            telemetry,
            RoomRecords(engine, telemetry, partial(auto_created, self.endpoints)),
            ports.provider,
        )
        authentication = Authentication(
            engine,
            self.registry,
            authorizer,
            ports.verifier,
            ports.session_tokens,
            telemetry,
            clock,
            settings=self._settings,
            bound=self._bound,
            admits=self._admits,
            opened=self._opened,
            judge=self._make_judge(ports),
            provider=ports.provider,
        )
        self._subscribe_cost = SubscribeCost(context, authorizer)
        self.gap_repair = GapRepair(context, authorizer)
        self.subscriptions = Subscriptions(
            context, authorizer, self.gap_repair, self._subscribe_cost
        )
        self.remove_subscription = self.subscriptions.remove
        self._revalidation = self._make_revalidation(ports, authentication)
        self.rights_events = RightsEventHandler(
            self.registry, authentication, self.subscriptions, self.background, telemetry, clock
        )
        publishing = Publishing(
            engine, authorizer, telemetry, clock, self._settings, self.background
        )
        self._authorizer = authorizer
        self._authentication = authentication
        self.relays = Relays(
            settings.relays, ports.upstreams, engine, telemetry, self.background, clock
        )
        reply_writer = ReplyWriter(telemetry, clock, self.subscriptions.leave)
        self.sockets = SocketIoNamespaces(
            ConnectAuthentication(authentication, self.subscriptions, self._let_in),
            self.subscriptions,
            self.hooks,
            self.background,
            self.registry,
            reply_writer.reply,
        )
        backlog = PendingReplay(engine, self.background, clock)
        self.workspaces = WorkspaceCommands(
            engine, publishing, self.hooks, backlog, telemetry, clock
        )
        self.requests = ApprovalRequests(engine, self.workspaces, clock)
        recovering = Recovering(engine, self.subscriptions, reply_writer)
        commands = CommandHandlers(
            authentication,
            authorizer,
            self.subscriptions,
            publishing,
            engine,
            self.hooks,
            self.relays,
            self.sockets,
            self.workspaces,
            self.cluster_limits,
            self._subscribe_cost,
            recovering,
            MultiSubscribe(context, self._subscribe_cost, authorizer, recovering, reply_writer),
            telemetry,
        )
        self._dispatcher = Dispatcher(
            commands, telemetry, clock, self.telemetry.failure, reply_writer, self.cluster_limits
        )
        self.admission_control = AdmissionControl(
            settings, authentication, self.cluster_limits, telemetry, clock
        )
        self.status_page = (
            StatusPage(
                relays[0],
                clock,
                configured=lambda: self.relays.of(relays[0]).upstream is not None,
                address=self.admission_control.client_address,
            )
            if relays
            else None
        )
        self.operations = ServerApi(
            engine=engine,
            hub=self.hub,
            registry=self.registry,
            authorizer=authorizer,
            authentication=authentication,
            subscriptions=self.subscriptions,
            subscribe_cost=self._subscribe_cost,
            publishing=publishing,
            telemetry=telemetry,
            clock=clock,
            published=self.hooks.published,
            uid=settings.server.instance_id,
            machine=ports.machine,
        )
        self.maintenance = ClusterMaintenance(
            engine=engine,
            registry=self.registry,
            judges=self.rights_events,
            comparison=PositionCheck(context, authorizer, self.gap_repair),
            counted=self.cluster_limits.count,
            info=self.operations.info,
            telemetry=telemetry,
            background=self.background,
            clock=clock,
        )
        name = settings.server.instance_id or ports.machine
        self._audit_exporter = AuditExporter(engine, telemetry, self.background, clock, name)

    def _make_judge(self, ports: NodePorts) -> CredentialJudge:
        provider = ports.provider
        confirmed = provider.confirmed if provider is not None else lambda _: False
        return CredentialJudge(
            ports.verifier,
            confirmed,
            self.cluster_limits,
            ports.telemetry,
            self.legacy_events,
            ports.clock,
        )

    def _make_revalidation(
        self, ports: NodePorts, authentication: Authentication
    ) -> Revalidation | None:
        if ports.provider is None:
            return None
        return Revalidation(
            ports.provider,
            authentication,
            self.subscriptions,
            self.background,
            self.clock,
            self.settings.identity_provider.revalidate,
        )

    @property
    def settings(self) -> ResolvedSettings:
        """The settings in force."""
        return self._settings.now

    @property
    def namespaces(self) -> Mapping[str, Namespace]:
        """The namespaces by name."""
        return self._settings.now.namespaces

    def later(self, action: Callable[[], None]) -> None:
        """Run `action` at the end of this turn of the event loop."""
        self._loop.call_soon(action)

    # -- start, drain, stop, reload

    @property
    def draining(self) -> bool:
        """Whether new connections are rejected because of a drain."""
        return self.admission_control.draining

    async def start(self) -> None:
        """Connect the engine and start the periodic sweep."""
        sink = BusEventHandler(
            self.hub,
            self.registry,
            self.rights_events,
            self.gap_repair,
            self.maintenance,
            self.clock,
        )
        await self.engine.start(sink)
        self.telemetry.metrics.engine_up.set(self.engine.healthy)
        self.maintenance.start()
        self._audit_exporter.start()
        self._sweeper = self.clock.call_later(SWEEP_INTERVAL, self._sweep)

    def _sweep(self) -> None:
        self.background.run(self.engine.sweep())
        self.telemetry.metrics.engine_up.set(self.engine.healthy)
        self.telemetry.metrics.count_channels(self.engine.streams.stream_counts())
        self._sweeper = self.clock.call_later(SWEEP_INTERVAL, self._sweep)

    async def drain(self, seconds: float) -> None:
        """Reject new connections, close all sessions in order, and return when they are closed.

        Connections that are still open after `seconds` are aborted.
        """
        self.admission_control.draining = True
        self.telemetry.record(Event.DRAIN_START, count=len(self.registry))
        self._drain = Drain(self.registry, self.clock, seconds)
        self._drain.begin()
        if not self.admission_control.inside:
            self._drain.finished.set()
        await self._drain.finished.wait()
        self.telemetry.record(Event.DRAIN_END, count=self.admission_control.inside)

    async def stop(self) -> None:
        """Close the remaining sessions, wait for background work, disconnect the engine."""
        self.admission_control.draining = True
        for session in self.registry:
            if isinstance(session.task, asyncio.Task):
                self.background.adopt(session.task)
                session.task.cancel()
            session.end(Disconnect.SHUTDOWN, "stop")
            session.transport.abort()
        if self._sweeper is not None:
            self._sweeper.cancel()
            self.maintenance.stop()
        self.wheel.stop()
        await self.background.drain(1.0)
        self._audit_exporter.stop()
        await self.background.drain(1.0)
        await self.engine.stop()

    def adopt(self, settings: ResolvedSettings) -> None:
        """Apply changed settings; the rights of open sessions are checked again."""
        self._settings.now = settings
        self.relays.adopt(settings.relays)
        self._authentication.limited_verification.forget_refusals()
        for session in self.registry:
            self.background.run(self.rights_events.reauthorize_user(session))

    # -- opening and closing sessions

    def open(self, handshake: HandshakeFacts, session: Session) -> None:
        """Register a session whose link is set, send `Welcome`, and bind the identity of its handshake."""
        endpoint = handshake.endpoint
        if isinstance(endpoint.protocol, SocketIoProtocol):  # the rest of it is in `namespaces`
            session.conversation = SocketIoConnection(session, endpoint.protocol, self.sockets)
        self.registry.add(session)
        self.admission_control.unauthenticated += 1
        if handshake.identity is None:
            pending = PendingSession(session, self.telemetry)
            self.admission_control.pending.add(session, pending, handshake.keys)
        self.telemetry.metrics.connection_opened(endpoint.name)
        self.telemetry.record(
            Event.CONN_OPEN,
            client=session.id,
            endpoint=endpoint.name,
            address=session.address,
        )
        self.legacy_events.established(endpoint.name, session.address, len(self.registry))
        session.push(Welcome(connection_id=session.id))
        session.begin()
        if self.draining:
            session.end(Disconnect.SHUTDOWN, "let in before the drain began")
        elif handshake.identity is not None and session.conversation is None:
            session.run(self._bind(session, handshake.identity))

    async def _bind(self, session: Session, identity: Identity) -> None:
        """Bind the identity of the handshake, and do what the handshake requested."""
        try:
            if session.endpoint.rules.authenticated:
                await self._authentication.bind(session, identity)
            else:
                self._let_in(session, identity)
            if self._revalidation is not None and session.handshake.cookies:
                self._revalidation.begin(session)
            if session.handshake.transparent:
                await self.relays.connect(session, None)
            elif session.endpoint.protocol.resumable and session.endpoint.rules.authenticated:
                greeting = await self._authentication.open_resumable_session(session, identity)
                self._dispatcher.reply(session, Command(), greeting)
        except CommandError as fault:
            if fault.kind is ErrorKind.MODEL_REFUSED:
                self._dispatcher.reply_error(session, fault)
                # Not at once: ending with this disconnect drops queued messages, and the reply may be queued.
                self.later(
                    partial(session.end, Disconnect.PERMISSION_LOST, "a model that is not allowed")
                )
                return
            session.end(Disconnect.AUTH_FAILED, f"after the handshake: {fault}")
        except Unavailable:
            session.end(Disconnect.INTERNAL, "after the handshake: the store cannot be asked")
        except Exception as error:  # noqa: BLE001 - as in `serve`
            self.telemetry.failure(error)
            session.end(Disconnect.INTERNAL, "after the handshake")

    def _let_in(self, session: Session, identity: Identity) -> None:
        """Admit a session of an endpoint without authentication."""
        session.claims = session.identity = identity
        session.move(Transition.ADMIT)
        session.transport.authenticated()
        self._bound(session)
        self._opened(session)

    def _opened(self, session: Session) -> None:
        self.hooks.opened(session)
        if session.conversation is not None and session.identity is not None:
            self.telemetry.metrics.workspaces.enter(session.id, session.identity.workspace)
        if session.endpoint.rules.authenticated:
            self.legacy_events.authenticated(session.endpoint.name, session.address, session.user)

    def _bound(self, session: Session) -> None:
        self.admission_control.unauthenticated -= 1
        self.admission_control.pending.remove(session)

    def recheck(self, session: Session) -> None:
        """Ask the identity provider about a session that was authenticated by cookie."""
        if self._revalidation is not None:
            self._revalidation.recheck(session)

    async def _admits(self, session: Session) -> bool:
        return not self.hooks.on_connect or await self.hooks.connect(session)

    def ended(self, session: Session, ending: Disconnect, cause: str) -> None:
        """Remove a session from every map."""
        if session.identity is None:
            self._bound(session)
        if ending in ends.DISCARDING:
            session.transport.discard()
        if session.tunnel is not None:
            session.tunnel.close(ending)
        self.sockets.ended(session, ending)
        self.hooks.disconnected(session, ending)
        self._subscribe_cost.store_returns(session, ending)
        self.subscriptions.abandon(session, drop=ending is not Disconnect.SHUTDOWN)
        self.registry.remove(session, session.user)
        if session.resume_id is not None:
            self.background.run(
                self.engine.sessions.release(session.resume_id, session.id, RELEASED_TTL)
            )
        ends.record(self.telemetry, session, ending, cause, self.clock.monotonic())

    def unhandled(self, session: Session, count: int) -> None:
        """Record that messages received before the close of the peer were dropped."""
        ends.unhandled(self.telemetry, session, count)

    def connection_lost(self, handshake: HandshakeFacts) -> None:
        """Release what a connection counted for, after its transport is closed."""
        self.admission_control.left(handshake)
        if self._drain is not None and not self.admission_control.inside:
            self._drain.finished.set()

    # -- messages

    def serve(
        self, session: Session, payload: bytes | SocketIoPacket, binary: bool
    ) -> Coroutine[Any, Any, None]:
        """Decode, count, execute and answer one message. Raises nothing."""
        return self._dispatcher.handle_message(session, payload, binary)

    def _delivery_options(self, channel: Channel) -> DeliveryOptions:
        return traits(
            self._settings.now.namespaces[channel.namespace], channel, self.endpoints, self.clock
        )
