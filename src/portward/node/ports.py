"""Ports of packages that the node does not import, and hooks of the application."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from portward.engines.port import PublishResult
from portward.model.channel import Channel
from portward.model.commands import Publish
from portward.model.identity import Identity
from portward.model.rights import Right
from portward.security.jws import TokenRefused

if TYPE_CHECKING:
    from portward.node.sessions import ConnectionHandle


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


@dataclass(slots=True)
class Hooks:
    """Callables of the application. A connect or message hook rejects by returning False.

    Hooks run in their own tasks. When a hook raises, the error is recorded and counts as False: what it
    was to decide is rejected.
    """

    connect: list[Callable[[ConnectionInfo], Awaitable[bool | None]]] = field(default_factory=list)
    disconnect: list[Callable[[ConnectionInfo, str], Awaitable[None]]] = field(default_factory=list)
    message: list[Callable[[MessageInfo], Awaitable[bool | None]]] = field(default_factory=list)
    opened: dict[str, list[Callable[[ConnectionInfo], Awaitable[None]]]] = field(
        default_factory=dict
    )
    """By namespace: called for every connection that is fully admitted."""
    left: dict[str, list[Callable[[ConnectionInfo, str], Awaitable[None]]]] = field(
        default_factory=dict
    )
    """By namespace: called as the disconnect hooks."""
    published: dict[str, list[Callable[[Publish, PublishResult, int], Awaitable[None]]]] = field(
        default_factory=dict
    )
    """By namespace: called for every publication of the backend, from the library or the admin API, with
    the time in Unix milliseconds."""
    handlers: dict[tuple[str, str], Any] = field(default_factory=dict)
    """Handlers that one protocol defines, by kind and namespace."""
    listeners: dict[str, list[Callable[..., None]]] = field(default_factory=dict)
    """Called at events that one protocol defines, by the name of the event."""
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
