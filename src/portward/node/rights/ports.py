"""The ports to identity: verifier, identity provider, and the application's answers about rights."""

from typing import Protocol

from portward.model.channel import Channel
from portward.model.identity import Identity
from portward.model.rights import Right
from portward.security.jws import TokenRefused


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


CHANNEL_ACTIONS = {
    Right.SUBSCRIBE | Right.HISTORY | Right.PRESENCE: "subscribe",
    Right.PUBLISH: "publish",
    Right.MANAGE: "manage",
}
"""The actions of the rule `http`, and the rights that each of them grants."""
