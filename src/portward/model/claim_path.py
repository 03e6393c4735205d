"""Where a claim stands in a token: under a name, or at a path through objects."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

MAX_KEYS: Final = 16


class ClaimPath(msgspec.Struct, frozen=True):
    """The place of one claim.

    `keys` lead to it from the outside in; without keys it is nowhere, and never read. `literal` is tried
    first: `a.b` is the claim of that name, and where there is none the claim `b` inside `a`.
    """

    keys: tuple[str, ...]
    literal: str = ""

    @classmethod
    def parse(cls, place: str | tuple[str, ...]) -> "ClaimPath":
        """Read a name, a path with dots, or keys, for names that have dots themselves.

        A text may also be a list of keys in JSON.

        Raises:
            ValueError: a key is empty, there are too many, or the text begins like a list and is none.
        """
        keys = _listed(place) if isinstance(place, str) and place.startswith("[") else place
        if not isinstance(keys, str):
            return cls(_checked(keys))
        parts = keys.split(".")
        if not all(parts):
            # "a..b" and the like can only be names.
            return cls((keys,) if keys else ())
        return cls(_checked(parts), keys)

    def find(self, claims: Mapping[str, Any]) -> Any:
        """The value there; None when there is none, or when it is null.

        Raises:
            ValueError: the path leads through something that is no object.
        """
        if self.literal and (named := claims.get(self.literal)) is not None:
            return named
        value: Any = claims if self.keys else None
        for key in self.keys:
            if value is None:
                return None
            if not isinstance(value, Mapping):
                raise ValueError("not an object")  # noqa: TRY004 - a claim is wrong, not an argument
            value = value.get(key)
        return value

    def put(self, claims: dict[str, Any], value: object) -> None:
        """Write a value there, for tokens that are made here; objects on the way are made."""
        *outer, last = self.keys
        for key in outer:
            inner = claims.setdefault(key, {})
            if not isinstance(inner, dict):
                inner = claims[key] = {}
            claims = inner
        claims[last] = value

    def __str__(self) -> str:
        if self.literal or not self.keys:
            return self.literal
        return self.keys[0] if len(self.keys) == 1 else json.dumps(self.keys, ensure_ascii=False)


def _listed(text: str) -> list[Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, list):
        raise ValueError("expected a list of keys in JSON")  # noqa: TRY004 - the text is wrong
    return found


def _checked(keys: Iterable[Any]) -> tuple[str, ...]:
    found = tuple(keys)
    if not all(isinstance(key, str) and key for key in found):
        raise ValueError("expected a list of texts, none of them empty")
    if len(found) > MAX_KEYS:
        raise ValueError(f"expected at most {MAX_KEYS} keys in a path")
    return found
