"""The input of a node: its resolved settings, and its ports."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from portward.engines.port import Engine
from portward.model.clock import Clock
from portward.model.limits import CONNECTIONS_PER_USER
from portward.node.ports import IdentityProviderPort, RightsQuestion, UpstreamPort, Verifier
from portward.node.sessions import GateRules
from portward.node.tunnel import RelayRules
from portward.security.session_tokens import SessionTokens
from portward.telemetry import Telemetry


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeRules:
    """The resolved settings of a node. Times are seconds."""

    gate: GateRules
    relays: Mapping[str, RelayRules] = field(default_factory=dict)
    """Rules of the upstreams by name; the default upstream has an empty name."""
    leeway: float = 30.0
    max_per_user: int = CONNECTIONS_PER_USER
    """Connections of one user at one endpoint; 0 for no limit."""
    revalidate: float = 60.0
    """Seconds within which a logout at the identity provider closes the connection."""
    older_log_names: bool = False
    """Whether events of an older relay are logged under its names as well."""
    instance: str = ""
    """The name of the node; generated when empty."""
    machine: str = ""
    """The name of the machine."""
    role_permissions: Mapping[str, frozenset[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class NodePorts:
    """The ports that `app.build` passes to a node."""

    engine: Engine
    verifier: Verifier
    question: RightsQuestion
    session_tokens: SessionTokens
    telemetry: Telemetry
    clock: Clock
    provider: IdentityProviderPort | None = None
    upstreams: Mapping[str, UpstreamPort | None] = field(default_factory=dict)
    """Clients of the upstreams by name; None for an upstream without a key."""
