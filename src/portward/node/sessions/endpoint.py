"""Endpoints at run time: settings, protocol, limits and counts; and the facts of a handshake."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import msgspec

from portward.hub.encoder import Encoder
from portward.model.identity import Identity
from portward.model.limits import KIB, LimitName
from portward.model.namespace import Namespace
from portward.model.path_router import PathParameters
from portward.node.sessions.limits import Limiter
from portward.node.sessions.protocol import NO_OBSERVER, ClientProtocol, EndpointObserver
from portward.security.origin import OriginPolicy
from portward.settings.endpoint import CredentialSource
from portward.settings.resolve import Endpoint
from portward.wire.message import FrameBuilder

INBOX: Final = 16
"""Maximum number of messages of one connection that wait for its running command; then reading stops."""
INBOX_BYTES: Final = 256 * KIB
"""Maximum bytes of these waiting messages."""


@dataclass(slots=True, eq=False, kw_only=True)
class ActiveEndpoint:
    """The shared objects of one endpoint. `plain` and `deflated` are its encoders, `open` a count."""

    rules: Endpoint
    protocol: ClientProtocol
    namespace: Namespace | None
    origins: OriginPolicy
    limits: Mapping[LimitName, Limiter]
    framing: FrameBuilder
    plain: Encoder
    deflated: Encoder
    observer: EndpointObserver = NO_OBSERVER
    open: int = field(default=0)
    name: str = field(init=False)
    """The name in settings, metrics and logs."""
    by_message: bool = field(init=False)
    """Whether the credential may be sent in the first message."""
    by_cookie: bool = field(init=False)
    """Whether the credential may be a cookie, which browsers add automatically."""

    def __post_init__(self) -> None:
        self.name = self.rules.name
        self.by_message = CredentialSource.MESSAGE in self.rules.credentials
        self.by_cookie = self.rules.takes_cookies

    def entitles(self, identity: Identity) -> bool:
        """Return whether `identity` has one of the roles that the endpoint needs."""
        return not self.rules.roles or not identity.roles.isdisjoint(self.rules.roles)


def auto_created(endpoints: Mapping[str, ActiveEndpoint]) -> frozenset[str]:
    """Return the namespaces where an endpoint creates rooms on join."""
    return frozenset(
        endpoint.namespace.name
        for endpoint in endpoints.values()
        if endpoint.namespace is not None and endpoint.rules.auto_create
    )


class HandshakeFacts(msgspec.Struct, frozen=True):
    """The facts of an admitted handshake.

    `url` is the WebSocket URL the client used; `cookies` is a `Cookie` header value of the relevant
    cookies. Further requests of the session must show the same `origin` (of the page) and `proof` (a
    digest of the credential).
    """

    endpoint: ActiveEndpoint
    address: str
    keys: tuple[str, ...]
    id: str
    url: str = ""
    identity: Identity | None = None
    cookies: str = ""
    request: object = None
    """What it requests of the protocol of the endpoint, see `ClientProtocol.read_request`."""
    bearer: str = ""
    """A token not verified yet, for the protocol's own step of authentication."""
    over_cap: bool = False
    """Whether its address is over the cap of connections and the error is still to be sent."""
    origin: str = ""
    proof: str = ""
    subprotocol: str | None = None
    """The selected WebSocket subprotocol."""
    path_parameters: PathParameters = ()
    """Names and values of the parameters in the path of the endpoint."""

    def __repr__(self) -> str:
        return f"HandshakeFacts({self.id[:8]}, {self.endpoint.name})"
