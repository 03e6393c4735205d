"""The protocol `alerts`: its predefined endpoint and namespace."""

from typing import Final

from portward.model.limits import Rate
from portward.model.namespace import AccessRule, Namespace
from portward.settings.endpoint import CredentialSource, EndpointSettings
from portward.settings.limits import Limits, RateLimit
from portward.settings.protocols.preset import HOUR, ProtocolPreset

PRESET: Final = ProtocolPreset(
    name="alerts",
    endpoint=EndpointSettings(
        path="/alerts",
        dialect="alerts",
        namespace="alerts",
        credentials=(CredentialSource.HEADER, CredentialSource.QUERY, CredentialSource.TICKET),
        max_connections=100,
        farewell=5.0,
        # Each call counts, and a dashboard sends many at once.
        limits=Limits(join=RateLimit(rate=Rate(200, 60.0, 200), burst=100)),
    ),
    namespace=Namespace(
        name="alerts",
        history_size=500,
        history_ttl=HOUR,
        cooldown=2.0,
        combined=True,
        max_subscriptions=50,
        authorize=AccessRule.AUTHENTICATED,
    ),
    listed_origins_only=True,
)
