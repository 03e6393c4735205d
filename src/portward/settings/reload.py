"""The part of new settings that a reload can apply while the gateway runs."""

from typing import Any, Final, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from portward.settings.schema import Leaf, Named, Path, Table, entries, keys
from portward.settings.tree import Settings

_WHOLE: Final = frozenset({"endpoints", "namespaces", "upstreams"})


class Changes(NamedTuple):
    """Dotted keys whose values differ: those that a reload applies, and those that need a restart."""

    reloadable: tuple[str, ...]
    restart: tuple[str, ...]


def changes(old: Settings, new: Settings) -> Changes:
    """Compare two trees. An added or removed endpoint, namespace or upstream is one key for a restart."""
    before = {entry.path: entry for entry in entries(old)}
    after = {entry.path: entry for entry in entries(new)}
    reloadable: list[str] = []
    restart: dict[str, None] = {}
    for path, entry in (before | after).items():
        both = path in before and path in after
        if both and before[path].value == entry.value:
            continue
        if not both and path[0] in _WHOLE and not _in_both(old, new, path):
            restart[".".join(path[:2])] = None
        elif entry.leaf.about.reload:
            reloadable.append(entry.key)
        else:
            restart[entry.key] = None
    return Changes(tuple(reloadable), tuple(restart))


def _in_both(old: Settings, new: Settings, path: Path) -> bool:
    """Return whether both trees have the table with a chosen name that a key belongs to."""
    return all(path[1] in getattr(tree, path[0]) for tree in (old, new))


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
