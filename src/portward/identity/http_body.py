"""Bounded reading of the answers of other servers, without compression."""

from typing import Final

import httpx

HEADERS: Final = {
    "accept": "application/json",
    # Without compression, no chunk can expand while the size of the body is counted.
    "accept-encoding": "identity",
    "user-agent": "portward",
}
"""The headers of a request for a document in JSON."""


class BadAnswer(Exception):  # noqa: N818 - the text is a reason, one of a few fixed ones
    """An answer that cannot be used."""


async def read_body(response: httpx.Response, longest: int) -> bytes:
    """Read a body of at most `longest` bytes.

    Raises:
        BadAnswer: it is compressed or too long; reading stops then.
    """
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        raise BadAnswer("compressed")
    body = bytearray()
    async for chunk in response.aiter_raw():
        body += chunk
        if len(body) > longest:
            raise BadAnswer("too large")
    return bytes(body)
