"""Settings of the admission of handshakes, with all defaults applied."""

from dataclasses import dataclass
from typing import Final

from portward.model.limits import Rate
from portward.security.client_address import AddressRules
from portward.security.hosts import HostPolicy

ACCEPT_RATE: Final = Rate(500, 1.0, 500)


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRules:
    """The rules for the handshakes of all endpoints."""

    addresses: AddressRules
    hosts: HostPolicy
    max_connections: int = 10_000
    max_unauthenticated: int = 2_000
    accept_rate: Rate = ACCEPT_RATE
    require_https: bool = False
    """Reject requests that did not use TLS; for production behind a proxy that terminates TLS."""
