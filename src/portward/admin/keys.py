"""API keys of callers, compared by digest in constant time."""

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
    """The caller behind an API key: the scopes of the key, and a label for the log."""

    label: str
    scopes: frozenset[Scope]

    def needs(self, scope: Scope) -> None:
        """Check that the key has a scope.

        Raises:
            ApiError: 403, the key does not have it.
        """
        if scope not in self.scopes:
            raise ApiError(403, FORBIDDEN, f"permission denied: the key has no scope {scope.value}")


class Keyring:
    """The valid keys. It stores only digests; a label is the first digits of one."""

    def __init__(self, keys: Iterable[ApiKey]) -> None:
        self.adopt(keys)

    def adopt(self, keys: Iterable[ApiKey]) -> None:
        """Accept only these keys from now on.

        Raises:
            ValueError: a key is written as a digest but is none; the old keys stay valid.
        """
        self._known = tuple(
            (key.digest, ApiCaller(key.digest.hex()[:_LABEL], frozenset(key.scopes)))
            for key in keys
        )

    def find(self, presented: str) -> ApiCaller | None:
        """Find the caller by key. Every known key is compared, so the time does not depend on the match."""
        given = sha256(presented.encode("utf-8", "surrogatepass")).digest()
        found = None
        for digest, caller in self._known:
            if hmac.compare_digest(digest, given):
                found = caller
        return found

    def caller(self, headers: Headers) -> ApiCaller:
        """Return the caller by headers: `X-API-Key`, or `Authorization: apikey …`, exactly one of them.

        Raises:
            ApiError: 401, there is no key, more than one, or an unknown one.
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
