"""Suggestions for a key that does not exist."""

from collections.abc import Iterable
from difflib import SequenceMatcher
from typing import Final

from portward.settings.environment import parts, variable
from portward.settings.errors import SettingsError
from portward.settings.schema import Path, SettingEntry, entries, example
from portward.settings.tree import Settings

_END: Final = 0.9
"""The weight of the similarity to the end of a name; the rest is the similarity to the whole name."""


def unknown_key(path: Path, source: str) -> SettingsError:
    """Make the error for an unknown key; it names the most similar existing key."""
    known = {
        ".".join(entry.path[:length])
        for entry in _all(path)
        for length in range(1, len(entry.path) + 1)
    }
    key = ".".join(path)
    return SettingsError(f"unknown key {key}; nearest is {_nearest(key, known)} ({source})")


def unknown_variable(name: str) -> SettingsError:
    """Make the error for a variable with the gateway's prefix that belongs to no key."""
    known = {variable(entry.path) for entry in _all(parts(name))}
    return SettingsError(f"unknown variable {name}; nearest is {_nearest(name, known)}")


def _all(path: Path) -> list[SettingEntry]:
    """List all keys; below chosen names, also the keys of the name in question."""
    own = entries(example(path[1])) if len(path) > 1 else ()
    return [*entries(Settings()), *own]


def _nearest(word: str, known: Iterable[str]) -> str:
    return max(sorted(known), key=lambda name: _likeness(word, name))


def _likeness(word: str, name: str) -> float:
    """Return the similarity of two keys, from 0 to 1.

    A key may also be similar to the end of a name: `admin.port` equals the end of `server.admin_port`.
    """
    whole = _ratio(word, name)
    ends = (name[at:] for at in range(len(name)) if at == 0 or name[at - 1] in "._")
    end = max(_ratio(_flat(word), _flat(end)) for end in ends)
    return max(whole, _END * end + (1 - _END) * whole)


def _flat(key: str) -> str:
    return key.replace(".", "_")


def _ratio(one: str, other: str) -> float:
    return SequenceMatcher(None, one, other, autojunk=False).ratio()
