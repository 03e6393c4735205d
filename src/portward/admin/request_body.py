"""Request bodies: read up to a limit, parsed strictly, and converted to the types of the API."""

import asyncio
from typing import Any, Final, TypeVar

import msgspec
from starlette.requests import Request

from portward.admin.errors import BAD_REQUEST, ApiError, bad_request
from portward.model.channel import MAX_LENGTH, Channel
from portward.model.limits import KIB, MIB
from portward.security import strict_json

S = TypeVar("S", bound=msgspec.Struct)

LIMIT: Final = 1 * MIB
"""The longest body in bytes."""
_AT_ONCE: Final = 64 * KIB
"""Bytes from which a body is parsed in a thread, because the event loop must deliver messages."""
_DIGITS: Final = 15


async def read(request: Request) -> bytes:
    """Read the body of a request.

    Raises:
        ApiError: 413, it is over `LIMIT`, by its `Content-Length` or by the received bytes.
    """
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and (len(declared) > _DIGITS or int(declared) > LIMIT):
        raise _too_large()
    body = bytearray()
    async for chunk in request.stream():
        if len(body) + len(chunk) > LIMIT:
            raise _too_large()
        body += chunk
    return bytes(body)


def _too_large() -> ApiError:
    # The rest of the body is not read, so the connection cannot be used again.
    headers = {"Connection": "close"}
    return ApiError(413, BAD_REQUEST, "bad request: the body is over 1 MiB", headers)


async def parse(body: bytes) -> Any:
    """Parse a body strictly; an empty body counts as `{}`.

    Raises:
        CommandError: it is not JSON as `security.strict_json` accepts it.
    """
    if not body:
        return {}
    if len(body) > _AT_ONCE:
        return await asyncio.to_thread(strict_json.parse, body)
    return strict_json.parse(body)


def convert(value: Any, kind: type[S]) -> S:
    """Convert parsed JSON to a type of the API.

    Raises:
        ApiError: 400, a field is unknown, missing or of the wrong type.
    """
    try:
        return msgspec.convert(value, kind, dec_hook=_read_channel)
    except msgspec.ValidationError as error:
        raise bad_request(str(error)) from None


def _read_channel(_: type, value: Any) -> Channel:
    """Decode a channel, the only request type that msgspec does not know."""
    if not isinstance(value, str):
        raise TypeError("Expected `str`")
    return Channel.parse(value)


def channel_schema(_: type) -> dict[str, Any]:
    """Return the JSON schema of a channel."""
    return {
        "type": "string",
        "minLength": 3,
        "maxLength": MAX_LENGTH,
        "pattern": r"^[!#-)+-9;->@-Z^-z|~]+:[!#-)+->@-Z^-z|~]+$",
        "examples": ["rooms:general"],
    }
