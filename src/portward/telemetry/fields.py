"""The fields of a log event: a closed set of names, with values that cannot forge a line.

There is no field for a token, a cookie, a key, a header's value or a message, and code outside this file
cannot add one.
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
"""The most members of a list that are written."""
_INTEGER: Final = 2**63
_MASKED: Final = re.compile(r"\d{1,3}(\.\d{1,3}){2}\.xxx|[0-9a-f:]{2,39}/48|unknown")
_PLAIN: Final = re.compile(rf"(?!.*eyJ)[ -~]{{0,{LIMIT}}}\Z")
"""Text that stays as it is; most values are such."""
_TOKEN: Final = re.compile(r"eyJ[\w-]{4,}[\w.=-]*")
"""The first characters of a token (JWT): the start of a JSON object in base64url."""


class Fields(TypedDict, total=False):
    """All fields. Addresses are masked, user ids may be hashed, None is left out."""

    client: str | None
    """Connection id."""
    address: str | None
    user: str | None
    actor: str | None
    """The user who did it, when it is not the user it was done to."""
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
    """Id of a key, as a token named it (`kid`)."""
    algorithm: str | None
    claim: str | None
    """Configured name or path of a claim, never its value."""
    reason: _Text
    detail: str | None
    """The cause, in a text of the gateway; never a text of the peer alone."""
    ending: _Text
    code: int | _Text
    status: int
    fault: _Text
    limit: _Text
    mode: _Text
    origin: str | None
    host: str | None
    path: str | None
    """The path without its query."""
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
    """The event that a count is about."""
    ip: str | None
    """An address, in the events of the older relay; the next two fields are for these events too."""
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
    """Prepares fields for a line. With a key, user ids become keyed hashes.

    A field that is not in the list is dropped and counted in `unlisted`; a value of an unexpected type is
    replaced by the name of its type.
    """

    __slots__ = ("_key",)

    def __init__(self, key: bytes | None = None) -> None:
        self._key = key

    def __call__(self, fields: Mapping[str, object]) -> Tidy:
        """Copy `fields`; each value is cut, escaped, masked or hashed as its name requires."""
        tidy: Tidy = {}
        unlisted = 0
        for name, value in fields.items():
            if name not in FIELDS:
                unlisted += 1
            elif name in _ADDRESSES and type(value) is str:
                tidy[name] = _masked(value)
            elif type(value) is str and name not in _PEOPLE and _PLAIN.match(value):
                tidy[name] = value
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
    """Take the first items; a set is sorted, so that equal sets give equal text."""
    ordered = sorted(items, key=str) if isinstance(items, set | frozenset) else list(items)
    return ordered[:_ITEMS]


def _plain(value: object) -> Scalar:
    """Return a scalar for `value`; an object becomes its type's name: its `repr` may contain secrets."""
    if isinstance(value, Enum):
        return str(value.value) if isinstance(value, str) else value.name.lower()
    if isinstance(value, str | int | float):
        return value
    return f"<{type(value).__name__}>"


def _text(value: Scalar) -> str:
    text = clean(value, LIMIT)
    return _TOKEN.sub("[token]", text) if "eyJ" in text else text


def _number(value: int | float) -> Scalar:
    """Replace infinity, NaN and very long integers, which JSON or log readers cannot handle."""
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return value if -_INTEGER < value < _INTEGER else "<int>"


@lru_cache(maxsize=1024)  # the address of one connection is masked several times
def _masked(address: str) -> str:
    return address if _MASKED.fullmatch(address) else mask(address)
