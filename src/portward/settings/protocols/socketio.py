"""The protocol `socketio`: its predefined endpoint and namespace."""

from typing import Final

from portward.model.namespace import AccessRule, Namespace, PublishRight
from portward.settings.endpoint import CredentialSource, EndpointSettings, Refuse, TransportKind
from portward.settings.limits import ConnectionLimit, Limits
from portward.settings.protocols.preset import HOUR, ProtocolPreset

PRESET: Final = ProtocolPreset(
    name="workspaces",
    endpoint=EndpointSettings(
        path="/socket.io/",
        dialect="socketio",
        transport=TransportKind.ENGINE_IO,
        namespace="workspaces",
        credentials=(CredentialSource.MESSAGE, CredentialSource.HEADER),
        refuse=Refuse.EVENT,
        auth_timeout=45.0,
        pong_timeout=20.0,
        max_message=100_000,
        limits=Limits(connections=ConnectionLimit(max=10)),
    ),
    namespace=Namespace(
        name="workspaces",
        history_size=100,
        history_ttl=HOUR,
        presence=True,
        publish=PublishRight.RIGHT,
        authorize=AccessRule.MEMBERSHIP,
    ),
)
