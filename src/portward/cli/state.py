"""What development keeps between runs: secrets it made up, in a file only its owner reads.

The file is made by whichever of `serve`, `demo`, `token` and `connect` needs it first. Production
never looks at it.
"""

import os
import secrets
import stat
import tempfile
from pathlib import Path
from typing import Final

import msgspec

from portward.cli.errors import CommandRefused

_FOLDER: Final = "portward"
_NAME: Final = "development.json"
_BYTES: Final = 32
_OTHERS: Final = 0o077


class DevelopmentState(msgspec.Struct, frozen=True):
    """A token secret, a session secret, an admin key. Shows none of them."""

    token_secret: str
    session_secret: str
    admin_key: str

    def __repr__(self) -> str:
        return "DevelopmentState()"


def state_folder() -> Path:
    """The folder for what is kept: `portward` below `XDG_STATE_HOME` or `~/.local/state`.

    Raises:
        Refusal: there is no home either.
    """
    # The XDG base directory specification: a path that is not absolute is to be ignored.
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
    """The file of the development secrets."""
    return state_folder() / _NAME


def development_state() -> DevelopmentState:
    """Read the development secrets; make them when there are none.

    Raises:
        Refusal: they cannot be read or made, or others can read them.
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


def made_up() -> DevelopmentState:
    """New development secrets."""
    return DevelopmentState(*(secrets.token_hex(_BYTES) for _ in range(3)))


def _make(path: Path) -> None:
    state = made_up()
    private_folder(path.parent)
    descriptor, name = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(state))
        # A link, unlike a rename, fails when somebody else was faster: both then read the same.
        os.link(name, path)
    except FileExistsError:
        pass
    finally:
        Path(name).unlink()


def private_folder(folder: Path) -> None:
    """Make a folder that only its owner enters, if it is not there.

    Raises:
        OSError: it cannot be made.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)


def replace_private(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, for its owner alone.

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
