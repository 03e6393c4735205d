"""What a browser is told about who may read an answer of polling."""

from typing import Final

from portward.model.refusals import Refused
from portward.model.request import RequestHead
from portward.node.endpoint import Endpoint
from portward.transports.lobby import Headers

PREFLIGHT: Final[Headers] = (
    ("Access-Control-Allow-Methods", "GET, POST"),
    ("Access-Control-Allow-Headers", "content-type, authorization"),
    ("Access-Control-Max-Age", "600"),
)
"""What a page that may read answers may send."""


def cors(endpoint: Endpoint, head: RequestHead) -> Headers:
    """What lets the page of an allowed origin read the answer; nothing for any other."""
    origins = head.all("origin")
    try:
        endpoint.origins.check(origins, ambient=endpoint.by_cookie, allow_missing=False)
    except Refused:
        return ()
    return (
        ("Access-Control-Allow-Origin", origins[0]),
        ("Access-Control-Allow-Credentials", "true"),
        ("Vary", "Origin"),
    )
