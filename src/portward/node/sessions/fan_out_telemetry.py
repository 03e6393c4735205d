"""Metrics and log of the fan-out."""

from portward.hub.encoder import Encoder
from portward.model.channel import Channel
from portward.model.replies import Push
from portward.telemetry import Telemetry
from portward.telemetry.events import Event
from portward.telemetry.labels import type_name
from portward.wire.message import WireMessage


class FanOutTelemetry:
    """Implements `hub.Observer`: counts fan-outs and encoded pushes, records encoding errors."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry

    def fanned_out(
        self, channel: Channel, publications: int, deliveries: int, seconds: float
    ) -> None:
        """Count a fan-out."""
        self._telemetry.metrics.delivered(
            channel.partition(":")[0], publications, deliveries, seconds
        )

    def on_encoded(self, encoder: Encoder, push: Push, message: WireMessage, count: int) -> None:
        """Count an encoded push."""
        kind = type_name(type(push))
        self._telemetry.metrics.sent(encoder.name, kind, len(message.payloads[0]), count)

    def encode_failed(self, channel: Channel, error: Exception) -> None:
        """Record a push that could not be encoded for one endpoint."""
        self._telemetry.record(
            Event.INTERNAL_ERROR, channel=channel, error=type(error).__name__, detail="encode"
        )
