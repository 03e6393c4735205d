"""The typed tree of all settings: every key, its type, its default and its meaning.

Times are seconds and sizes bytes. A key that is None is not set: its default depends on the environment or
on other keys, and :mod:`~portward.settings.resolve` puts it in its place.
"""

from collections.abc import Mapping
from typing import Annotated

from msgspec import Struct, field

from portward.model.namespace import Namespace
from portward.settings.endpoint import EndpointSettings
from portward.settings.limits import DEFAULT_LIMITS, Limits
from portward.settings.meta import FieldMeta
from portward.settings.operation import (
    AdminSettings,
    AuditSettings,
    LogSettings,
    MetricsSettings,
)
from portward.settings.presets import ENDPOINTS, NAMESPACES
from portward.settings.rooms import DeclaredRoom
from portward.settings.sections import (
    EngineSettings,
    Environment,
    GateSettings,
    IdentityProviderSettings,
    ServerSettings,
)
from portward.settings.tokens import Tokens
from portward.settings.upstream import UpstreamSettings


class Settings(Struct, frozen=True, kw_only=True):
    """All settings. `Settings()` has the defaults."""

    environment: Environment = Environment.DEVELOPMENT
    """What it is run for; production is stricter."""
    server: ServerSettings = ServerSettings()
    """The listeners and the process."""
    gate: GateSettings = GateSettings()
    """Who is let in before anyone asks for a credential."""
    tokens: Tokens = field(default_factory=Tokens)
    """How tokens (JWT) are verified."""
    engine: EngineSettings = EngineSettings()
    """Where shared state lives."""
    identity_provider: IdentityProviderSettings = field(default_factory=IdentityProviderSettings)
    """The service that knows whose cookies a browser sends."""
    upstream: UpstreamSettings = field(default_factory=UpstreamSettings)
    """The realtime API behind endpoints that speak `relay`, and what it may cost."""
    upstreams: Mapping[str, UpstreamSettings] = field(default_factory=dict)
    """More upstreams, for endpoints that name one in `endpoints.<name>.upstream`."""
    limits: Limits = DEFAULT_LIMITS
    """How often and how many, per table."""
    roles: Mapping[
        str, Annotated[tuple[str, ...], FieldMeta("permissions this role gives", reload=True)]
    ] = field(default_factory=dict)
    """Permissions by role; `*` ends a pattern."""
    admin: AdminSettings = AdminSettings()
    """The admin API."""
    log: LogSettings = LogSettings()
    """The log."""
    metrics: MetricsSettings = MetricsSettings()
    """The metrics."""
    audit: AuditSettings = AuditSettings()
    """The chained record of security events."""
    endpoints: Mapping[str, EndpointSettings] = field(default_factory=lambda: dict(ENDPOINTS))
    """The doors: each a path, a dialect and a namespace."""
    namespaces: Mapping[str, Namespace] = field(default_factory=lambda: dict(NAMESPACES))
    """Families of channels and their options."""
    rooms: Annotated[Mapping[str, DeclaredRoom], FieldMeta(reload=True, free=True)] = field(
        default_factory=dict
    )
    """Rooms that are there from the start, by id: `[rooms.lobby]`. They do not end, also when they
    are declared no longer: `portward rooms remove` removes one.
    """

    @property
    def engine_url(self) -> str:
        """The address of the engine."""
        return "memory://" if self.engine.url is None else self.engine.url

    @property
    def production(self) -> bool:
        """Whether the strict defaults of production apply."""
        return self.environment is Environment.PRODUCTION

    def upstream_of(self, endpoint: EndpointSettings) -> UpstreamSettings:
        """Return the upstream of a `relay` endpoint.

        Raises:
            KeyError: its upstream does not exist.
        """
        return self.upstreams[endpoint.upstream] if endpoint.upstream else self.upstream

    @property
    def relayed(self) -> dict[str, UpstreamSettings]:
        """The upstreams of enabled endpoints, by the key of their table."""
        relays = [
            each for each in self.endpoints.values() if each.enabled and each.dialect == "relay"
        ]
        return {
            f"upstreams.{each.upstream}" if each.upstream else "upstream": self.upstream_of(each)
            for each in relays
        }

    def origins(self, endpoint: EndpointSettings) -> tuple[str, ...]:
        """Return the origins that an endpoint accepts: its own, else those of `gate`.

        Empty means pages of this machine in development, and no page in production.
        """
        return endpoint.allowed_origins or self.gate.allowed_origins
