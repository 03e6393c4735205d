"""Lua scripts that run in the store, read from the files of this package."""

import hashlib
from importlib.resources import files
from typing import Final

import msgspec

_FOLDER: Final = files(__package__) / "lua"
_HEADS: Final = {
    "stream": ("publish", "history"),
    "presence": ("enter", "leave", "renew", "sweep"),
}
"""Files with functions, and the scripts that need them; every script gets `now`."""


class Script(msgspec.Struct, frozen=True):
    """A script, and the digest under which a server has it cached."""

    name: str
    text: str
    digest: str


def script(name: str) -> Script:
    """Read a script."""
    heads = [head for head, users in _HEADS.items() if name in users]
    text = "\n".join((_FOLDER / f"{part}.lua").read_text("utf-8") for part in ("now", *heads, name))
    digest = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
    return Script(name, text, digest)
