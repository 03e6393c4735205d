"""File access of the settings, and secrets that are read from separate files."""

import re
from collections.abc import Callable
from pathlib import Path as FilePath
from typing import Final, TypeAlias

from portward.settings.build import value_of
from portward.settings.errors import SettingsError
from portward.settings.layers import Given, Rank, Written
from portward.settings.schema import Leaf, Named, Path, leaf_at, node_at

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
