"""What the node is handed: ports of rooms it must not name, and hooks of the application."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import msgspec

from portward.engines.port import Stored
from portward.model.channel import Channel
from portward.model.commands import Publish
from portward.model.identity import Identity
from portward.model.rights import Right
from portward.security.jws import TokenRefused

if TYPE_CHECKING:
    from portward.node.connection_handle import ConnectionHandle
    from portward.node.socketio_server import NamespaceHandlers


class Verifier(Protocol):
    """Turns a token into an identity."""

    def start(self) -> None:
        """Begin to fetch keys, where they come from elsewhere."""

    async def aclose(self) -> None:
        """Fetch no more."""

    @property
    def edition(self) -> int:
        """A number that changes whenever the same token may be judged otherwise: other keys, other rules."""

    async def identify(self, token: str) -> Identity:
        """Verify a token.

        Raises:
            TokenRefused: it is not valid.
            Unavailable: it cannot be judged now.
        """

    def lasts(self, refused: TokenRefused) -> bool:
        """Whether the same token stays refused for as long as the edition is the same."""


class RightsQuestion(Protocol):
    """Asks the application itself (rule `http`)."""

    async def aclose(self) -> None:
        """Close the connections to the application."""

    async def ask(self, url: str, who: Identity, channel: Channel, action: str) -> bool:
        """Whether `who` may do `action`; False when the application does not say a clear yes in time."""


class IdentityProviderPort(Protocol):
    """Knows who a browser's cookies belong to, and what they open."""

    async def identify(self, cookies: str, *, max_age: float | None = None) -> Identity:
        """Who sent `cookies`, a value of the `Cookie` header; an answer may be `max_age` seconds old.

        Raises:
            Fault: `AUTHENTICATION_FAILED`, nobody.
            Unavailable: the provider gives no answer that can be used.
        """

    async def allows(self, cookies: str, name: str, *, max_age: float | None = None) -> bool:
        """Whether who sent `cookies` may hear the topic `name`; `max_age` as in `identify`.

        Raises:
            Unavailable: the provider gives no answer that can be used.
        """

    def confirmed(self, cookies: str) -> bool:
        """Whether the provider said within the last day whose `cookies` are, and not otherwise since."""

    def absent(self) -> None:
        """Count a handshake without cookies."""

    async def aclose(self) -> None:
        """Close the connections to the provider."""


Parameters: TypeAlias = tuple[tuple[str, str], ...]
"""Names and values for the query of an address, as yet unencoded."""


class UpstreamLink(Protocol):
    """One connection to the upstream. Messages are whole; text is UTF-8."""

    async def send(self, payload: bytes, *, binary: bool) -> None:
        """Send a message; waits while the upstream does not read.

        Raises:
            UpstreamClosed: it is closed, or lost.
        """

    async def receive(self) -> tuple[bytes, bool]:
        """The next message and whether it is binary. Nothing is read ahead of what was asked for.

        Raises:
            UpstreamClosed: it is closed, or lost.
        """

    async def close(self, code: int) -> None:
        """Close in order with `code`, or drop it when it does not answer in time. Never raises."""


class UpstreamPort(Protocol):
    """Opens connections to the upstream, with the key that clients never see."""

    async def open(
        self, model: str, parameters: Parameters = (), *, named: bool = True
    ) -> UpstreamLink:
        """Connect for one client, with `parameters` added to the address.

        A model that no client `named` is left out where it is a parameter of the address.

        Raises:
            Unavailable: it refuses, or cannot be reached; the text is for the log and holds no secret.
        """


class ConnectionInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A connection as hooks, the library and the admin API see it. The address is masked."""

    id: str
    endpoint: str
    user: str | None
    address: str
    opened_at: float
    channels: tuple[Channel, ...] = ()


class MessageInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A publication a client asks for, before it is stored."""

    connection: ConnectionInfo
    channel: Channel
    data: Any


class ActionInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What a user wants done. `payload` is any JSON value, at most 10,000 characters of it."""

    workspace: str
    user: str
    action: str
    payload: Any
    connection: str


@dataclass(slots=True)
class Hooks:
    """The application's callables. A connect or message hook refuses by returning False.

    Hooks run in tasks of their own. One that raises is recorded, and counts as a no: what was to be
    decided is refused.
    """

    connect: list[Callable[[ConnectionInfo], Awaitable[bool | None]]] = field(default_factory=list)
    disconnect: list[Callable[[ConnectionInfo, str], Awaitable[None]]] = field(default_factory=list)
    message: list[Callable[[MessageInfo], Awaitable[bool | None]]] = field(default_factory=list)
    opened: list[Callable[[ConnectionInfo], Awaitable[None]]] = field(default_factory=list)
    """Told of every connection that was let in for good."""
    published: dict[str, Callable[[Publish, Stored], None]] = field(default_factory=dict)
    """By namespace: told of every publication of the backend, whichever way it came."""
    takeover: dict[str, Callable[["ConnectionHandle", Any], Awaitable[None]]] = field(
        default_factory=dict
    )
    """By namespace: takes the messages of its clients in place of the dialect's own commands."""
    sockets: dict[str, dict[str, "NamespaceHandlers"]] = field(default_factory=dict)
    """By namespace, then by Socket.IO namespace: what is called for its clients and their events."""
    actions: dict[str, Callable[..., Any]] = field(default_factory=dict)
    """By namespace: carries out what users do in their workspaces, before it is announced."""
    closed: dict[str, Callable[["ConnectionHandle", str], Awaitable[None]]] = field(
        default_factory=dict
    )
    """By namespace: told of the end of its connections, with the close reason's name."""


CHANNEL_ACTIONS = {
    Right.SUBSCRIBE | Right.HISTORY | Right.PRESENCE: "subscribe",
    Right.PUBLISH: "publish",
    Right.MANAGE: "manage",
}
"""The questions the rule `http` puts, and what a yes gives."""
