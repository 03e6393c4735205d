"""The sources of settings, in this order of priority: file < older names < environment < flags."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path as FilePath
from typing import Final, TypeAlias

from msgspec import Struct

from portward.settings.build import build, value_of
from portward.settings.environment import CONFIG
from portward.settings.errors import SettingsError
from portward.settings.keys import ApiKey
from portward.settings.layers import Given, Rank, Written, from_file, from_flags, from_variables
from portward.settings.legacy_env import from_aliases, lets_everyone_in, names_in_use
from portward.settings.schema import Leaf, Named, Path, entries, leaf_at, node_at
from portward.settings.secret import Secret
from portward.settings.tree import Settings

DEFAULT_FILE: Final = "portward.toml"
DEFAULT: Final = "default"
_FILE: Final = "file "
Reader: TypeAlias = Callable[[str], str]
"""A function that returns the text of a file, or raises OSError or UnicodeDecodeError."""
_PEM: Final = re.compile(r"-----BEGIN [^-\n]+-----.*?-----END [^-\n]+-----", re.DOTALL)
_SUFFIX: Final = "_file"


def read_file(path: str) -> str:
    """Read the text of a file, in UTF-8.

    Raises:
        OSError: it cannot be read.
        UnicodeDecodeError: it is no text.
    """
    return FilePath(path).read_text(encoding="utf-8")


class Loaded(Struct, frozen=True):
    """The current settings, with the source of each value by dotted key.

    A source is written as `default`, `file portward.toml`, `alias JWT_SECRET`, `env PORTWARD_SERVER__PORT` or
    `flag --port`; for a secret from a separate file, that file is the source.
    """

    settings: Settings
    sources: Mapping[str, str]


def secret_files(loaded: Loaded) -> tuple[str, ...]:
    """List the files that secrets were read from, including the settings file when it contains one."""
    found = {
        loaded.sources.get(entry.key, "").removeprefix(_FILE): None
        for entry in entries(loaded.settings)
        if holds_secret(entry.value) and loaded.sources.get(entry.key, "").startswith(_FILE)
    }
    return tuple(found)


def holds_secret(value: object) -> bool:
    """Return whether a value is a non-empty secret or admin key, or a list with one."""
    if isinstance(value, tuple):
        return any(map(holds_secret, value))
    return bool(value) if isinstance(value, Secret) else isinstance(value, ApiKey)


def load(
    environ: Mapping[str, str],
    path: str | None = None,
    *,
    flags: Mapping[str, object] | None = None,
    read: Reader = read_file,
) -> Loaded:
    """Read the settings.

    Args:
        environ: the environment, usually `os.environ`.
        path: the file; by default the one in `PORTWARD_CONFIG`, else `portward.toml` if it exists.
        flags: values by dotted key, such as `{"server.port": 9000}`; None means not given.
        read: returns the text of a file.

    Raises:
        SettingsError: a file, a name or a value is wrong; one line with its key and its source.
    """
    chosen = path or environ.get(CONFIG) or None
    file = chosen or DEFAULT_FILE
    written = Written()
    from_file(written, text_of(file, read, optional=chosen is None), file)
    from_aliases(written, environ)
    from_variables(written, environ)
    from_flags(written, flags or {})
    names_in_use(written)
    read_secrets(written, read)
    settings = build(written)
    if lets_everyone_in(written, settings, environ):
        settings = build(written)
    return Loaded(settings, _sources(settings, written))


def _sources(settings: Settings, written: Written) -> dict[str, str]:
    sources = {}
    for entry in entries(settings):
        given = written.values.get(entry.path)
        sources[entry.key] = given.source if given else DEFAULT
    return sources


def text_of(path: str, read: Reader, *, optional: bool = False) -> str:
    """Read a file; a missing `optional` file is empty.

    Raises:
        SettingsError: it cannot be read, with the reason.
    """
    try:
        return read(path)
    except OSError as error:
        if optional and isinstance(error, FileNotFoundError):
            return ""
        raise SettingsError(f"cannot read {path}: {error.strerror or 'failed'}") from None
    except UnicodeDecodeError:
        raise SettingsError(f"cannot read {path}: not UTF-8") from None


def read_secrets(written: Written, read: Reader) -> None:
    """Set each key that has a `…_file` key beside it to the content of the named file.

    When both the key and its file key are written, the one from the higher layer is used.

    Raises:
        SettingsError: a file cannot be read or is empty, or one layer has both a key and its file key.
    """
    for path, given in list(written.values.items()):
        beside = (*path[:-1], path[-1].removesuffix(_SUFFIX))
        # A name that an operator chose may end in anything.
        is_key = beside != path and not isinstance(node_at(path[:-1]), Named)
        leaf = leaf_at(beside) if is_key else None
        if leaf is None:
            continue
        other = written.values.get(beside)
        if other is not None and other.rank > given.rank:
            del written.values[path]
            continue
        name = value_of(path, given)
        if not isinstance(name, str) or not name:
            continue
        if other is not None and other.rank == given.rank and other.raw:
            both = f"{'.'.join(beside)} and {'.'.join(path)} are both set"
            raise SettingsError(f"{both}; keep one ({given.source})")
        written.values[beside] = _held(path, leaf, name, read)


def _held(path: Path, leaf: Leaf, name: str, read: Reader) -> Given:
    try:
        raw = contents(leaf, text_of(name, read))
    except SettingsError as error:
        raise SettingsError(f"{'.'.join(path)}: {error}") from None
    return Given(leaf, raw, f"file {name}", Rank.FILE)


def contents(leaf: Leaf, text: str) -> object:
    """Convert a file's text to the written value of `leaf`: lines or PEM blocks for a list, else the text.

    Raises:
        SettingsError: the file is empty.
    """
    found: list[str] = _PEM.findall(text) or [line.strip() for line in text.splitlines()]
    found = [entry for entry in found if entry]
    if not found:
        raise SettingsError("the file is empty")
    return found if leaf.listed else text.strip()
