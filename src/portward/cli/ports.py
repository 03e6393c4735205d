"""Free ports to listen on."""

import socket
from typing import Final

_HIGHEST: Final = 65_535


def can_listen(host: str, port: int) -> bool:
    """Return whether a listener could be opened there now."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except OSError:
        return False
    for family, kind, protocol, _, address in found:
        with socket.socket(family, kind, protocol) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind(address)
            except OSError:
                return False
    return True


def free_port(host: str, first: int, *taken: int) -> int:
    """Return the first free port from `first` on that is not in `taken`; 0 when there is none."""
    candidates = (port for port in range(first, _HIGHEST + 1) if port not in taken)
    return next((port for port in candidates if can_listen(host, port)), 0)
