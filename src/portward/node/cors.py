"""What a browser is told about which page may read an answer, and what that page may send (CORS)."""

from typing import Final, TypeAlias

from portward.model.handshake_errors import HandshakeRejected
from portward.model.request import RequestHead
from portward.node.endpoint import ActiveEndpoint

Headers: TypeAlias = tuple[tuple[str, str], ...]

ALLOWED_HEADERS: Final = (
    "content-type",
    "authorization",
    # What tracing of pages adds to every request by itself: W3C Trace Context and Baggage, and Sentry.
    "traceparent",
    "tracestate",
    "baggage",
    "sentry-trace",
)
"""Request headers that any page that is let in may send; an endpoint can allow more."""
MAX_AGE: Final = 600
"""Seconds for which a browser need not ask again."""


def cors(endpoint: ActiveEndpoint, head: RequestHead) -> Headers:
    """What lets the page of an allowed origin read the answer; nothing for any other."""
    origins = head.all("origin")
    try:
        endpoint.origins.check(origins, ambient=endpoint.by_cookie, allow_missing=False)
    except HandshakeRejected:
        return ()
    return readable_by(origins[0])


def readable_by(origin: str) -> Headers:
    """What lets the page of this one origin read the answer, its cookies included."""
    return (
        ("Access-Control-Allow-Origin", origin),
        ("Access-Control-Allow-Credentials", "true"),
        ("Vary", "Origin"),
    )


def preflight(endpoint: ActiveEndpoint, methods: str) -> Headers:
    """What a page that may read answers may send."""
    headers = dict.fromkeys((*ALLOWED_HEADERS, *map(str.lower, endpoint.rules.allowed_headers)))
    return (
        ("Access-Control-Allow-Methods", methods),
        ("Access-Control-Allow-Headers", ", ".join(headers)),
        ("Access-Control-Max-Age", str(MAX_AGE)),
    )
