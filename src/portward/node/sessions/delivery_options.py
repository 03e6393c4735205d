"""Delivery settings of the channels of a namespace."""

from collections.abc import Mapping

from portward.hub.channel_state import DeliveryOptions
from portward.hub.cooldown import Cooldown, all_alike
from portward.model.channel import Channel
from portward.model.clock import Clock
from portward.model.limits import COOLDOWN_COMBINED, COOLDOWN_TYPES
from portward.model.namespace import SlowPolicy
from portward.node.sessions.endpoint import ActiveEndpoint
from portward.settings.resolve import SettingsInForce


def delivery_options(
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
