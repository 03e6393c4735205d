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
    """Publications kept per channel; 0 for none."""
    history_ttl: float = 3600.0
    """How long they are kept."""
    snapshot: Snapshot = Snapshot.NONE
    """`latest_by_key`: a new subscriber is first sent the last publication of every key."""
    presence: bool = False
    """Whether who is there is known, and told when it changes."""
    leave_grace: float = 0.0
    """How long a user may be gone before the others are told."""
    cooldown: float = 0.0
    """Time in which one session is not sent the same channel and type again; of alerts, what is
    more severe passes, and the last one left out is sent when it ends.
    """
    publish: PublishRight = PublishRight.SERVER
    """Who may publish: `server` alone, or clients with the right `publish`."""
    combined: bool = False
    """Whether all channels can be heard as one, under `<namespace>:*`."""
    max_subscribers: int = 0
    """Users in one channel; 0 for no limit."""
    max_subscriptions: int = 128
    """Channels of this namespace on one connection."""
    authorize: AccessRule = AccessRule.DENY
    """The rule by which rights are judged."""
    authorize_url: str = ""
    """Address the rule `http` asks."""
    idle_ttl: float = 300.0
    """When the bookkeeping of an empty channel is dropped."""
    slow: SlowPolicy = SlowPolicy.CLOSE
    """What happens to a reader over its bounds: `close`, or `latest_only` of each key."""
