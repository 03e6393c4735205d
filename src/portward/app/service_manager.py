"""Notifications of the process state to a service manager such as systemd: sd_notify(3)."""

import os
import socket
import time
from collections.abc import Callable, Mapping
from typing import Final

VARIABLE: Final = "NOTIFY_SOCKET"
READY: Final = "READY=1"
STOPPING: Final = "STOPPING=1"
_TIMEOUT: Final = 1.0


def notify(state: str, environment: Mapping[str, str] = os.environ) -> bool:
    """Send a state to the service manager's socket; returns False without a socket or without a reader.

    The socket is a path, or an abstract name with `@` in place of the null byte.
    """
    address = environment.get(VARIABLE, "")
    if address[:1] not in {"/", "@"} or len(address) == 1:
        return False
    if address[0] == "@":
        address = f"\0{address[1:]}"
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            sock.settimeout(_TIMEOUT)
            sock.sendto(state.encode(), address)
    except OSError:
        return False
    return True


def notified(reload: Callable[[], None]) -> Callable[[], None]:
    """Return `reload` with notifications to the service manager at its start and its end."""

    def reload_and_notify() -> None:
        notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")
        try:
            reload()
        finally:
            notify(READY)

    return reload_and_notify
