"""The stored state of a terminal client, so that the next client resumes there, also after a kill."""

import fcntl
import hashlib
from typing import Final

import msgspec

from portward.cli.state import private_folder, replace_private, state_folder
from portward.model.position import Position

_FOLDER: Final = "connect"


class ResumeState(msgspec.Struct, frozen=True):
    """The session, its credential, the rooms with the last shown position, and the current room."""

    session: str | None = None
    credential: str = ""
    rooms: dict[str, Position | None] = msgspec.field(default_factory=dict)
    current: str | None = None

    def __repr__(self) -> str:
        return f"ResumeState(rooms={list(self.rooms)!r})"


class ResumeFile:
    """A state file for each address, user and profile; rewritten after every shown event.

    Only one client at a time owns it: `mine` is False for a second client, which then stores nothing. The
    lock ends with the process, also after a kill.
    """

    def __init__(self, url: str, user: str, profile: str) -> None:
        """Find the file, and lock it.

        Raises:
            OSError: it cannot be created.
        """
        folder = state_folder() / _FOLDER
        private_folder(folder.parent)
        private_folder(folder)
        self._path = folder / f"{fingerprint(url, user, profile)[:32]}.json"
        self._lock = self._path.with_suffix(".lock").open("w")
        self.mine = self._take()
        self.kept = self._load() if self.mine else ResumeState()

    def _take(self) -> bool:
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.close()
            return False
        return True

    def _load(self) -> ResumeState:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=ResumeState)
        except (OSError, msgspec.MsgspecError):
            return ResumeState()

    def keep(self, state: ResumeState) -> None:
        """Write the state, unless nothing changed.

        Raises:
            OSError: it cannot be written.
        """
        if self.mine and state != self.kept:
            self.kept = state
            replace_private(self._path, msgspec.json.encode(state))

    def forget(self) -> None:
        """Delete the state, and store nothing from here on."""
        if self.mine:
            self.mine = False
            self._path.unlink(missing_ok=True)

    def close(self) -> None:
        """Release the lock."""
        self._lock.close()


def fingerprint(*parts: str) -> str:
    """Return a hash that identifies a credential and cannot be used as one."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
