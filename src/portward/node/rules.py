"""The ports of a node."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from portward.engines.port import Engine
from portward.model.clock import Clock
from portward.node.cluster import SurveyQuestion
from portward.node.ports import IdentityProviderPort, RightsQuestion, Verifier
from portward.security.session_tokens import SessionTokens
from portward.telemetry import Telemetry


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
