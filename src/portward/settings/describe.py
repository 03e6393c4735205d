"""The settings in force as rows: what holds, and where it came from. No secret is shown."""

import re
from enum import Enum
from typing import Final, NamedTuple

from portward.settings.formats import JSON, show_list
from portward.settings.schema import Leaf, entries
from portward.settings.secret import MASK
from portward.settings.sources import Loaded
from portward.settings.tree import Settings

_PASSWORD: Final = re.compile(r"(://[^/@:]*:)[^/@]+@")
_STORE: Final = re.compile(r"^([a-z+]*:/*)?.*@", re.IGNORECASE | re.DOTALL)
"""All that stands before the last `@` of a store's address, however badly it is written."""
_QUERY_KEY: Final = re.compile(
    r"([?&][^=&#]*(?:key|token|secret|password|signature)[^=&#]*=)[^&#]+", re.IGNORECASE
)
_HIDDEN: Final = re.compile(
    r".*(authorization|headers|api_?key|secret|password)|(.*_)?token", re.IGNORECASE | re.DOTALL
)
"""Names in values of JSON beside which credentials stand, such as those of a tool's server."""
_PEM: Final = re.compile(r"(-----BEGIN [^-]+-----).*?(-----END [^-]+-----|\Z)", re.DOTALL)


class SettingRow(NamedTuple):
    """One setting: its dotted key, its value as text, where it came from."""

    key: str
    value: str
    source: str


def rows(loaded: Loaded) -> list[SettingRow]:
    """List every setting in force; an unset one shows what it stands for."""
    settings, sources = loaded.settings, loaded.sources
    found = []
    for entry in entries(settings):
        value = entry.value
        if value is None and entry.path[-1] == "allow_missing_origin":
            value = settings.admits_missing_origin(settings.endpoints[entry.path[1]])
        value = shown(entry.leaf, effective(entry.leaf, value, settings))
        if entry.key == "engine.url":
            value = _STORE.sub(rf"\1{MASK}@", value)
        found.append(SettingRow(entry.key, value, sources[entry.key]))
    return found


def effective(leaf: Leaf, value: object, settings: Settings) -> object:
    """Return the value, or what an unset one stands for in this environment."""
    if value is not None:
        return value
    return leaf.about.production if settings.production else leaf.about.development


def shown(leaf: Leaf, value: object) -> str:
    """Write a value as it is written in the file, without quotation marks.

    Secrets, and passwords and keys in addresses, are masked; of PEM blocks there is the first line
    alone. A value of JSON is shown as that.
    """
    if leaf.form is JSON:
        value = _hidden(value)
    elif value is None:
        return ""
    if leaf.form is not None:
        return leaf.form.show(value)
    if isinstance(value, tuple):
        return _PEM.sub(r"\1…", show_list(value))
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Enum):
        return str(value)
    return _address(str(value))


def _address(text: str) -> str:
    return _QUERY_KEY.sub(rf"\1{MASK}", _PASSWORD.sub(rf"\1{MASK}@", text))


def _hidden(value: object) -> object:
    """Mask what may be a credential anywhere inside a value of JSON."""
    if isinstance(value, dict):
        return {
            name: MASK if _HIDDEN.fullmatch(name) else _hidden(held) for name, held in value.items()
        }
    if isinstance(value, list):
        return [_hidden(held) for held in value]
    return _address(value) if isinstance(value, str) else value
