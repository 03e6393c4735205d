"""What was probably meant by a key that does not exist."""

from collections.abc import Iterable
from difflib import get_close_matches

from portward.settings.environment import parts, variable
from portward.settings.errors import SettingsError
from portward.settings.schema import Entry, Path, entries, example
from portward.settings.tree import Settings


def unknown_key(path: Path, source: str) -> SettingsError:
    """Make the error for a key no table has; it names the nearest one that exists."""
    known = {
        ".".join(entry.path[:length])
        for entry in _all(path)
        for length in range(1, len(entry.path) + 1)
    }
    key = ".".join(path)
    return SettingsError(f"unknown key {key}; nearest is {_nearest(key, known)} ({source})")


def unknown_variable(name: str) -> SettingsError:
    """Make the error for a variable of ours that stands for no key."""
    known = {variable(entry.path) for entry in _all(parts(name))}
    return SettingsError(f"unknown variable {name}; nearest is {_nearest(name, known)}")


def _all(path: Path) -> list[Entry]:
    """List the keys there are; below chosen names, those of the name in question as well."""
    own = entries(example(path[1])) if len(path) > 1 else ()
    return [*entries(Settings()), *own]


def _nearest(word: str, known: Iterable[str]) -> str:
    return get_close_matches(word, sorted(known), n=1, cutoff=0.0)[0]
