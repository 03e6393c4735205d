"""The file of the store: its name in a URL, its lock and rights, and its errors."""

import fcntl
import os
from pathlib import Path
from typing import Final
from urllib.parse import unquote

SCHEME: Final = "sqlite:///"
OWNER_ONLY: Final = 0o600


class EngineFileError(ValueError):
    """The file cannot be used: unreadable, damaged, of another program, or of a newer version."""

    def __init__(self, path: str, reason: str) -> None:
        super().__init__(f"engine file {path}: {reason}")


class EngineInUse(ValueError):  # noqa: N818 - a state of the environment, not an error of the program
    """Another process has the file."""

    def __init__(self, path: str) -> None:
        super().__init__(
            f"engine file {path}: in use by another process; a file serves one at a time"
        )


def sqlite_path(url: str) -> str:
    """The path that a URL names: `sqlite:///rel.db` is relative, `sqlite:////abs.db` absolute.

    Raises:
        ValueError: the URL is written otherwise, or names no file.
    """
    if not url.startswith(SCHEME) or "?" in url or "#" in url:
        raise ValueError("an SQLite engine is written sqlite:///file.db or sqlite:////path/file.db")
    path = unquote(url.removeprefix(SCHEME))
    if path == ":memory:":
        raise ValueError("sqlite:///:memory: keeps nothing; the engine memory:// is made for that")
    if not path or path.endswith("/") or "\0" in path:
        raise ValueError(f"{SCHEME} is followed by the path of a file")
    return path


class Claim:
    """Exclusive use of a file, by a lock file next to it: `<file>.lock`, which is never deleted.

    The lock is the kernel's, so it ends with the process, however that ends.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._handle: int | None = None

    def take(self) -> None:
        """Lock the file, and create it, readable by its owner only.

        Raises:
            EngineInUse: another process has it.
            EngineFileError: it cannot be opened.
        """
        if Path(self._path).exists() and not Path(self._path).is_file():
            raise EngineFileError(self._path, "is no file")
        try:
            self._lock()
            self._own()
        except BlockingIOError:
            self.release()
            raise EngineInUse(self._path) from None
        except OSError as error:
            self.release()
            raise EngineFileError(self._path, error.strerror or "cannot be opened") from None

    def _own(self) -> None:
        """Restrict the file to its owner, also one that was copied here with other rights.

        The files that SQLite adds get the same rights when they are made.
        """
        handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, OWNER_ONLY)
        try:
            if os.fstat(handle).st_uid == os.geteuid():
                os.fchmod(handle, OWNER_ONLY)
                for beside in (Path(f"{self._path}{end}") for end in ("-wal", "-shm")):
                    if beside.exists():
                        beside.chmod(OWNER_ONLY)
        finally:
            os.close(handle)

    def _lock(self) -> None:
        # A link and the file it points to are one store.
        beside = f"{Path(self._path).resolve()}.lock"
        self._handle = os.open(beside, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, OWNER_ONLY)
        fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def release(self) -> None:
        """Release the lock; does nothing when it was not taken."""
        handle, self._handle = self._handle, None
        if handle is not None:
            os.close(handle)
