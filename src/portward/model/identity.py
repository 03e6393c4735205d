"""Who is on the other end of a connection."""

from collections.abc import Mapping

import msgspec


class ChannelRight(msgspec.Struct, frozen=True):
    """One entry of a token's `channels` claim: a pattern (`*` only at its end) and what it allows."""

    channel: str
    allow: tuple[str, ...]

    def covers(self, channel: str) -> bool:
        """Tell whether the pattern names this channel."""
        if self.channel.endswith("*"):
            return channel.startswith(self.channel[:-1])
        return channel == self.channel


class Identity(msgspec.Struct, frozen=True, kw_only=True):
    """A verified subject and the facts that came with its credential. Times are Unix seconds.

    `channels` is None when the credential says nothing of channels; an empty tuple names none.
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
    """What an identity provider tells beside that, for the application: names, by its own keys."""


ANONYMOUS = Identity(subject="anonymous")
