"""What a second reading of the settings can put in force while the gateway runs."""

from typing import Any, Final, NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from portward.settings.schema import Leaf, Named, Path, Table, entries, keys
from portward.settings.tree import Settings

_WHOLE: Final = frozenset({"endpoints", "namespaces", "upstreams"})


class Changes(NamedTuple):
    """Dotted keys whose values differ: those a reload puts in force, and those that wait."""

    reloadable: tuple[str, ...]
    restart: tuple[str, ...]


def changes(old: Settings, new: Settings) -> Changes:
    """Compare two trees. An endpoint, namespace or upstream that came or went is one key, and waits."""
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
    """Whether both trees have the table with a chosen name that a key belongs to."""
    return all(path[1] in getattr(tree, path[0]) for tree in (old, new))


def reloaded(old: Settings, new: Settings) -> Settings:
    """Take from `new` what a reload puts in force, and everything else from `old`."""
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
    """Take roles and rooms as they are now; of other tables with names keep those that were there."""
    if isinstance(node.inner, Leaf) or node.about.reload:
        return now
    struct = node.inner.struct
    return {
        name: replace(held, **_taken(struct, held, now.get(name, held)))
        for name, held in was.items()
    }
