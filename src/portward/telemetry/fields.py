"""What may stand beside an event: a closed set of names, and values nobody can forge a line with.

There is no field for a token, a cookie, a key, a header's value or a message, and no way to add one
from outside this file.
"""

import math
import re
from collections.abc import Iterable, Mapping
from enum import Enum
from functools import lru_cache
from typing import Final, TypeAlias, TypedDict

from portward.security.address import mask
from portward.security.redaction import clean, pseudonym

Scalar: TypeAlias = str | int | float | bool
Value: TypeAlias = Scalar | list[str]
Tidy: TypeAlias = dict[str, Value]
_Text: TypeAlias = str | Enum | None
_Texts: TypeAlias = Iterable[str]

LIMIT: Final = 256
_ITEMS: Final = 16
"""Most members of a list that are shown."""
_INTEGER: Final = 2**63
_MASKED: Final = re.compile(r"\d{1,3}(\.\d{1,3}){2}\.xxx|[0-9a-f:]{2,39}/48|unknown")
_TOKEN: Final = re.compile(r"eyJ[\w-]{4,}[\w.=-]*")
"""The beginning of a JSON object in base64url, as every token (JWT) has it."""


class Fields(TypedDict, total=False):
    """Every field there is. Addresses are masked, people may be hashed, None is left out."""

    client: str | None
    """Connection id."""
    address: str | None
    user: str | None
    actor: str | None
    """Who did it, where that is not the user it was done to."""
    endpoint: str | None
    dialect: _Text
    namespace: str | None
    channel: str | None
    workspace: str | None
    role: str | None
    roles: _Texts
    kind: _Text
    jti: str | None
    digest: str | None
    """SHA-256 of a token."""
    key_id: str | None
    """Name of a key, as a token gave it (`kid`)."""
    algorithm: str | None
    claim: str | None
    """Configured name or path of a claim, never its value."""
    reason: _Text
    detail: str | None
    """The cause in our own words; never a peer's text alone."""
    ending: _Text
    code: int | _Text
    status: int
    fault: _Text
    limit: _Text
    mode: _Text
    origin: str | None
    host: str | None
    path: str | None
    """Without its query."""
    header: str | None
    """Name of a header, never its value."""
    command: _Text
    method: str | None
    count: int
    size: int
    received: int
    sent: int
    seconds: float
    retry_after: float
    offset: int
    epoch: str | None
    engine: str | None
    node: str | None
    version: str | None
    environment: _Text
    port: int
    workers: int
    changed: _Texts
    """Names of settings, never their values."""
    error: str | None
    """Class name of an exception, never its text."""
    trace: str | None
    """Where an exception came from: file, line and function."""
    source: str | None
    """Name of a library's logger."""
    of: _Text
    """The event a count stands for."""
    ip: str | None
    """An address, in the events of the older relay; so are the next two."""
    totalConnections: int
    clientId: str | None
    room: str | None
    userId: str | None
    seq: int
    file: str | None


FIELDS: Final = frozenset(Fields.__annotations__)
_PEOPLE: Final = frozenset({"user", "actor", "userId"})
_ADDRESSES: Final = frozenset({"address", "ip"})


class Sanitizer:
    """Makes fields fit for a line. With a key, user ids are shown as keyed hashes.

    A field that is not in the list is left out and counted in `unlisted`; a value of an unforeseen
    type is shown as the name of its type.
    """

    __slots__ = ("_key",)

    def __init__(self, key: bytes | None = None) -> None:
        self._key = key

    def __call__(self, fields: Mapping[str, object]) -> Tidy:
        """Copy `fields`, each value cut, escaped, masked or hashed as its name asks."""
        tidy: Tidy = {}
        unlisted = 0
        for name, value in fields.items():
            if name not in FIELDS:
                unlisted += 1
            elif value is not None:
                tidy[name] = self._value(name, value)
        if unlisted:
            tidy["unlisted"] = unlisted
        return tidy

    def _value(self, name: str, value: object) -> Value:
        if name in _ADDRESSES:
            return _masked(str(_plain(value)))
        if name in _PEOPLE:
            return self._person(str(_plain(value)))
        if isinstance(value, list | tuple | set | frozenset):
            return [_text(_plain(item)) for item in _first(value)]
        plain = _plain(value)
        return _text(plain) if isinstance(plain, str) else _number(plain)

    def _person(self, user: str) -> str:
        return _text(user) if self._key is None else pseudonym(user, self._key)


def _first(items: Iterable[object]) -> list[object]:
    """Sets have no order of their own: sorted, so that equal ones look equal."""
    ordered = sorted(items, key=str) if isinstance(items, set | frozenset) else list(items)
    return ordered[:_ITEMS]


def _plain(value: object) -> Scalar:
    """A scalar for `value`. An object is named by its type: its `repr` may say too much."""
    if isinstance(value, Enum):
        return str(value.value) if isinstance(value, str) else value.name.lower()
    if isinstance(value, str | int | float):
        return value
    return f"<{type(value).__name__}>"


def _text(value: Scalar) -> str:
    text = clean(value, LIMIT)
    return _TOKEN.sub("[token]", text) if "eyJ" in text else text


def _number(value: int | float) -> Scalar:
    """JSON has no infinity and no NaN, and digits without end are a load for who reads them."""
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return value if -_INTEGER < value < _INTEGER else "<int>"


@lru_cache(maxsize=1024)  # one connection comes by several times
def _masked(address: str) -> str:
    return address if _MASKED.fullmatch(address) else mask(address)
