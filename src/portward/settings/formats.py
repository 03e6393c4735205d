"""Parsing and formatting of durations, sizes, rates, networks, API keys and JSON.

A :class:`Format` in a field's annotation converts the written value to the value of the field. Its `parse`
raises `ValueError` with a text about the correct form; the text never contains the written value, which may
be a misplaced secret.
"""

import math
import re
from collections.abc import Callable
from ipaddress import ip_network
from typing import Any, Final, NamedTuple

import msgspec

from portward.model.claim_path import ClaimPath
from portward.model.limits import INTEGER, JSON_DEPTH, Rate
from portward.model.request import UNIX_PEER


class Format(NamedTuple):
    """A form of values: its name on the reference page, its parser, its formatter."""

    name: str
    parse: Callable[[object], object]
    show: Callable[[Any], str]


_NUMBER: Final = r"(\d{1,15}(?:\.\d{1,9})?)"
_DURATION: Final = re.compile(_NUMBER + r" ?(ms|s|min|m|h|d)", re.ASCII)
_SIZE: Final = re.compile(_NUMBER + r" ?(b|kb|kib|mb|mib|gb|gib)", re.ASCII | re.IGNORECASE)
_RATE: Final = re.compile(_NUMBER + r" ?/ ?([\w.]+)", re.ASCII)
_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
_PERIODS: Final = _SECONDS | {"sec": 1.0, "second": 1.0, "minute": 60.0, "hour": 3600.0}
_BYTES: Final = {
    "b": 1,
    "kb": 1000,
    "mb": 1000**2,
    "gb": 1000**3,
    "kib": 1024,
    "mib": 1024**2,
    "gib": 1024**3,
}
_LONGEST: Final = 10 * 365 * 86400.0
_LARGEST: Final = 1024**4
UNLIMITED: Final = Rate(0, 1.0, 0)
"""The value of the rate `none`."""


def _number(value: object, limit: float) -> float:
    """Return a number from 0 to `limit` unchanged, and -1 for any other value."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return -1.0
    # Compare first: NaN is in no range, and a huge int would overflow.
    return float(value) if 0 <= value <= limit else -1.0


def parse_duration(value: object) -> float:
    """Convert `"25s"`, `"10m"`, `"1h"`, `"250ms"` or a number of seconds to seconds.

    Raises:
        ValueError: it is none of these, negative, or longer than ten years.
    """
    match = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    seconds = float(match[1]) * _SECONDS[match[2]] if match else _number(value, _LONGEST)
    if not 0 <= seconds <= _LONGEST:
        raise ValueError('expected a duration such as "25s", "10m", "1h", "250ms" or seconds')
    return seconds


def show_duration(seconds: float) -> str:
    """Format seconds in the shortest form without loss."""
    for unit in ("d", "h", "m", "s"):
        if seconds and seconds % _SECONDS[unit] == 0:
            return f"{seconds / _SECONDS[unit]:.0f}{unit}"
    return f"{_plain(seconds * 1000)}ms" if 0 < seconds < 1 else f"{_plain(seconds)}s"


def _plain(number: float) -> str:
    """Format a number without an exponent and without trailing zeros."""
    return f"{number:.6f}".rstrip("0").rstrip(".")


def parse_size(value: object) -> int:
    """Convert `"64KiB"`, `"1MiB"`, `"100kB"` or a number of bytes to bytes.

    Raises:
        ValueError: it is none of these, no whole number of bytes, or above 1 TiB.
    """
    match = _SIZE.fullmatch(value.strip()) if isinstance(value, str) else None
    size = float(match[1]) * _BYTES[match[2].lower()] if match else _number(value, _LARGEST)
    if not 0 <= size <= _LARGEST or not size.is_integer():
        raise ValueError('expected a size such as "64KiB", "1MiB", "100kB" or bytes')
    return int(size)


def show_size(size: int) -> str:
    """Format bytes with the largest unit that divides them."""
    for name in ("GiB", "MiB", "KiB"):
        unit = _BYTES[name.lower()]
        if size and size % unit == 0:
            return f"{size // unit}{name}"
    return str(size)


def parse_rate(value: object) -> Rate:
    """Convert `"60/min"`, `"500/s"`, `"10/60s"` or `"none"` to a rate whose burst is its count.

    Raises:
        ValueError: it is none of these, or its period is zero.
    """
    if isinstance(value, Rate):
        return value
    text = value.strip() if isinstance(value, str) else ""
    if text == "none":
        return UNLIMITED
    match = _RATE.fullmatch(text)
    period = _period(match[2]) if match else 0.0
    if match is None or not period:
        raise ValueError('expected a rate such as "60/min", "500/s", "10/60s" or "none"')
    count = float(match[1])
    return Rate(count, period, math.ceil(count))


def _period(text: str) -> float:
    if text in _PERIODS:
        return _PERIODS[text]
    try:
        return parse_duration(text)
    except ValueError:
        return 0.0


def show_rate(rate: Rate) -> str:
    """Format a rate as in the file; its burst is a separate key."""
    if not rate.count:
        return "none"
    units = {1.0: "s", 60.0: "min", 3600.0: "h"}
    return f"{_plain(rate.count)}/{units.get(rate.period) or show_duration(rate.period)}"


def parse_networks(value: object) -> object:
    """Check a list of addresses and CIDR blocks; a value that is no list fails later, by its type.

    `unix:` stands for every peer of a Unix socket.

    Raises:
        ValueError: an entry is none of these.
    """
    if isinstance(value, (list, tuple)):
        for number, entry in enumerate(value, start=1):
            if entry == UNIX_PEER:
                continue
            try:
                ip_network(entry if isinstance(entry, str) else "")
            except ValueError:
                text = f'entry {number} is not a network such as "10.0.0.0/8" or "::1", nor "unix:"'
                raise ValueError(text) from None
    return value


def parse_keys(value: object) -> object:
    """Accept an API key as a plain text instead of a table with `key`."""
    if isinstance(value, (list, tuple)):
        return [{"key": entry} if isinstance(entry, str) else entry for entry in value]
    return value


def show_list(values: tuple[object, ...]) -> str:
    """Format a list with its formatted entries."""
    return "[" + ", ".join(map(str, values)) + "]"


def parse_json(value: object) -> object:
    """Check that a TOML value is also a JSON value: TOML has dates and unbounded numbers.

    Raises:
        ValueError: it is no JSON value, has a number that a JSON parser may change, or is nested too deep.
    """
    if not _is_json(value, JSON_DEPTH):
        text = (
            "expected what JSON has: texts, true, false, numbers up to 2^53, lists, tables of these"
        )
        raise ValueError(f"{text}, at most {JSON_DEPTH} deep")
    return value


def _is_json(value: object, depth: int) -> bool:
    match value:
        case None | bool() | str():
            return True
        case int() | float():
            return abs(value) <= INTEGER  # false for NaN and infinity
        case list():
            return depth > 0 and all(_is_json(each, depth - 1) for each in value)
        case dict():
            keyed = all(isinstance(key, str) for key in value)
            return depth > 0 and keyed and all(_is_json(each, depth - 1) for each in value.values())
        case _:
            return False


def read_json(text: str) -> object:
    """Parse the value of a variable: as JSON if it is JSON, else as text."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return text


def show_json(value: object) -> str:
    """Format a value as JSON on one line."""
    return msgspec.json.encode(value).decode()


DURATION: Final = Format("duration", parse_duration, show_duration)
SIZE: Final = Format("size", parse_size, show_size)
RATE: Final = Format("rate", parse_rate, show_rate)
NETWORKS: Final = Format("list of networks", parse_networks, show_list)
KEYS: Final = Format("list of keys", parse_keys, show_list)
JSON: Final = Format("value of JSON", parse_json, show_json)


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
