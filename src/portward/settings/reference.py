"""The reference page of all settings, generated from the tree so that it cannot differ from it."""

import ast
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from inspect import getsource
from itertools import pairwise
from typing import Final, get_args

from portward.settings.describe import shown
from portward.settings.environment import ALIASES, WINDOW, variable
from portward.settings.presets import ENDPOINTS, NAMESPACES
from portward.settings.schema import (
    Leaf,
    Named,
    Path,
    SettingEntry,
    Table,
    entries,
    example,
    keys,
    node_at,
)
from portward.settings.secret import Secret
from portward.settings.tree import Settings

_TYPES: Final = {bool: "true or false", int: "number", float: "number", str: "text"}
_PRESETS: Final[dict[str, Mapping[str, object]]] = {
    "endpoints": ENDPOINTS,
    "namespaces": NAMESPACES,
}
_HEAD: Final = """\
# Settings

Every key stands in the file (TOML), or in the environment under the name beside it; a few are
flags. Flags win over the environment, the environment over older names, those over the file, and
the file over the defaults. `portward config` shows what is in force and where it came from.

Durations are written `"250ms"`, `"25s"`, `"10m"`, `"1h"` or as seconds; sizes `"64KiB"`, `"1MiB"`,
`"100kB"` or as bytes; rates `"60/min"`, `"500/s"`, `"10/60s"` or `"none"`. A list in the
environment is written with commas, or as JSON. `PORTWARD_ROLES`, `PORTWARD_TOKENS__REQUIRE`,
`PORTWARD_IDENTITY_PROVIDER__TOPICS` and `PORTWARD_UPSTREAM__PIN` take a whole table in JSON, for
names no variable can spell. One value of JSON may stand in a variable as that, or as a text.
↻ marks what SIGHUP puts in force without a restart.
"""


def reference() -> str:
    """Write the page in Markdown: every key with its type, default, variable and meaning."""
    parts = [_HEAD, *(_section(name) for name in keys(Settings)), _aliases()]
    return "\n".join(part.rstrip() + "\n" for part in parts)


def meaning(path: Path) -> str:
    """Return the meaning of a key, or of a table: the docstring below the field in the table's struct."""
    node, above = node_at(path), node_at(path[:-1]) if path[1:] else None
    if node is None or node.about.text or isinstance(above, Named):
        return node.about.text if node is not None else ""
    text = docstrings(above.struct if isinstance(above, Table) else Settings)[path[-1]]
    if not isinstance(node, Leaf):
        return text
    begins_lower = text[1:2].islower() or text[1:2] == " "
    return (text[0].lower() if begins_lower else text[0]) + text[1:].removesuffix(".")


@cache
def docstrings(struct: type) -> dict[str, str]:
    """Read the docstrings below the fields of a struct, each as one line, from its source."""
    [definition] = ast.parse(getsource(struct)).body
    found: dict[str, str] = {}
    for field, below in pairwise(getattr(definition, "body", ())):
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name):
            text = below.value if isinstance(below, ast.Expr) else None
            if isinstance(text, ast.Constant):
                found[field.target.id] = " ".join(str(text.value).split())
    return found


def kind(leaf: Leaf) -> str:
    """Describe in a few words which values a key accepts."""
    if leaf.form is not None:
        return leaf.form.name
    if leaf.choices:
        choices = " or ".join(f"`{choice}`" for choice in leaf.choices.split(", "))
        return f"list of {choices}" if leaf.listed else choices
    if leaf.listed:
        return "list of secrets" if get_args(leaf.plain)[0] is Secret else "list of texts"
    return "secret" if leaf.plain is Secret else _TYPES[leaf.plain]


def _section(name: str) -> str:
    node = keys(Settings)[name]
    found = [entry for entry in entries(example()) if entry.path[0] == name]
    if isinstance(node, Leaf):
        return "\n".join(_table(found))
    lines = [f"## {name}", "", meaning((name,)), "", *_table(found)]
    if name in _PRESETS:
        lines += ["", *_presets(name)]
    return "\n".join(lines)


def _table(found: Iterable[SettingEntry]) -> Iterator[str]:
    yield "| key | type | default | variable | meaning |"
    yield "|---|---|---|---|---|"
    for entry in found:
        key = f"`{entry.key}`" + (" ↻" if entry.leaf.about.reload else "")
        cells = (key, kind(entry.leaf), _default(entry), f"`{variable(entry.path)}`")
        yield f"| {' | '.join(cells)} | {_meaning(entry)} |"


def _meaning(entry: SettingEntry) -> str:
    """Return the meaning of a key, after the description of its inner table if it is in one."""
    text = meaning(entry.path)
    above = node_at(entry.path[:-1]) if entry.path[1:-1] else None
    about = meaning(entry.path[:-1]).rstrip(".") if isinstance(above, Table) else ""
    return f"{about}: {text}" if about else text


def _default(entry: SettingEntry) -> str:
    about = entry.leaf.about
    if isinstance(node_at(entry.path[:-1]) if entry.path[1:] else None, Named):
        return ""  # the key exists only after a name was chosen
    if entry.value is None and about.unset:
        return about.unset
    if entry.value is None and about.development is not None:
        here, there = shown(entry.leaf, about.development), shown(entry.leaf, about.production)
        return f"`{here}` in development, `{there}` in production"
    if entry.value is None and entry.path[0] == "endpoints":
        return "as in `limits`"
    text = shown(entry.leaf, entry.value)
    return f"`{text}`" if text else ""


def _presets(name: str) -> Iterator[str]:
    """Yield the predefined entries under a key with chosen names, as far as they differ from the defaults."""
    presets = _PRESETS[name]
    tree = Settings()
    general = {entry.path[2:]: entry.value for entry in entries(example()) if entry.path[0] == name}
    yield "These exist without being written down:"
    yield ""
    for preset in presets:
        different = (
            f"`{'.'.join(entry.path[2:])} = {shown(entry.leaf, entry.value)}`"
            for entry in entries(tree)
            if entry.path[:2] == (name, preset) and entry.value != general[entry.path[2:]]
        )
        yield f"- `{preset}`: {', '.join(different)}"


def _aliases() -> str:
    lines = ["## Older names", "", "Read when set and not empty, after the file:", ""]
    for alias in ALIASES:
        note = f": {alias.note}" if alias.note else ""
        lines.append(f"- `{alias.name}` → `{'.'.join(alias.path)}`{note}")
    lines.append(
        f"- `{WINDOW.amount}` and `{WINDOW.period}` → `{'.'.join(WINDOW.path)}`: so many in so many"
        " milliseconds; 10 and 60000 when one of them is not set"
    )
    lines += ["", "Two names of one key must not say different things."]
    return "\n".join(lines)
