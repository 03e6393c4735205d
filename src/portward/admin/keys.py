"""Who calls: API keys, compared by digest in a time that tells nothing about them."""

import hmac
from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import Final

import msgspec
from starlette.datastructures import Headers

from portward.admin.errors import FORBIDDEN, UNAUTHORIZED, ApiError
from portward.settings.keys import ApiKey, Scope

_LABEL: Final = 8
_CHALLENGE: Final = {"WWW-Authenticate": "apikey"}


class ApiCaller(msgspec.Struct, frozen=True):
    """A key that was presented: what it is good for, and a name for the log that is not the key."""

    label: str
    scopes: frozenset[Scope]

    def needs(self, scope: Scope) -> None:
        """Insist on a scope.

        Raises:
            ApiError: 403, the key does not have it.
        """
        if scope not in self.scopes:
            raise ApiError(403, FORBIDDEN, f"permission denied: the key has no scope {scope.value}")


class Keyring:
    """The keys in force. Holds digests alone; a label is the first digits of one."""

    def __init__(self, keys: Iterable[ApiKey]) -> None:
        self.adopt(keys)

    def adopt(self, keys: Iterable[ApiKey]) -> None:
        """Accept these keys, and no others, from now on.

        Raises:
            ValueError: a key is written as a digest and is none; the old ones stay in force.
        """
        self._known = tuple(
            (key.digest, ApiCaller(key.digest.hex()[:_LABEL], frozenset(key.scopes)))
            for key in keys
        )

    def find(self, presented: str) -> ApiCaller | None:
        """The caller behind a key. Every known key is looked at, whichever matches."""
        given = sha256(presented.encode("utf-8", "surrogatepass")).digest()
        found = None
        for digest, caller in self._known:
            if hmac.compare_digest(digest, given):
                found = caller
        return found

    def caller(self, headers: Headers) -> ApiCaller:
        """Who sent these headers: `X-API-Key`, or `Authorization: apikey …`, exactly one of them.

        Raises:
            ApiError: 401, there is no key, more than one, or not one of ours.
        """
        presented = list(_presented(headers))
        caller = self.find(presented[0]) if len(presented) == 1 else None
        if caller is None:
            what = "unknown API key" if presented else "an API key is needed"
            raise ApiError(401, UNAUTHORIZED, f"unauthorized: {what}", _CHALLENGE)
        return caller


def _presented(headers: Headers) -> Iterator[str]:
    yield from headers.getlist("x-api-key")
    for value in headers.getlist("authorization"):
        scheme, _, key = value.partition(" ")
        if scheme.lower() == "apikey":
            yield key.strip()
