"""The protocol `relay`: its predefined endpoint."""

from typing import Final

from portward.model.limits import MIB, Rate
from portward.settings.endpoint import REALTIME, CredentialSource, EndpointSettings
from portward.settings.formats import UNLIMITED
from portward.settings.limits import ConnectionLimit, Limits, RateLimit
from portward.settings.protocols.preset import ProtocolPreset

PRESET: Final = ProtocolPreset(
    name="realtime",
    endpoint=EndpointSettings(
        path="/realtime",
        dialect="relay",
        credentials=(
            CredentialSource.MESSAGE,
            CredentialSource.HEADER,
            CredentialSource.SUBPROTOCOL,
        ),
        auth_timeout=10.0,
        auth_attempts=3,
        max_message=MIB,
        # A message of the upstream may have 16 MiB and must fit.
        backpressure_threshold=17 * MIB,
        # Audio comes in many small messages; the table `upstream` limits its cost.
        limits=Limits(
            connections=ConnectionLimit(max=3),
            attempts=RateLimit(rate=Rate(10, 60.0, 10)),
            messages=RateLimit(rate=UNLIMITED),
        ),
    ),
    subprotocols=frozenset({REALTIME}),
)
