"""The protocol `rooms`: its predefined endpoint and namespace."""

from typing import Final

from portward.model.namespace import AccessRule, Namespace, PublishRight
from portward.settings.endpoint import EndpointSettings
from portward.settings.protocols.preset import DAY, ProtocolPreset

PRESET: Final = ProtocolPreset(
    name="rooms",
    endpoint=EndpointSettings(path="/rooms", dialect="rooms", namespace="rooms", idle_timeout=60.0),
    namespace=Namespace(
        name="rooms",
        history_size=1000,
        history_ttl=DAY,
        presence=True,
        publish=PublishRight.RIGHT,
        max_subscribers=100,
        authorize=AccessRule.ROLES,
        idle_ttl=DAY,
    ),
)
