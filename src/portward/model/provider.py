"""How a question put to the identity provider ended."""

from enum import StrEnum


class ProviderResult(StrEnum):
    """The outcomes, by the label they are counted under."""

    OK = "ok"
    """It knows the user, or lets them hear the topic."""
    NO_COOKIE = "no_cookie"
    """There was nothing to ask with."""
    UNAUTHORIZED = "unauthorized"
    """It does not know the user, or keeps the topic from them."""
    MALFORMED = "malformed"
    """It answered, and not with what was asked for."""
    ERROR = "error"
    """It answered with a status that says neither, could not be reached, or was not asked for that."""
    TIMEOUT = "timeout"
