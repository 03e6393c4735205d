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

    environment: Annotated[Environment, FieldMeta("what it is run for; production is stricter")] = (
        Environment.DEVELOPMENT
    )
    server: Annotated[ServerSettings, FieldMeta("The listeners and the process.")] = (
        ServerSettings()
    )
    gate: Annotated[
        GateSettings, FieldMeta("Who is let in before anyone asks for a credential.")
    ] = GateSettings()
    tokens: Annotated[Tokens, FieldMeta("How tokens (JWT) are verified.")] = field(
        default_factory=Tokens
    )
    engine: Annotated[EngineSettings, FieldMeta("Where shared state lives.")] = EngineSettings()
    identity_provider: Annotated[
        IdentityProviderSettings, FieldMeta("The service that knows whose cookies a browser sends.")
    ] = field(default_factory=IdentityProviderSettings)
    upstream: Annotated[
        UpstreamSettings,
        FieldMeta("The realtime API behind endpoints that speak `relay`, and what it may cost."),
    ] = field(default_factory=UpstreamSettings)
    upstreams: Annotated[
        Mapping[str, UpstreamSettings],
        FieldMeta("More upstreams, for endpoints that name one in `endpoints.<name>.upstream`."),
    ] = field(default_factory=dict)
    limits: Annotated[Limits, FieldMeta("How often and how many, per table.")] = DEFAULT_LIMITS
    roles: Annotated[
        Mapping[
            str, Annotated[tuple[str, ...], FieldMeta("permissions this role gives", reload=True)]
        ],
        FieldMeta("Permissions by role; `*` ends a pattern."),
    ] = field(default_factory=dict)
    admin: Annotated[AdminSettings, FieldMeta("The admin API.")] = AdminSettings()
    log: Annotated[LogSettings, FieldMeta("The log.")] = LogSettings()
    metrics: Annotated[MetricsSettings, FieldMeta("The metrics.")] = MetricsSettings()
    audit: Annotated[AuditSettings, FieldMeta("The chained record of security events.")] = (
        AuditSettings()
    )
    endpoints: Annotated[
        Mapping[str, EndpointSettings],
        FieldMeta("The doors: each a path, a dialect and a namespace."),
    ] = field(default_factory=lambda: dict(ENDPOINTS))
    namespaces: Annotated[
        Mapping[str, Namespace], FieldMeta("Families of channels and their options.")
    ] = field(default_factory=lambda: dict(NAMESPACES))
    rooms: Annotated[
        Mapping[str, DeclaredRoom],
        FieldMeta(
            "Rooms that are there from the start, by id: `[rooms.lobby]`. They do not end, also when"
            " they are declared no longer: `portward rooms remove` removes one.",
            reload=True,
            free=True,
        ),
    ] = field(default_factory=dict)

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
