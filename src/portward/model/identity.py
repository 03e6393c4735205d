"""The identity of a connection."""

from collections.abc import Mapping

import msgspec


class ChannelRight(msgspec.Struct, frozen=True):
    """One entry of the `channels` claim of a token: a pattern (`*` only at its end) and its rights."""

    channel: str
    allow: tuple[str, ...]

    def covers(self, channel: str) -> bool:
        """Return whether the pattern matches this channel."""
        if self.channel.endswith("*"):
            return channel.startswith(self.channel[:-1])
        return channel == self.channel


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """A verified subject and the facts from its credential. Times are Unix seconds.

    `channels` is None when the credential has no such claim; an empty tuple allows no channel.
    `digest` is the SHA-256 of the presented token in hexadecimal; the token itself is not kept.
    """

    subject: str
    email: str | None = None
    roles: frozenset[str] = frozenset()
    permissions: frozenset[str] = frozenset()
    workspace: str | None = None
    token_id: str | None = None
    session_id: str | None = None
    issuer: str | None = None
    issued_at: float | None = None
    expires_at: float | None = None
    channels: tuple[ChannelRight, ...] | None = None
    digest: str = ""
    profile: Mapping[str, str | None] = msgspec.field(default_factory=dict)
    """Further data of an identity provider for the application, under its own keys."""


ANONYMOUS = Identity(subject="anonymous")
