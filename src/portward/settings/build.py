"""Construction of the settings tree from all written values."""

import re
from typing import Any, Final

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from portward.model.channel import Channel
from portward.model.namespace import AccessRule
from portward.settings.errors import SettingsError
from portward.settings.formats import JSON
from portward.settings.layers import ROOT, Given, Rank, Written
from portward.settings.limits import RateLimit
from portward.settings.presets import DIALECTS, base_endpoint, base_namespace
from portward.settings.rooms import DeclaredRoom
from portward.settings.schema import Leaf, Named, Path, Table, keys
from portward.settings.secret import Secret
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
        if endpoint.enabled and endpoint.dialect not in DIALECTS:
            path = ("endpoints", name, "dialect")
            given = path in written.values
            what = f"{endpoint.dialect!r} is no dialect of this version" if given else "not set"
            raise _refused(written, path, f"{what}; known: {', '.join(DIALECTS)}")


def _refuse_unknown_upstreams(settings: Settings, written: Written) -> None:
    known = ", ".join(f"[upstreams.{each}]" for each in settings.upstreams) or "none is set"
    for name, endpoint in settings.endpoints.items():
        if endpoint.upstream and endpoint.upstream not in settings.upstreams:
            what = f"there is no table [upstreams.{endpoint.upstream}]; known: {known}"
            raise _refused(written, ("endpoints", name, "upstream"), what)


def _refuse_bad_rooms(settings: Settings, written: Written) -> None:
    for name, room in settings.rooms.items():
        namespace = settings.namespaces.get(room.namespace)
        if namespace is None or namespace.authorize is not AccessRule.ROLES:
            what = f"{room.namespace!r} is no namespace whose rule is `roles`"
            raise _refused(written, ("rooms", name, "namespace"), what)
        if not _is_room(f"{room.namespace}:{name}"):
            what = 'an id is printable ASCII without spaces and without any of * ? [ ] { } \\ "'
            raise SettingsError(f"rooms: {name!r} is no id of a room; {what}")


def _refused(written: Written, path: Path, what: str) -> SettingsError:
    given = written.values.get(path)
    source = f" ({given.source})" if given else ""
    return SettingsError(f"{'.'.join(path)}: {what}{source}")


def _is_room(text: str) -> bool:
    try:
        return not Channel.parse(text).is_combined
    except ValueError:
        return False


_NUMBER: Final = re.compile(r"\d+(\.\d+)?", re.ASCII)
_WORDS: Final = {
    "`int`": "a whole number",
    "`float`": "a number",
    "`str`": "a text",
    "`bool`": "true or false",
    "`array`": "a list",
    "`object`": "a table",
}
_PLACE: Final = re.compile(r" - at `\$\[(\d+)\](\S*)`")


def convert(leaf: Leaf, raw: object, *, text: bool) -> object:
    """Convert a written value to the value of a key.

    `text` means that the source has only texts (environment, flags): then numbers, booleans and lists may be
    written as text, a list with commas or as JSON, and an empty text unsets a key that can be unset.

    Raises:
        SettingsError: `raw` is no such value; the message contains nothing that may be a secret.
    """
    try:
        value = _from_text(leaf, raw) if text and isinstance(raw, str) else raw
        if value is None and leaf.optional:
            return None
        if leaf.form is not None:
            value = leaf.form.parse(value)
        return msgspec.convert(value, leaf.hint, strict=not text, dec_hook=_secret)
    except ValueError as error:
        raise SettingsError(_problem(leaf, str(error))) from None


def _from_text(leaf: Leaf, raw: str) -> object:
    if any("\ud800" <= letter <= "\udfff" for letter in raw):
        # Python's form of environment bytes that are no UTF-8; they cannot be encoded for a key.
        raise ValueError("expected UTF-8")
    if leaf.listed:
        return _list(raw)
    if not raw and leaf.optional:
        return None
    if leaf.form not in (None, JSON) and _NUMBER.fullmatch(raw):
        return float(raw)
    return raw


def _list(raw: str) -> object:
    """Parse a list: as JSON when it starts like JSON, else separated by commas."""
    if not raw.lstrip().startswith("["):
        return [part.strip() for part in raw.split(",") if part.strip()]
    try:
        return msgspec.json.decode(raw)
    except (msgspec.DecodeError, RecursionError):
        raise ValueError("expected a list with commas, or one in JSON") from None


def _secret(kind: type, value: object) -> Any:
    if kind is Secret and isinstance(value, str):
        return Secret(value)
    raise ValueError("Expected `str`")


def _problem(leaf: Leaf, text: str) -> str:
    text = _PLACE.sub(lambda match: f" in entry {int(match[1]) + 1}{match[2]}", text)
    for type_name, word in _WORDS.items():
        text = text.replace(type_name, word)
    if "enum value" in text and leaf.choices:
        return f"{text}; choose from {leaf.choices}"
    return text[0].lower() + text[1:]
