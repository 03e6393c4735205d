"""The node's shared parts, passed as one value."""

import asyncio
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from portward.engines.port import Engine
from portward.hub.channel_state import DeliveryOptions
from portward.hub.cooldown import Cooldown, all_alike
from portward.hub.encoder import Encoder
from portward.hub.hub import Hub
from portward.hub.registry import Registry
from portward.model.channel import Channel
from portward.model.clock import Clock
from portward.model.limits import COOLDOWN_COMBINED, COOLDOWN_TYPES
from portward.model.namespace import SlowPolicy
from portward.model.replies import Push
from portward.node.sessions.background import Background
from portward.node.sessions.cluster_limits import ClusterRateLimiter
from portward.node.sessions.endpoint import ActiveEndpoint
from portward.node.sessions.session import Session
from portward.node.sessions.timer_wheel import TimerWheel
from portward.node.stores import Stores
from portward.settings.resolve import SettingsInForce
from portward.telemetry import Telemetry
from portward.telemetry.events import Event
from portward.telemetry.labels import type_name
from portward.wire.message import WireMessage


class FanOutTelemetry:
    """Implements `hub.hub.Observer`: counts fan-outs and encoded pushes, records encoding errors."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry

    def fanned_out(
        self, channel: Channel, publications: int, deliveries: int, seconds: float
    ) -> None:
        """Count a fan-out."""
        self._telemetry.metrics.delivered(
            channel.partition(":")[0], publications, deliveries, seconds
        )

    def on_encoded(self, encoder: Encoder, push: Push, message: WireMessage, count: int) -> None:
        """Count an encoded push."""
        kind = type_name(type(push))
        self._telemetry.metrics.sent(encoder.name, kind, len(message.payloads[0]), count)

    def encode_failed(self, channel: Channel, error: Exception) -> None:
        """Record a push that could not be encoded for one endpoint."""
        self._telemetry.record(
            Event.INTERNAL_ERROR, channel=channel, error=type(error).__name__, detail="encode"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeContext:
    """What many parts of a node need. None of it needs another part of the node."""

    engine: Engine
    stores: Stores
    clock: Clock
    telemetry: Telemetry
    settings: SettingsInForce
    endpoints: Mapping[str, ActiveEndpoint]
    """By path."""
    uid: str
    """The id of this run of the node."""
    machine: str
    """The name of the machine."""
    hub: Hub
    fan_out: FanOutTelemetry
    registry: Registry[Session]
    background: Background
    wheel: TimerWheel
    cluster_limits: ClusterRateLimiter
    call_soon: Callable[[Callable[[], None]], object]
    """Runs a callable at the end of this turn of the event loop."""


def make_context(
    engine: Engine,
    clock: Clock,
    telemetry: Telemetry,
    settings: SettingsInForce,
    endpoints: Mapping[str, ActiveEndpoint],
    machine: str = "",
) -> NodeContext:
    """Make the shared parts. Call it while the event loop runs."""
    call_soon = asyncio.get_running_loop().call_soon
    wheel = TimerWheel(clock, telemetry.failure)
    fan_out = FanOutTelemetry(telemetry)
    options = partial(_delivery_options, settings, endpoints, clock)
    return NodeContext(
        engine=engine,
        stores=Stores(engine, clock),
        clock=clock,
        telemetry=telemetry,
        settings=settings,
        endpoints=endpoints,
        uid=settings.now.server.instance_id or secrets.token_hex(8),
        machine=machine,
        hub=Hub(call_soon, fan_out, clock.monotonic, options, wheel.schedule_at),
        fan_out=fan_out,
        registry=Registry(),
        background=Background(telemetry.failure),
        wheel=wheel,
        cluster_limits=ClusterRateLimiter(engine),
        call_soon=call_soon,
    )


def _delivery_options(
    settings: SettingsInForce,
    endpoints: Mapping[str, ActiveEndpoint],
    clock: Clock,
    channel: Channel,
) -> DeliveryOptions:
    """Return the delivery settings of one channel.

    The protocol of an endpoint of the namespace defines the urgency of publications.
    """
    namespace, cooldown = settings.now.namespaces[channel.namespace], None
    if namespace.cooldown:
        remembered = COOLDOWN_COMBINED if channel.is_combined else COOLDOWN_TYPES
        ranks = (
            endpoint.protocol.urgency
            for endpoint in endpoints.values()
            if endpoint.protocol.ranked
            and endpoint.namespace is not None
            and endpoint.namespace.name == namespace.name
        )
        urgency = next(ranks, all_alike)
        cooldown = Cooldown(namespace.cooldown, clock.monotonic, remembered, urgency)
    return DeliveryOptions(cooldown=cooldown, latest_only=namespace.slow is SlowPolicy.LATEST_ONLY)
