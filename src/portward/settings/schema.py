"""The tree as data: its keys, their types and their meaning.

It is read from the annotations of the structs, so that the sources, the display of settings, the reference
page and the comparison of two trees all use one definition.
"""

from collections.abc import Iterator, Mapping
from enum import EnumMeta
from functools import cache
from types import UnionType
from typing import (
    Annotated,
    Any,
    Literal,
    NamedTuple,
    TypeAlias,
    TypeVar,
    Union,
    get_args,
    get_origin,
    get_type_hints,
)

from msgspec import Struct
from msgspec.structs import fields, replace

from portward.model.namespace import Namespace
from portward.settings.formats import Format
from portward.settings.meta import UNSET, Count, FieldMeta, Seconds
from portward.settings.presets import RELOADED_KEYS
from portward.settings.tree import Settings

Path: TypeAlias = tuple[str, ...]
"""The parts of a dotted key."""
S = TypeVar("S", bound=Struct)


class Leaf(NamedTuple):
    """A key with a value. `hint` is its annotated type, `plain` the type without None."""

    hint: Any
    plain: Any
    about: FieldMeta
    form: Format | None
    optional: bool

    @property
    def listed(self) -> bool:
        """Whether the value is a list."""
        return get_origin(self.plain) is tuple

    @property
    def choices(self) -> str:
        """The possible values, with commas; empty when the type allows any."""
        kind = get_args(self.plain)[0] if self.listed else self.plain
        if get_origin(kind) is Literal:
            return ", ".join(get_args(kind))
        return ", ".join(kind) if isinstance(kind, EnumMeta) else ""


class Table(NamedTuple):
    """A key with inner keys that a struct defines."""

    struct: type[Struct]
    about: FieldMeta


class Named(NamedTuple):
    """A key under which the operator chooses names; each name has a value of the form `inner`."""

    inner: Leaf | Table
    about: FieldMeta

    @property
    def free(self) -> bool:
        """Whether any text is a valid name, as for a role, a pattern or a room."""
        return isinstance(self.inner, Leaf) or self.about.free


class SettingEntry(NamedTuple):
    """One key of a tree with its value."""

    path: Path
    leaf: Leaf
    value: object

    @property
    def key(self) -> str:
        """The dotted key."""
        return ".".join(self.path)


@cache
def keys(struct: type[Struct]) -> Mapping[str, "Leaf | Table | Named"]:
    """Return the keys of a table, in the order of the struct's fields."""
    hints = get_type_hints(struct, include_extras=True)
    if struct is Namespace:
        del hints["name"]  # the name of its table
        hints = {name: _namespace_hint(name, hint) for name, hint in hints.items()}
    unset = {field.name for field in fields(struct) if field.default is UNSET}
    return {name: _node(hint, optional=name in unset) for name, hint in hints.items()}


def _namespace_hint(name: str, hint: Any) -> Any:
    about = FieldMeta(reload=name in RELOADED_KEYS)
    if hint is float:
        return Annotated[Seconds, about]
    return Annotated[Count if hint is int else hint, about]


def _node(hint: Any, *, optional: bool) -> "Leaf | Table | Named":
    plain, extras = _bare(hint)
    if get_origin(plain) is Mapping:
        return Named(_inner(get_args(plain)[1], optional=False), _about(extras))
    return _inner(hint, optional=optional)


def _inner(hint: Any, *, optional: bool) -> Leaf | Table:
    plain, extras = _bare(hint)
    form = next((extra for extra in extras if isinstance(extra, Format)), None)
    if form is None and isinstance(plain, type) and issubclass(plain, Struct):
        return Table(plain, _about(extras))
    return Leaf(hint, plain, _about(extras), form, optional)


def _about(extras: list[object]) -> FieldMeta:
    return next((extra for extra in extras if isinstance(extra, FieldMeta)), FieldMeta(""))


def _bare(hint: Any) -> tuple[Any, list[object]]:
    """Remove `Annotated` and `| None` at any depth; collect the annotations."""
    if get_origin(hint) is Annotated:
        plain, extras = _bare(hint.__origin__)
        return plain, [*extras, *hint.__metadata__]
    if get_origin(hint) in {Union, UnionType}:
        parts = [part for part in get_args(hint) if part is not type(None)]
        # Several written forms of one value: the format in the annotation describes them.
        return _bare(parts[0]) if len(parts) == 1 else (hint, [])
    return hint, []


def leaf_at(path: Path) -> Leaf | None:
    """Return the key at a path; None when there is none, or when it has inner keys."""
    node = node_at(path)
    return node if isinstance(node, Leaf) else None


def node_at(path: Path) -> Leaf | Table | Named | None:
    """Return the key, table or named table at a path of at least one part."""
    node: Leaf | Table | Named | None = keys(Settings).get(path[0])
    for part in path[1:]:
        if isinstance(node, Named):
            node = node.inner
        else:
            node = keys(node.struct).get(part) if isinstance(node, Table) else None
    return node


def name_places(path: Path) -> tuple[int, ...]:
    """Return the positions of chosen names in a path."""
    return tuple(at for at in range(1, len(path)) if isinstance(node_at(path[:at]), Named))


def name_place(path: Path) -> int:
    """Return the position of the first chosen name in a path; 0 when there is none."""
    return next(iter(name_places(path)), 0)


def entries(settings: Settings) -> Iterator[SettingEntry]:
    """Yield all keys of a tree that have values, in the order of the tree."""
    return _walk(Settings, settings, ())


def _walk(struct: type[Struct], value: object, path: Path) -> Iterator[SettingEntry]:
    for name, node in keys(struct).items():
        held = getattr(value, name)
        if isinstance(node, Named):
            for chosen, inner in held.items():
                yield from _below(node.inner, inner, (*path, name, chosen))
        else:
            yield from _below(node, held, (*path, name))


def _below(node: Leaf | Table, value: object, path: Path) -> Iterator[SettingEntry]:
    if isinstance(node, Leaf):
        yield SettingEntry(path, node, value)
    else:
        yield from _walk(node.struct, value, path)


def example(name: str = "<name>") -> Settings:
    """Make a tree with one entry called `name` under every key with chosen names."""
    return _example(Settings, Settings(), name)


def _example(struct: type[Struct], values: S, name: str) -> S:
    changed: dict[str, Any] = {}
    for key, node in keys(struct).items():
        if isinstance(node, Table):
            changed[key] = _example(node.struct, getattr(values, key), name)
        elif isinstance(node, Named):
            changed[key] = {name: _example_of(node.inner, name)}
    return replace(values, **changed)


def _example_of(node: Leaf | Table, name: str) -> object:
    if isinstance(node, Leaf):
        return () if node.listed else None
    given: Any = {"name": name} if node.struct is Namespace else {}
    return _example(node.struct, node.struct(**given), name)
