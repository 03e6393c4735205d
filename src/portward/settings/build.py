"""Construction of the settings tree from all written values."""

from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from portward.model.channel import Channel
from portward.model.namespace import AccessRule
from portward.settings.convert import convert
from portward.settings.errors import SettingsError
from portward.settings.layers import ROOT, Given, Rank, Written
from portward.settings.limits import RateLimit
from portward.settings.presets import DIALECTS, base_endpoint, base_namespace
from portward.settings.rooms import DeclaredRoom
from portward.settings.schema import Leaf, Named, Path, Table, keys
from portward.settings.tree import Settings
from portward.settings.upstream import UpstreamSettings


def build(written: Written) -> Settings:
    """Apply the written values over the defaults.

    Raises:
        SettingsError: a value does not fit its key, a protocol or an upstream is unknown, or a declared
            room is not valid.
    """
    settings = Settings(**_changes(ROOT, Settings(), (), written))
    _refuse_unknown_dialects(settings, written)
    _refuse_unknown_upstreams(settings, written)
    _refuse_bad_rooms(settings, written)
    return settings


def value_of(path: Path, given: Given) -> object:
    """Convert the written value of a key.

    Raises:
        SettingsError: it does not fit; the message has the key and the source.
    """
    try:
        return convert(given.leaf, given.raw, text=given.rank is not Rank.FILE)
    except SettingsError as error:
        raise SettingsError(f"{'.'.join(path)}: {error} ({given.source})") from None


def _changes(table: Table, base: Struct, path: Path, written: Written) -> dict[str, Any]:
    changes: dict[str, Any] = {}
    for name, node in keys(table.struct).items():
        below = (*path, name)
        held = getattr(base, name)
        if isinstance(node, Named):
            changes[name] = _chosen(node, held, below, written)
        elif isinstance(node, Table):
            changes[name] = replace(held, **_changes(node, held, below, written))
        elif below in written.values:
            changes[name] = value_of(below, written.values[below])
    if table.struct is RateLimit and "rate" in changes:
        # A rate has its own burst: the default burst would allow more than the written rate.
        changes.setdefault("burst", None)
    return changes


def _chosen(node: Named, held: dict[str, Any], path: Path, written: Written) -> dict[str, Any]:
    """Build every entry under a key with chosen names: those that exist, then those written."""
    chosen: dict[str, Any] = {}
    for name in dict.fromkeys([*held, *written.below(path)]):
        below = (*path, name)
        if isinstance(node.inner, Leaf):
            chosen[name] = value_of(below, written.values[below])
        else:
            base = _base(below, written)
            chosen[name] = replace(base, **_changes(node.inner, base, below, written))
    return chosen


def _base(path: Path, written: Written) -> Struct:
    if path[0] == "namespaces":
        return base_namespace(path[1])
    if path[0] == "upstreams":
        return UpstreamSettings()
    if path[0] == "rooms":
        return DeclaredRoom()
    dialect = written.values.get((*path, "dialect"))
    named = dialect.raw if dialect is not None and isinstance(dialect.raw, str) else None
    return base_endpoint(path[1], named)


def _refuse_unknown_dialects(settings: Settings, written: Written) -> None:
    for name, endpoint in settings.endpoints.items():
        if not endpoint.enabled or endpoint.dialect in DIALECTS:
            continue
        path = ("endpoints", name, "dialect")
        given = written.values.get(path)
        what = f"{endpoint.dialect!r} is no dialect of this version" if given else "not set"
        source = f" ({given.source})" if given else ""
        known = ", ".join(DIALECTS)
        raise SettingsError(f"{'.'.join(path)}: {what}; known: {known}{source}")


def _refuse_unknown_upstreams(settings: Settings, written: Written) -> None:
    for name, endpoint in settings.endpoints.items():
        if not endpoint.upstream or endpoint.upstream in settings.upstreams:
            continue
        path = ("endpoints", name, "upstream")
        given = written.values.get(path)
        source = f" ({given.source})" if given else ""
        known = ", ".join(f"[upstreams.{each}]" for each in settings.upstreams) or "none is set"
        what = f"there is no table [upstreams.{endpoint.upstream}]; known: {known}"
        raise SettingsError(f"{'.'.join(path)}: {what}{source}")


def _refuse_bad_rooms(settings: Settings, written: Written) -> None:
    for name, room in settings.rooms.items():
        namespace = settings.namespaces.get(room.namespace)
        given = written.values.get(("rooms", name, "namespace"))
        source = f" ({given.source})" if given else ""
        if namespace is None or namespace.authorize is not AccessRule.ROLES:
            what = f"{room.namespace!r} is no namespace whose rule is `roles`"
            raise SettingsError(f"rooms.{name}.namespace: {what}{source}")
        if not _is_room(f"{room.namespace}:{name}"):
            what = 'an id is printable ASCII without spaces and without any of * ? [ ] { } \\ "'
            raise SettingsError(f"rooms: {name!r} is no id of a room; {what}")


def _is_room(text: str) -> bool:
    try:
        return not Channel.parse(text).is_combined
    except ValueError:
        return False
