"""Rights of one session in one channel."""

from enum import Flag, auto


class Right(Flag):
    """The rights that the policy grants."""

    NONE = 0
    SUBSCRIBE = auto()
    HISTORY = auto()
    PRESENCE = auto()
    PUBLISH = auto()
    MANAGE = auto()

    READ = SUBSCRIBE | HISTORY | PRESENCE
    ALL = READ | PUBLISH | MANAGE
