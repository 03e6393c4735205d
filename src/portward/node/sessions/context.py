"""The node's shared parts, passed as one value."""

from collections.abc import Callable
from dataclasses import dataclass

from portward.engines.port import Engine
from portward.hub.hub import Hub
from portward.hub.registry import Registry
from portward.model.clock import Clock
from portward.node.sessions.background import Background
from portward.node.sessions.cluster_limits import ClusterRateLimiter
from portward.node.sessions.session import Session
from portward.telemetry import Telemetry


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeContext:
    """What many parts of a node need. None of it needs another part of the node."""

    engine: Engine
    hub: Hub
    registry: Registry[Session]
    clock: Clock
    telemetry: Telemetry
    background: Background
    cluster_limits: ClusterRateLimiter
    call_soon: Callable[[Callable[[], None]], object]
    """Runs a callable at the end of this turn of the event loop."""
