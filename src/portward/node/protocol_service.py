"""Registration of protocols, and the part of a protocol that a node has once."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol, TypeVar

from portward.model.commands import Command
from portward.model.handshake_errors import HandshakeRejected
from portward.model.request import RequestHead
from portward.node.channels import Publishing, Subscriptions
from portward.node.commands import Handler, Handlers, SubscriptionHandlers
from portward.node.rights import Authentication, Authorizer, IdentityBinding
from portward.node.sessions import (
    ActiveEndpoint,
    ClientProtocol,
    EndpointObserver,
    HookRunner,
    Hooks,
    HttpReply,
    NodeContext,
    ReplyWriter,
    Session,
)
from portward.settings.resolve import Endpoint, ResolvedSettings
from portward.telemetry import Telemetry


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtocolContext:
    """What the service of a protocol gets from its node."""

    node: NodeContext
    authentication: Authentication
    binding: IdentityBinding
    authorizer: Authorizer
    subscriptions: Subscriptions
    publishing: Publishing
    hooks: HookRunner
    replies: ReplyWriter
    subscribing: SubscriptionHandlers
    commands: Handlers
    """The handlers of the core."""

    def served(self, protocol: str) -> list[ActiveEndpoint]:
        """Return the endpoints with a protocol."""
        return [each for each in self.node.endpoints.values() if each.protocol.name == protocol]


P = TypeVar("P", bound="ProtocolService")

READ_METHODS: Final = frozenset({"GET", "HEAD"})
JSON_HEADERS: Final = (("Content-Type", "application/json"), ("Cache-Control", "no-store"))


class HttpPage(Protocol):
    """A page of a protocol on the public listener."""

    @property
    def endpoint(self) -> ActiveEndpoint:
        """The endpoint whose rules it follows."""

    def answer(self, head: RequestHead, address: str) -> HttpReply:
        """Answer a request of a client with this address.

        Raises:
            HandshakeRejected: the request is rejected.
        """

    def reject(self, refused: HandshakeRejected) -> HttpReply:
        """Answer a rejected request."""


class ProtocolService:
    """The part of a protocol that a node has once. The default is for a protocol that only translates."""

    def __init__(self, context: ProtocolContext) -> None:
        self.context = context

    @property
    def handlers(self) -> Mapping[type[Command], Handler]:
        """Handlers of commands of its own, and those that replace one of the core for its sessions."""
        return {}

    @property
    def pages(self) -> Mapping[str, HttpPage]:
        """Its pages by path."""
        return {}

    def open(self, session: Session) -> ClientProtocol:
        """Return the protocol object of a new session."""
        return session.endpoint.protocol

    def prepare(self, settings: ResolvedSettings) -> Callable[[], None]:
        """Prepare changed settings; the result applies them.

        Raises:
            ValueError: they cannot be used.
        """
        del settings
        return lambda: None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtocolRegistration:
    """A protocol, as `portward.protocols.registry` lists it.

    `make` makes the protocol of an endpoint, `service` the part that a node has once, `observe` what gets
    the events of an endpoint beside the log. `admin_methods` are modules with methods of the admin API.
    """

    name: str
    make: Callable[[Endpoint, Hooks], ClientProtocol]
    service: Callable[[ProtocolContext], ProtocolService] = ProtocolService
    observe: Callable[[ResolvedSettings, Telemetry], EndpointObserver] | None = None
    admin_methods: tuple[object, ...] = field(default=())


class ProtocolServices:
    """The services of all protocols of a node."""

    def __init__(
        self, registrations: Iterable[ProtocolRegistration], context: ProtocolContext
    ) -> None:
        self.registrations = tuple(registrations)
        self._services = {each.name: each.service(context) for each in self.registrations}
        self.handlers: Mapping[str, Mapping[type[Command], Handler]] = {
            name: {**context.commands, **each.handlers} for name, each in self._services.items()
        }
        """The handlers by protocol: those of the core and its own."""
        self.pages: Mapping[str, HttpPage] = {
            path: page for each in self._services.values() for path, page in each.pages.items()
        }
        """The pages of all protocols by path."""

    def open(self, session: Session) -> ClientProtocol:
        """Return the protocol object of a new session."""
        return self._services[session.endpoint.protocol.name].open(session)

    def of(self, kind: type[P]) -> P:
        """Return the service of a protocol by its class.

        Raises:
            LookupError: no protocol has such a service.
        """
        for each in self._services.values():
            if isinstance(each, kind):
                return each
        raise LookupError(kind.__name__)

    def prepare(self, settings: ResolvedSettings) -> list[Callable[[], None]]:
        """Prepare changed settings for every protocol; the results apply them.

        Raises:
            ValueError: they cannot be used.
        """
        return [each.prepare(settings) for each in self._services.values()]
