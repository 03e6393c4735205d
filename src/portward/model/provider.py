"""Results of requests to the identity provider."""

from enum import StrEnum


class ProviderResult(StrEnum):
    """The results, by their metric label."""

    OK = "ok"
    """It knows the user, or allows the user to subscribe to the topic."""
    NO_COOKIE = "no_cookie"
    """The request has no cookie."""
    UNAUTHORIZED = "unauthorized"
    """It does not know the user, or denies access to the topic."""
    MALFORMED = "malformed"
    """Its answer has another form than expected."""
    ERROR = "error"
    """It answered with another status, was unreachable, or was not asked: its circuit breaker is open."""
    TIMEOUT = "timeout"
