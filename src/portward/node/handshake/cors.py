"""CORS headers: which page may read a response, and which requests that page may send."""

from typing import Final, TypeAlias

from portward.model.handshake_errors import HandshakeRejected
from portward.model.request import RequestHead
from portward.node.sessions import ActiveEndpoint

Headers: TypeAlias = tuple[tuple[str, str], ...]

ALLOWED_HEADERS: Final = (
    "content-type",
    "authorization",
    # Headers that tracing libraries add to each request: W3C Trace Context and Baggage, and Sentry.
    "traceparent",
    "tracestate",
    "baggage",
    "sentry-trace",
)
"""Request headers that every page of an allowed origin may send; an endpoint can allow more."""
MAX_AGE: Final = 600
"""Seconds for which a browser may cache the reply to a preflight."""


def cors_headers(endpoint: ActiveEndpoint, head: RequestHead) -> Headers:
    """Return the headers that let a page of an allowed origin read the response; else none."""
    origins = head.all("origin")
    try:
        endpoint.origins.check(origins, ambient=endpoint.by_cookie, allow_missing=False)
    except HandshakeRejected:
        return ()
    return readable_by(origins[0])


def readable_by(origin: str) -> Headers:
    """Return the headers that let pages of this origin read a response to a request with cookies."""
    return (
        ("Access-Control-Allow-Origin", origin),
        ("Access-Control-Allow-Credentials", "true"),
        ("Vary", "Origin"),
    )


def preflight(endpoint: ActiveEndpoint, methods: str) -> Headers:
    """Return the headers of a preflight reply: allowed methods and request headers."""
    headers = dict.fromkeys((*ALLOWED_HEADERS, *map(str.lower, endpoint.rules.allowed_headers)))
    return (
        ("Access-Control-Allow-Methods", methods),
        ("Access-Control-Allow-Headers", ", ".join(headers)),
        ("Access-Control-Max-Age", str(MAX_AGE)),
    )
