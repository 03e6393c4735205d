"""The protocol `echo`: its predefined endpoint."""

from typing import Final

from portward.settings.endpoint import CredentialSource, EndpointSettings
from portward.settings.protocols.preset import ProtocolPreset

PRESET: Final = ProtocolPreset(
    name="echo",
    endpoint=EndpointSettings(
        enabled=False,
        path="/echo",
        dialect="echo",
        credentials=(CredentialSource.HEADER, CredentialSource.TICKET),
    ),
    unknown_when_off=True,
)
