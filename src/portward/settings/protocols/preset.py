"""The settings that a protocol predefines."""

from typing import Final

from msgspec import Struct

from portward.model.namespace import Namespace
from portward.settings.endpoint import EndpointSettings

HOUR: Final = 3600.0
DAY: Final = 24 * HOUR


class ProtocolPreset(Struct, frozen=True, kw_only=True):
    """The predefined endpoint `name` of a protocol, and the namespace that it uses."""

    name: str
    endpoint: EndpointSettings
    namespace: Namespace | None = None
    unknown_when_off: bool = False
    """Whether it answers 404 while it is switched off, as a path without an endpoint does."""
    listed_origins_only: bool = False
    """Whether an endpoint with listed origins admits no handshake without an `Origin` header."""
    subprotocols: frozenset[str] = frozenset()
    """Names of WebSocket subprotocols that its endpoints answer with."""
