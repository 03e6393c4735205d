"""The part of new settings that a reload can apply while the gateway runs."""

from typing import Any, Final, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from portward.settings.schema import Leaf, Named, Table, entries, keys
from portward.settings.tree import Settings

_WHOLE: Final = frozenset({"endpoints", "namespaces", "upstreams"})


class Changes(NamedTuple):
    """Dotted keys whose values differ: those that a reload applies, and those that need a restart."""

    reloadable: tuple[str, ...]
    restart: tuple[str, ...]


def changes(old: Settings, new: Settings) -> Changes:
    """Compare two trees. An added or removed endpoint, namespace or upstream is one key for a restart."""
    applied = reloaded(old, new)
    return Changes(_different(old, applied), _different(applied, new))


def _different(old: Settings, new: Settings) -> tuple[str, ...]:
    before = {entry.path: entry.value for entry in entries(old)}
    after = {entry.path: entry.value for entry in entries(new)}
    found: dict[str, None] = {}
    for path in before | after:
        if path not in before or path not in after:
            tables = [getattr(tree, path[0]) for tree in (old, new)]
            whole = path[0] in _WHOLE and any(path[1] not in table for table in tables)
            found[".".join(path[:2] if whole else path)] = None
        elif before[path] != after[path]:
            found[".".join(path)] = None
    return tuple(found)


def reloaded(old: Settings, new: Settings) -> Settings:
    """Return the settings after a reload: reloadable values from `new`, all others from `old`."""
    return Settings(**_taken(Settings, old, new))


def _taken(struct: type[Struct], old: object, new: object) -> dict[str, Any]:
    taken = {}
    for name, node in keys(struct).items():
        was, now = getattr(old, name), getattr(new, name)
        if isinstance(node, Leaf):
            taken[name] = now if node.about.reload else was
        elif isinstance(node, Table):
            taken[name] = replace(was, **_taken(node.struct, was, now))
        else:
            taken[name] = _named(node, was, now)
    return taken


def _named(node: Named, was: dict[str, Any], now: dict[str, Any]) -> dict[str, Any]:
    """Use the new roles and rooms; in other tables with names keep the names that existed before."""
    if isinstance(node.inner, Leaf) or node.about.reload:
        return now
    struct = node.inner.struct
    return {
        name: replace(held, **_taken(struct, held, now.get(name, held)))
        for name, held in was.items()
    }
