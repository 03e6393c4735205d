"""Detection of a second process of an application that keeps its state in memory.

`uvicorn --workers 2`, gunicorn and hypercorn start the application several times, as children of one
process. With `memory://` each child would have channels of its own, and half of the users would not
receive what the other half publishes. `--reload` starts one child after the other, which is allowed.
"""

import os
import socket
import sys
from multiprocessing import parent_process
from pathlib import Path

from portward.settings import SettingsError


class ProcessClaim:
    """The claim of one process to be the only child of its parent that runs this application.

    It is a name in the abstract namespace of Unix sockets, which exists only on Linux; the kernel frees it
    when the process ends in any way. On other systems nothing is claimed.
    """

    def __init__(self) -> None:
        self._socket: socket.socket | None = None

    def take(self) -> None:
        """Take the claim, if a server that can start several processes started this one.

        Raises:
            SettingsError: another child of the same parent has the claim.
        """
        if not _is_child_of_a_server() or not sys.platform.startswith("linux"):
            return
        made = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            made.bind(_name())
        except OSError:
            made.close()
            raise SettingsError(
                "another process of this application runs already, and with memory:// each would have"
                ' channels of its own: start one process, or set engine.url = "redis://…"'
            ) from None
        self._socket = made

    def release(self) -> None:
        """Release the claim."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None


def _is_child_of_a_server() -> bool:
    """Return whether a server that can start several processes started this one."""
    return parent_process() is not None or "gunicorn.arbiter" in sys.modules


def _name() -> str:
    """Return one name for all children of one parent; its start time excludes an earlier parent's name."""
    parent = os.getppid()
    try:
        started = Path(f"/proc/{parent}/stat").read_text(encoding="utf-8").rpartition(")")[2]
    except OSError:
        started = ""
    moment = started.split()[19] if started else "0"  # field 22 of proc(5), after pid and name
    return f"\0portward-memory-{os.getuid()}-{parent}-{moment}"
