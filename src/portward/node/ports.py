"""Ports of packages that the node does not import, and hooks of the application."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import msgspec

from portward.engines.port import PublishResult
from portward.model.channel import Channel
from portward.model.commands import Publish
from portward.model.identity import Identity
from portward.model.rights import Right
from portward.security.jws import TokenRefused

if TYPE_CHECKING:
    from portward.node.sessions import ConnectionHandle
    from portward.node.socketio_server import NamespaceHandlers


class Verifier(Protocol):
    """Verifies tokens."""

    def start(self) -> None:
        """Start to fetch keys, if they come from another server."""

    async def aclose(self) -> None:
        """Stop fetching keys."""

    @property
    def edition(self) -> int:
        """A number that changes when the result for the same token may change: other keys, other rules."""

    async def identify(self, token: str) -> Identity:
        """Verify a token.

        Raises:
            TokenRefused: it is not valid.
            Unavailable: it cannot be verified now.
        """

    def lasts(self, refused: TokenRefused) -> bool:
        """Return whether the same token stays rejected as long as the edition is the same."""


class RightsQuestion(Protocol):
    """Asks the application about rights (rule `http`)."""

    async def aclose(self) -> None:
        """Close the connections to the application."""

    async def ask(self, url: str, who: Identity, channel: Channel, action: str) -> bool:
        """Return whether `who` may do `action`; False without a clear yes of the application in time."""


class IdentityProviderPort(Protocol):
    """Identifies users by browser cookies, and their rights."""

    async def identify(self, cookies: str, *, max_age: float | None = None) -> Identity:
        """Return the user of `cookies`, a value of the `Cookie` header.

        A cached answer of at most `max_age` seconds counts.

        Raises:
            CommandError: `AUTHENTICATION_FAILED`, the cookies belong to no user.
            Unavailable: the provider gives no usable answer.
        """

    async def allows(self, cookies: str, name: str, *, max_age: float | None = None) -> bool:
        """Return whether the user of `cookies` may subscribe to the topic `name`; `max_age` as in `identify`.

        Raises:
            Unavailable: the provider gives no usable answer.
        """

    def confirmed(self, cookies: str) -> bool:
        """Return whether the provider confirmed `cookies` in the last day and has not denied them since."""

    def absent(self) -> None:
        """Count a handshake without cookies."""

    async def aclose(self) -> None:
        """Close the connections to the provider."""


Parameters: TypeAlias = tuple[tuple[str, str], ...]
"""Names and values for the query of a URL, not encoded."""


class UpstreamLink(Protocol):
    """One connection to the upstream. Messages are complete; text is UTF-8."""

    async def send(self, payload: bytes, *, binary: bool) -> None:
        """Send a message; waits while the upstream does not read.

        Raises:
            UpstreamClosed: the connection is closed or lost.
        """

    async def receive(self) -> tuple[bytes, bool]:
        """Return the next message and whether it is binary. Nothing is read before it is requested.

        Raises:
            UpstreamClosed: the connection is closed or lost.
        """

    async def close(self, code: int) -> None:
        """Close with `code`, or abort when the upstream does not answer in time. Never raises."""


class UpstreamPort(Protocol):
    """Opens connections to the upstream with its key, which clients never get."""

    async def open(
        self, model: str, parameters: Parameters = (), *, named: bool = True
    ) -> UpstreamLink:
        """Connect for one client, with `parameters` added to the URL.

        When `named` is False (no client chose the model) and the model is a URL parameter, it is left out.

        Raises:
            Unavailable: it rejects the connection or is unreachable; the text is for the log, without
                secrets.
        """


class ConnectionInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A connection as hooks, the library and the admin API get it. The address is masked."""

    id: str
    endpoint: str
    user: str | None
    address: str
    opened_at: float
    channels: tuple[Channel, ...] = ()


class MessageInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A publication requested by a client, before it is stored."""

    connection: ConnectionInfo
    channel: Channel
    data: Any


class ActionInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A requested action. `payload` is any JSON value, at most 10,000 characters of JSON."""

    workspace: str
    user: str
    action: str
    payload: Any
    connection: str


@dataclass(slots=True)
class Hooks:
    """Callables of the application. A connect or message hook rejects by returning False.

    Hooks run in their own tasks. When a hook raises, the error is recorded and counts as False: what it
    was to decide is rejected.
    """

    connect: list[Callable[[ConnectionInfo], Awaitable[bool | None]]] = field(default_factory=list)
    disconnect: list[Callable[[ConnectionInfo, str], Awaitable[None]]] = field(default_factory=list)
    message: list[Callable[[MessageInfo], Awaitable[bool | None]]] = field(default_factory=list)
    opened: list[Callable[[ConnectionInfo], Awaitable[None]]] = field(default_factory=list)
    """Called for every connection that is fully admitted."""
    published: dict[str, Callable[[Publish, PublishResult], None]] = field(default_factory=dict)
    """By namespace: called for every publication of the backend, from the library or the admin API."""
    takeover: dict[str, Callable[["ConnectionHandle", Any], Awaitable[None]]] = field(
        default_factory=dict
    )
    """By namespace: handles the messages of clients instead of the commands of the protocol."""
    sockets: dict[str, dict[str, "NamespaceHandlers"]] = field(default_factory=dict)
    """By namespace, then by Socket.IO namespace: handlers for clients and their events."""
    actions: dict[str, Callable[..., Any]] = field(default_factory=dict)
    """By namespace: executes actions of users in their workspaces, before they are announced."""
    closed: dict[str, Callable[["ConnectionHandle", str], Awaitable[None]]] = field(
        default_factory=dict
    )
    """By namespace: called when a connection is closed, with the name of the disconnect."""


CHANNEL_ACTIONS = {
    Right.SUBSCRIBE | Right.HISTORY | Right.PRESENCE: "subscribe",
    Right.PUBLISH: "publish",
    Right.MANAGE: "manage",
}
"""The actions of the rule `http`, and the rights that each of them grants."""
