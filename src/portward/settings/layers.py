"""The four layers of settings, each read into the same form: the written value of each key."""

import re
import tomllib
from collections.abc import Iterable, Mapping
from difflib import SequenceMatcher
from enum import IntEnum
from typing import Any, Final, NamedTuple

import msgspec

from portward.settings.environment import chosen, parts, variable, variables
from portward.settings.errors import SettingsError
from portward.settings.formats import JSON, read_json
from portward.settings.meta import FieldMeta
from portward.settings.schema import (
    Leaf,
    Named,
    Path,
    SettingEntry,
    Table,
    entries,
    example,
    keys,
    leaf_at,
    name_place,
    name_places,
    node_at,
)
from portward.settings.tree import Settings

ROOT: Final = Table(Settings, FieldMeta("All settings."))
_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]|_(?!_)){0,63}")
"""The grammar of a chosen name: valid as a label in metrics and as a part of a variable."""


class Rank(IntEnum):
    """The layers; a higher one has priority."""

    FILE = 0
    ALIAS = 1
    ENVIRONMENT = 2
    FLAG = 3


class Given(NamedTuple):
    """The written value of one key, and its source."""

    leaf: Leaf
    raw: object
    source: str
    rank: Rank


class Written:
    """All written values by key, and all chosen names."""

    __slots__ = ("names", "values")

    def __init__(self) -> None:
        self.values: dict[Path, Given] = {}
        self.names: dict[Path, None] = {}

    def below(self, path: Path) -> list[str]:
        """List the chosen names under `path`, in the order of their first use."""
        return [name[-1] for name in self.names if name[:-1] == path]

    def put(self, path: Path, given: Given) -> None:
        """Store a value; it replaces the value of an earlier layer."""
        self.values[path] = given

    def put_alias(self, path: Path, raw: object, names: str) -> None:
        """Store the value of an older variable name; an unknown key is ignored."""
        leaf = leaf_at(path)
        if leaf is not None:
            self.put(path, Given(leaf, raw, f"alias {names}", Rank.ALIAS))

    def name(self, path: Path, source: str) -> None:
        """Store a chosen name.

        Raises:
            SettingsError: it is a label, and does not consist of letters, digits, `-` and single `_`.
        """
        node = node_at(path[:-1])
        free = isinstance(node, Named) and node.free
        if not free and not _NAME.fullmatch(path[-1]):
            known = "letters, digits, '-' and single '_', at most 64"
            raise SettingsError(f"{path[0]}: a name is made of {known} ({source})")
        self.names[path] = None


def from_file(written: Written, text: str, path: str) -> None:
    """Store the values of a TOML file.

    Raises:
        SettingsError: it is no TOML, has an unknown key, or a value where a table belongs.
    """
    source = f"file {path}"
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path} is not valid TOML: {error}") from None
    _flatten(written, ROOT, tree, (), source)


def _flatten(
    written: Written, node: Leaf | Table | Named, value: object, path: Path, source: str
) -> None:
    if isinstance(node, Leaf):
        written.put(path, Given(node, value, source, Rank.FILE))
        return
    if not isinstance(value, dict):
        raise SettingsError(f"{'.'.join(path)}: expected a table ({source})")
    for key, inner in value.items():
        below = (*path, key)
        child = node.inner if isinstance(node, Named) else keys(node.struct).get(key)
        if child is None:
            raise unknown_key(below, source)
        if isinstance(node, Named):
            written.name(below, source)
        _flatten(written, child, inner, below, source)


def from_variables(written: Written, environ: Mapping[str, str]) -> None:
    """Store the values of the variables `PORTWARD_SECTION__KEY`.

    Raises:
        SettingsError: a variable belongs to no key, or must be a table in JSON and is none.
    """
    for name, value in variables(environ):
        path, source = _respelt(written, parts(name)), f"env {name}"
        node = node_at(path)
        if isinstance(node, Named) and isinstance(node.inner, Leaf):
            for key, raw in _json_table(path, value, source).items():
                _put(written, (*path, key), Given(node.inner, raw, source, Rank.ENVIRONMENT))
        elif isinstance(node, Leaf):
            raw = read_json(value) if node.form is JSON else value
            _put(written, path, Given(node, raw, source, Rank.ENVIRONMENT))
        else:
            raise unknown_variable(name)


def _json_table(path: Path, text: str, source: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(text or "{}", type=dict[str, Any])
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        raise SettingsError(f"{'.'.join(path)}: expected a table in JSON ({source})") from None


def from_flags(written: Written, flags: Mapping[str, object]) -> None:
    """Store values by dotted key; None means that the flag was not given.

    Raises:
        SettingsError: the key does not exist.
    """
    for key, value in flags.items():
        path, source = tuple(key.split(".")), f"flag --{key.rpartition('.')[2].replace('_', '-')}"
        leaf = leaf_at(path)
        if leaf is None:
            raise unknown_key(path, source)
        if value is not None:
            _put(written, path, Given(leaf, value, source, Rank.FLAG))


def _respelt(written: Written, path: Path) -> Path:
    """Replace a name from a variable by the chosen name, whose case and signs a variable cannot express."""
    place = name_place(path)
    if not place:
        return path
    above = path[:place]
    held: Any = Settings()
    for part in above:
        held = getattr(held, part)
    names = [*written.below(above), *held]
    return (*above, chosen(path[place], names), *path[place + 1 :])


def _put(written: Written, path: Path, given: Given) -> None:
    for place in name_places(path):
        written.name(path[: place + 1], given.source)
    written.put(path, given)


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
