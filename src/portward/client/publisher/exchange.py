"""One HTTP exchange: its address and headers, and the result in its answer."""

from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import httpx
import msgspec

from portward.client.publisher.calls import AdminCall
from portward.client.publisher.errors import (
    CallRefused,
    CallTimedOut,
    GatewayUnreachable,
    PublisherError,
    UnexpectedAnswer,
)

T = TypeVar("T")

TIMEOUT: Final = 5.0
"""Seconds in which a connection is made, and in which each part of an answer comes."""
_LONGEST_WAIT: Final = 86400.0


def address(url: str) -> str:
    """The address of the admin listener, without a slash at its end.

    Raises:
        ValueError: it is none; the text does not repeat it, as it may hold a password.
    """
    try:
        parts = urlsplit(url)
        usable = parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable or "@" in url or "?" in url or "#" in url:
        raise ValueError("the address of an admin listener is like http://127.0.0.1:8081")
    return url.rstrip("/")


def headers(api_key: str) -> dict[str, str]:
    """The headers of every request. In its own reprs httpx hides this one.

    Raises:
        ValueError: no API key can look like this; the text does not repeat it.
    """
    if not api_key.strip() or api_key != api_key.strip():
        raise ValueError("an API key is not empty, and has no blank at its ends")
    if not (api_key.isascii() and api_key.isprintable()):
        raise ValueError("an API key is made of printable ASCII characters")
    return {"Authorization": f"apikey {api_key}", "Content-Type": "application/json"}


def failure(error: httpx.HTTPError) -> PublisherError:
    """Return the error for an exchange without an answer."""
    if isinstance(error, httpx.TimeoutException):
        return CallTimedOut()
    return GatewayUnreachable(type(error).__name__)


def read(call: AdminCall[T], answer: httpx.Response) -> T:
    """The result in an answer.

    Raises:
        PublisherError: it is none.
    """
    body = _json(answer)
    if answer.is_success and isinstance(body, dict) and "result" in body:
        try:
            return call.read(body["result"])
        except (msgspec.ValidationError, KeyError, TypeError, AttributeError):
            raise UnexpectedAnswer(answer.status_code) from None
    error = body.get("error") if isinstance(body, dict) else None
    refused = CallRefused(answer.status_code, *_error(error), _retry_after(answer))
    if isinstance(error, dict) or refused.temporary:
        raise refused
    raise UnexpectedAnswer(answer.status_code)


def _json(answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except ValueError:
        return None


def _error(error: Any) -> tuple[int | None, str]:
    if not isinstance(error, dict):
        return None, "no reason was given"
    number, text = error.get("code"), error.get("message")
    shown = text if isinstance(text, str) and text.isprintable() else "no reason was given"
    return (number if isinstance(number, int) else None), shown


def _retry_after(answer: httpx.Response) -> float | None:
    """The seconds of `Retry-After`; a date there is not read."""
    value = answer.headers.get("Retry-After", "")
    return min(float(value), _LONGEST_WAIT) if value.isascii() and value.isdigit() else None
