"""The node: puts its parts together, starts, drains and stops them.

Built by `app.build`, which passes the concrete engine, verifier and telemetry as ports.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from portward.engines.port import Engine
from portward.model.clock import Clock, Timer
from portward.model.disconnects import Disconnect
from portward.model.namespace import Namespace
from portward.node.channels import (
    BatchSubscriptions,
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
    Survey,
    SurveyQuestion,
)
from portward.node.commands import (
    AuthenticationHandlers,
    ChannelHandlers,
    Dispatcher,
    ServerApi,
    SubscriptionHandlers,
    SurveyedNode,
)
from portward.node.handshake import (
    AdmissionControl,
    HandshakeAuthenticator,
    HandshakeCompletion,
    HandshakeService,
    LifecycleReports,
    NodeSessionHost,
    SessionOpening,
)
from portward.node.protocol_service import (
    ProtocolContext,
    ProtocolRegistration,
    ProtocolServices,
)
from portward.node.rights import (
    Authentication,
    Authorizer,
    CredentialVerifier,
    IdentityBinding,
    IdentityProviderPort,
    LimitedVerification,
    ResumableSessions,
    RightsQuestion,
    Verifier,
)
from portward.node.sessions import (
    ActiveEndpoint,
    Drain,
    HookRunner,
    Hooks,
    PendingConnections,
    ReplyWriter,
    make_context,
)
from portward.security.session_tokens import SessionTokens
from portward.settings.resolve import ResolvedSettings, SettingsInForce
from portward.telemetry import Telemetry
from portward.telemetry.events import Event

SWEEP_INTERVAL: Final = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePorts:
    """The ports that `app.build` passes to a node."""

    engine: Engine
    verifier: Verifier
    question: RightsQuestion
    session_tokens: SessionTokens
    telemetry: Telemetry
    clock: Clock
    machine: str
    """The name of the machine."""
    provider: IdentityProviderPort | None = None
    questions: Mapping[str, SurveyQuestion[Any, Any]] = field(default_factory=dict)
    """The questions of other nodes that this one answers, by name."""


class Node:
    """One gateway process."""

    def __init__(
        self,
        settings: ResolvedSettings,
        ports: NodePorts,
        endpoints: Mapping[str, ActiveEndpoint],
        protocols: Iterable[ProtocolRegistration],
        hooks: Hooks,
    ) -> None:
        """`endpoints` are by path. Call it while the event loop runs."""
        self.context = context = make_context(
            ports.engine,
            ports.clock,
            ports.telemetry,
            SettingsInForce(settings),
            endpoints,
            ports.machine,
        )
        self.clock, self.engine, self.telemetry = ports.clock, ports.engine, ports.telemetry
        self.endpoints, self.registry = endpoints, context.registry
        self.hub, self.background = context.hub, context.background
        self.started_at = self.clock.time()
        self.before_stop: set[Callable[[], Awaitable[None]]] = set()
        """Called and awaited before the sessions are closed."""
        self._sweeper: Timer | None = None
        self._assemble(ports, HookRunner(context, hooks), protocols)

    def _assemble(
        self, ports: NodePorts, hooks: HookRunner, protocols: Iterable[ProtocolRegistration]
    ) -> None:
        context, settings, provider = self.context, self.settings, ports.provider
        pending = PendingConnections(settings.gate.max_unauthenticated, context.clock)
        lifecycle = LifecycleReports(context, pending, hooks)

        self.authorizer = Authorizer(context, ports.question, provider)
        credentials = CredentialVerifier(context, ports.verifier, provider)
        self._limited = LimitedVerification(context, ports.verifier, provider)
        self.binding = IdentityBinding(context, self.authorizer, lifecycle)
        self.resumable = ResumableSessions(context, credentials, ports.session_tokens)
        self.authentication = Authentication(
            context, credentials, self._limited, self.binding, self.resumable
        )

        self.subscribe_cost = SubscribeCost(context, self.authorizer)
        self.gap_repair = GapRepair(context, self.authorizer)
        self.subscriptions = Subscriptions(
            context, self.authorizer, self.gap_repair, self.subscribe_cost
        )
        self.publishing = Publishing(context, self.authorizer)
        reply_writer = ReplyWriter(context.telemetry, context.clock, self.subscriptions.leave)
        recovering = Recovering(context.engine, self.subscriptions, reply_writer)
        multi_subscribe = MultiSubscribe(
            context, self.subscribe_cost, self.authorizer, recovering, reply_writer
        )

        self.rights_events = RightsEventHandler(context, self.binding, self.subscriptions)
        revalidation = Revalidation(
            context, provider, self._limited, self.binding, self.subscriptions
        )

        batch = BatchSubscriptions(self.authorizer, self.subscriptions, self.publishing)
        subscribing = SubscriptionHandlers(
            self.authorizer,
            self.subscriptions,
            self.subscribe_cost,
            recovering,
            multi_subscribe,
            batch,
        )
        channels = ChannelHandlers(
            context, self.authorizer, self.publishing, self.subscribe_cost, batch, hooks
        )
        authenticating = AuthenticationHandlers(self.authentication, self.subscriptions)
        self.protocols = ProtocolServices(
            protocols,
            ProtocolContext(
                node=context,
                authentication=self.authentication,
                binding=self.binding,
                authorizer=self.authorizer,
                subscriptions=self.subscriptions,
                publishing=self.publishing,
                hooks=hooks,
                replies=reply_writer,
                subscribing=subscribing,
                commands={
                    **channels.handlers,
                    **subscribing.handlers,
                    **authenticating.handlers,
                },
            ),
        )
        dispatcher = Dispatcher(context, self.protocols.handlers, reply_writer)

        self.admission_control = AdmissionControl(
            context,
            self.binding,
            HandshakeAuthenticator(context, credentials, self._limited, pending),
            pending,
        )
        host = NodeSessionHost(
            context,
            self.admission_control,
            lifecycle,
            self.subscriptions,
            dispatcher,
            revalidation,
        )
        completion = HandshakeCompletion(
            context, self.binding, self.resumable, reply_writer, revalidation
        )
        self.session_opening = SessionOpening(context, host, lifecycle, completion, self.protocols)

        self.handshakes = HandshakeService(
            context, self.admission_control, self.session_opening, self.protocols.pages
        )

        self.operations = ServerApi(
            context, credentials, self.authorizer, self.subscribe_cost, self.publishing, hooks
        )
        self.survey = Survey(
            context,
            SurveyedNode(self.operations, self.rights_events, context.telemetry),
            ports.questions,
        )
        self.maintenance = ClusterMaintenance(
            context,
            self.rights_events,
            PositionCheck(context, self.authorizer, self.gap_repair),
            self.operations.info,
            self.survey,
        )
        self._audit_exporter = AuditExporter(context)

    @property
    def settings(self) -> ResolvedSettings:
        """The settings in force."""
        return self.context.settings.now

    @property
    def namespaces(self) -> Mapping[str, Namespace]:
        """The namespaces by name."""
        return self.context.settings.now.namespaces

    @property
    def draining(self) -> bool:
        """Whether new connections are rejected because of a drain."""
        return self.admission_control.draining

    async def start(self) -> None:
        """Connect the engine and start the periodic work."""
        handlers = {**self.rights_events.handlers, **self.survey.handlers}
        events = BusEventHandler(self.context, self.gap_repair, self.maintenance, handlers)
        await self.engine.start(events)
        try:
            await self.context.stores.start()
        except BaseException:
            await self.engine.stop()
            raise
        self.telemetry.metrics.engine_up.set(self.engine.healthy)
        self.maintenance.start()
        self._audit_exporter.start()
        self._sweeper = self.clock.call_later(SWEEP_INTERVAL, self._sweep)

    def _sweep(self) -> None:
        self.background.run(self.engine.sweep())
        self.context.stores.revocations.sweep()
        self.telemetry.metrics.engine_up.set(self.engine.healthy)
        self.telemetry.metrics.count_channels(self.engine.streams.stream_counts())
        self._sweeper = self.clock.call_later(SWEEP_INTERVAL, self._sweep)

    async def drain(self, seconds: float) -> None:
        """Reject new connections, close all sessions in order, and return when they are closed.

        Connections that are still open after `seconds` are aborted.
        """
        self.admission_control.start_drain()
        self.telemetry.record(Event.DRAIN_START, count=len(self.registry))
        finished = self.admission_control.emptied
        Drain(self.registry, self.clock, seconds, finished).begin()
        await finished.wait()
        self.telemetry.record(Event.DRAIN_END, count=self.admission_control.inside)

    async def stop(self) -> None:
        """Close the remaining sessions, wait for background work, disconnect the engine."""
        await asyncio.gather(*(close() for close in tuple(self.before_stop)))
        self.admission_control.start_drain()
        for session in self.registry:
            if isinstance(session.task, asyncio.Task):
                self.background.adopt(session.task)
                session.task.cancel()
            session.end(Disconnect.SHUTDOWN, "stop")
            session.transport.abort()
        if self._sweeper is not None:
            self._sweeper.cancel()
            self.maintenance.stop()
        self.context.wheel.stop()
        await self.background.drain(1.0)
        self._audit_exporter.stop()
        await self.background.drain(1.0)
        await self.engine.stop()

    def adopt(self, settings: ResolvedSettings) -> None:
        """Apply changed settings; the rights of open sessions are checked again."""
        self.context.settings.adopt(settings)
        self._limited.forget_refusals()
        for session in self.registry:
            self.background.run(self.rights_events.reauthorize_user(session))
