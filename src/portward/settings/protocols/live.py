"""The protocol `live`: its predefined endpoint and namespace."""

from typing import Final

from portward.model.limits import Rate
from portward.model.namespace import AccessRule, Namespace, Snapshot
from portward.settings.endpoint import CredentialSource, EndpointSettings
from portward.settings.limits import Limits, RateLimit
from portward.settings.protocols.preset import ProtocolPreset

PRESET: Final = ProtocolPreset(
    name="live",
    endpoint=EndpointSettings(
        path="/live",
        dialect="live",
        namespace="live",
        credentials=(CredentialSource.COOKIE,),
        limits=Limits(messages=RateLimit(rate=Rate(600, 60.0, 600))),
    ),
    namespace=Namespace(
        name="live", snapshot=Snapshot.LATEST_BY_KEY, authorize=AccessRule.IDENTITY_PROVIDER
    ),
)
