"""What one session may do in one channel."""

from enum import Flag, auto


class Right(Flag):
    """The verbs of the policy."""

    NONE = 0
    SUBSCRIBE = auto()
    HISTORY = auto()
    PRESENCE = auto()
    PUBLISH = auto()
    MANAGE = auto()

    READ = SUBSCRIBE | HISTORY | PRESENCE
    ALL = READ | PUBLISH | MANAGE
