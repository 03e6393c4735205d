"""Parsing and formatting of claim paths and of required claim values."""

from typing import Final

from portward.model.claim_path import ClaimPath
from portward.model.limits import INTEGER
from portward.settings.formats import Format, show_json


def parse_claim(value: object) -> str | tuple[str, ...]:
    """Parse a claim path: a name, a path with dots, or a list of keys.

    Raises:
        ValueError: it is none of these.
    """
    if isinstance(value, str):
        path = ClaimPath.parse(value)
        return path.keys if value.startswith("[") else value
    if isinstance(value, (list, tuple)):
        return ClaimPath.parse(tuple(value)).keys
    raise ValueError('expected a claim such as "roles", "realm_access.roles" or ["a.b", "roles"]')


def show_claim(value: str | tuple[str, ...]) -> str:
    """Format a claim path; a list of keys as JSON."""
    return value if isinstance(value, str) else show_json(value)


def parse_plain(value: object) -> tuple[str | float | bool, ...]:
    """Parse the allowed values of a claim: a text, a number, true or false, or a list of these.

    Raises:
        ValueError: it is none of these, or an empty list.
    """
    values = tuple(value) if isinstance(value, (list, tuple)) else (value,)
    if not values or not all(isinstance(each, (str, bool)) or _is_number(each) for each in values):
        raise ValueError("expected a text, a number, true or false, or a list of these")
    return values


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and abs(value) <= INTEGER


def show_plain(values: tuple[object, ...]) -> str:
    """Format allowed values: a single one as it is, several as a list."""
    return show_json(values[0] if len(values) == 1 else values)


CLAIM: Final = Format("name, path or list of keys", parse_claim, show_claim)
PLAIN: Final = Format("value or list of values", parse_plain, show_plain)
