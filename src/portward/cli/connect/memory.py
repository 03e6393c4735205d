"""What a terminal client keeps, so that the next one goes on where it was, even killed."""

import fcntl
import hashlib
from typing import Final

import msgspec

from portward.cli.state import private_folder, replace_private, state_folder
from portward.model.position import Position

_FOLDER: Final = "connect"


class Kept(msgspec.Struct, frozen=True):
    """The session, what it was obtained by, the rooms with the last place shown, the one in use."""

    session: str | None = None
    credential: str = ""
    rooms: dict[str, Position | None] = msgspec.field(default_factory=dict)
    current: str | None = None

    def __repr__(self) -> str:
        return f"Kept(rooms={list(self.rooms)!r})"


class Memory:
    """One file for each address, user and profile; written whole after everything shown.

    Only one client at a time has it: `mine` is False for a second, which then keeps nothing. The
    lock ends with the process, however that ends.
    """

    def __init__(self, url: str, user: str, profile: str) -> None:
        """Find the file, and lock it.

        Raises:
            OSError: it cannot be made.
        """
        name = hashlib.sha256("\0".join((url, user, profile)).encode()).hexdigest()[:32]
        folder = state_folder()
        private_folder(folder)
        private_folder(folder / _FOLDER)
        self._path = folder / _FOLDER / f"{name}.json"
        self._lock = self._path.with_suffix(".lock").open("w")
        self.mine = self._take()
        self.kept = self._load() if self.mine else Kept()

    def _take(self) -> bool:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.close()
            return False
        return True

    def _load(self) -> Kept:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Kept)
        except (OSError, msgspec.MsgspecError):
            return Kept()

    def keep(self, kept: Kept) -> None:
        """Write it down, unless nothing changed.

        Raises:
            OSError: it cannot be written.
        """
        if self.mine and kept != self.kept:
            self.kept = kept
            replace_private(self._path, msgspec.json.encode(kept))

    def forget(self) -> None:
        """Keep nothing."""
        if self.mine:
            self.kept = Kept()
            self._path.unlink(missing_ok=True)

    def close(self) -> None:
        """Let another client have it."""
        self._lock.close()


def fingerprint(*parts: str) -> str:
    """Something to recognise a credential by that is of no other use."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
