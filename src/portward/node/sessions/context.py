"""The node's shared parts, passed as one value."""

import asyncio
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from portward.engines.port import Engine
from portward.hub.hub import Hub
from portward.hub.registry import Registry
from portward.model.clock import Clock
from portward.node.sessions.background import Background
from portward.node.sessions.cluster_limits import ClusterRateLimiter
from portward.node.sessions.delivery_options import delivery_options
from portward.node.sessions.endpoint import ActiveEndpoint
from portward.node.sessions.fan_out_telemetry import FanOutTelemetry
from portward.node.sessions.session import Session
from portward.node.sessions.timer_wheel import TimerWheel
from portward.node.stores import Stores
from portward.settings.resolve import SettingsInForce
from portward.telemetry import Telemetry


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
    options = partial(delivery_options, settings, endpoints, clock)
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
