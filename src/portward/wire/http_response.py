"""HTTP responses as bytes: rejections, small answers, and the 101 of an upgrade."""

from collections.abc import Callable, Iterable
from http import HTTPStatus
from math import ceil
from typing import Final

from portward.model.handshake_errors import HandshakeRejected

RETRY_AFTER: Final = 5.0
"""Seconds to wait at least, where the rejection has no time."""


def answer(
    status: int,
    headers: Iterable[tuple[str, str]] = (),
    body: bytes = b"",
    *,
    head_only: bool = False,
) -> bytes:
    """Build a whole response; with `head_only` (HEAD) the body is counted and not sent.

    The connection closes after it, and its headers always say so.
    """
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"]
    lines += [f"{name}: {value}" for name, value in headers]
    lines += [f"Content-Length: {len(body)}", "Connection: close", "", ""]
    return "\r\n".join(lines).encode("latin-1") + (b"" if head_only else body)


def refusal_headers(
    refused: HandshakeRejected, random: Callable[[], float]
) -> tuple[tuple[str, str], ...]:
    """The headers of a rejection.

    `random` gives numbers in [0, 1): `Retry-After` is spread over once to twice the time, in whole
    seconds, so that clients rejected at the same time do not retry at the same time.
    """
    headers = refused.refusal.headers
    if not refused.refusal.retry:
        return headers
    least = refused.retry_after if refused.retry_after is not None else RETRY_AFTER
    return (*headers, ("Retry-After", str(max(1, ceil(least * (1 + random()))))))


def refusal(refused: HandshakeRejected, random: Callable[[], float]) -> bytes:
    """Build the response to a rejected handshake: no body."""
    return answer(refused.refusal.status, refusal_headers(refused, random))


def switching(
    accept: str, *, extension: str | None = None, subprotocol: str | None = None
) -> bytes:
    """Build the 101 with this `Sec-WebSocket-Accept` (RFC 6455 section 4.2.2)."""
    lines = [
        "HTTP/1.1 101 Switching Protocols",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Accept: {accept}",
    ]
    if extension is not None:
        lines.append(f"Sec-WebSocket-Extensions: {extension}")
    if subprotocol is not None:
        lines.append(f"Sec-WebSocket-Protocol: {subprotocol}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1")
