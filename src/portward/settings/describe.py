"""The current settings as rows with their values and sources. No secret is shown."""

import re
from enum import Enum
from typing import Final, NamedTuple

from portward.settings.formats import JSON, show_list
from portward.settings.resolve import with_defaults
from portward.settings.schema import Leaf, entries
from portward.settings.secret import MASK
from portward.settings.sources import Loaded

_PASSWORD: Final = re.compile(r"(://[^/@:]*:)[^/@]+@")
_STORE: Final = re.compile(r"^([a-z+]*:/*)?.*@", re.IGNORECASE | re.DOTALL)
"""Everything before the last `@` of a store's address, even in a malformed address."""
_QUERY_KEY: Final = re.compile(
    r"([?&][^=&#]*(?:key|token|secret|password|signature)[^=&#]*=)[^&#]+", re.IGNORECASE
)
_HIDDEN: Final = re.compile(
    r".*(authorization|headers|api_?key|secret|password)|(.*_)?token", re.IGNORECASE | re.DOTALL
)
"""Names of JSON members whose values are credentials, such as those of a tool server."""
_PEM: Final = re.compile(r"(-----BEGIN [^-]+-----).*?(-----END [^-]+-----|\Z)", re.DOTALL)


class SettingRow(NamedTuple):
    """One setting: its dotted key, its value as text, its source."""

    key: str
    value: str
    source: str


def rows(loaded: Loaded) -> list[SettingRow]:
    """List all current settings; an unset one shows its effective value."""
    found = []
    for entry in entries(with_defaults(loaded.settings)):
        value = shown(entry.leaf, entry.value)
        if entry.key == "engine.url":
            value = _STORE.sub(rf"\1{MASK}@", value)
        found.append(SettingRow(entry.key, value, loaded.sources[entry.key]))
    return found


def shown(leaf: Leaf, value: object) -> str:
    """Format a value as it is written in the file, without quotation marks.

    Secrets, and passwords and keys in addresses, are masked; of PEM blocks only the first line is shown. A
    JSON value is shown as JSON.
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
    """Mask everything that may be a credential inside a JSON value."""
    if isinstance(value, dict):
        return {
            name: MASK if _HIDDEN.fullmatch(name) else _hidden(held) for name, held in value.items()
        }
    if isinstance(value, list):
        return [_hidden(held) for held in value]
    return _address(value) if isinstance(value, str) else value
