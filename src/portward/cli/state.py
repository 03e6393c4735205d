"""The stored development secrets, which are generated once, in a file that only its owner can read.

The first of `serve`, `demo`, `token` and `connect` that needs the file makes it. Production never reads
it.
"""

import os
import secrets
import stat
import tempfile
from pathlib import Path
from typing import Final

import msgspec

from portward.cli.terminal import CommandRefused

_FOLDER: Final = "portward"
_NAME: Final = "development.json"
_BYTES: Final = 32
_OTHERS: Final = 0o077


class DevelopmentState(msgspec.Struct, frozen=True):
    """A token secret, a session secret, an admin key. Its repr shows none of them."""

    token_secret: str
    session_secret: str
    admin_key: str

    def __repr__(self) -> str:
        return "DevelopmentState()"


def state_folder() -> Path:
    """Return the folder for state: `portward` below `XDG_STATE_HOME` or `~/.local/state`.

    Raises:
        CommandRefused: there is no home folder either.
    """
    # The XDG base directory specification requires that a path that is not absolute is ignored.
    chosen = Path(os.environ.get("XDG_STATE_HOME") or ".")
    if chosen.is_absolute():
        return chosen / _FOLDER
    try:
        return Path.home() / ".local" / "state" / _FOLDER
    except RuntimeError:
        raise CommandRefused(
            "there is no home folder to keep state in; set XDG_STATE_HOME"
        ) from None


def state_file() -> Path:
    """Return the path of the file with the development secrets."""
    return state_folder() / _NAME


def development_state() -> DevelopmentState:
    """Read the development secrets; generates them when there are none.

    Raises:
        CommandRefused: they cannot be read or written, or other users can read them.
    """
    path = state_file()
    try:
        if not path.exists():
            _make(path)
        return _read(path)
    except OSError as error:
        raise CommandRefused(
            f"cannot keep development secrets in {path}: {error.strerror}"
        ) from None


def _read(path: Path) -> DevelopmentState:
    if stat.S_IMODE(path.stat().st_mode) & _OTHERS:
        raise CommandRefused(
            f"others can read {path}: run chmod 600, or remove it to have a new one"
        )
    try:
        return msgspec.json.decode(path.read_bytes(), type=DevelopmentState)
    except msgspec.MsgspecError:
        raise CommandRefused(f"{path} is damaged; remove it to have a new one") from None


def new_state() -> DevelopmentState:
    """Generate new development secrets."""
    return DevelopmentState(*(secrets.token_hex(_BYTES) for _ in range(3)))


def _make(path: Path) -> None:
    state = new_state()
    private_folder(path.parent)
    descriptor, name = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(state))
        # A link, unlike a rename, fails when another process was faster: both then read the same file.
        os.link(name, path)
    except FileExistsError:
        pass
    finally:
        Path(name).unlink()


def private_folder(folder: Path) -> None:
    """Make a folder that only its owner can access, if it does not exist.

    Raises:
        OSError: it cannot be made.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)


def replace_private(path: Path, content: bytes) -> None:
    """Write a file, completely or not at all, that only its owner can access.

    Raises:
        OSError: it cannot be written.
    """
    descriptor, name = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        Path(name).replace(path)
    except OSError:
        Path(name).unlink(missing_ok=True)
        raise
