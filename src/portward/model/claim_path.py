"""The location of a claim in a token: a name, or a path through nested objects."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

MAX_KEYS: Final = 16


class ClaimPath(msgspec.Struct, frozen=True):
    """The location of one claim.

    `keys` is the path from the outermost object to the claim; without keys the claim is never read.
    `literal` is tried first: `a.b` is the claim with that name, else the claim `b` inside `a`.
    """

    keys: tuple[str, ...]
    literal: str = ""

    @classmethod
    def parse(cls, place: str | tuple[str, ...]) -> "ClaimPath":
        """Parse a name, a path with dots, or a list of keys (for names that contain dots).

        A text may also be a JSON list of keys.

        Raises:
            ValueError: a key is empty, there are too many, or the text starts like a list but is not one.
        """
        keys = _listed(place) if isinstance(place, str) and place.startswith("[") else place
        if not isinstance(keys, str):
            return cls(_checked(keys))
        parts = keys.split(".")
        if not all(parts):
            # Text such as "a..b" can only be a name.
            return cls((keys,) if keys else ())
        return cls(_checked(parts), keys)

    def find(self, claims: Mapping[str, Any]) -> Any:
        """Return the value of the claim; None when it is missing or null.

        Raises:
            ValueError: the path leads through a value that is not an object.
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
        """Set the claim in a token that is made here; missing objects on the path are created."""
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
