"""The settings of a family of channels."""

from enum import StrEnum

import msgspec


class AccessRule(StrEnum):
    """The rule for rights in a namespace. Deny is the default."""

    DENY = "deny"
    AUTHENTICATED = "authenticated"
    CLAIMS = "claims"
    ROLES = "roles"
    MEMBERSHIP = "membership"
    HTTP = "http"
    IDENTITY_PROVIDER = "identity_provider"


class Snapshot(StrEnum):
    """Whether a new subscriber first gets the last publication of every key."""

    NONE = "none"
    LATEST_BY_KEY = "latest_by_key"


class PublishRight(StrEnum):
    """Who may publish: only the backend, or every client with the right."""

    SERVER = "server"
    RIGHT = "publish"


class SlowPolicy(StrEnum):
    """The policy for slow subscribers: close them, or drop older values of each key."""

    CLOSE = "close"
    LATEST_ONLY = "latest_only"


class Namespace(msgspec.Struct, frozen=True, kw_only=True):
    """Options shared by all channels `name:*`. Times are seconds, sizes are counts; 0 turns a limit off."""

    name: str
    history_size: int = 0
    history_ttl: float = 3600.0
    snapshot: Snapshot = Snapshot.NONE
    presence: bool = False
    leave_grace: float = 0.0
    cooldown: float = 0.0
    publish: PublishRight = PublishRight.SERVER
    combined: bool = False
    """Whether publications of these channels are also published in `Channel.combined(name)`."""
    max_subscribers: int = 0
    max_subscriptions: int = 128
    authorize: AccessRule = AccessRule.DENY
    authorize_url: str = ""
    idle_ttl: float = 300.0
    slow: SlowPolicy = SlowPolicy.CLOSE
