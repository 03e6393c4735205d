"""The protocol of an address, and advice for a rejected handshake."""

from typing import Final
from urllib.parse import urlsplit

from portward.cli.connect import plain, sockets
from portward.cli.errors import UsageError
from portward.cli.output import shown

DIALECTS: Final = ("rooms", *plain.DIALECTS, sockets.DIALECT, "echo")
_BY_PATH: Final = {"realtime": "relay", "socket.io": sockets.DIALECT}
"""Paths whose protocol has another name."""
_PATHS: Final = "/rooms, /alerts, /live, /realtime and /socket.io/"
_ADVICE: Final = {
    401: "give --token or --sub, for live --cookie; `portward inspect TOKEN` says what is wrong with one",
    403: "the page's origin (--origin) or the user's roles are not allowed there",
    404: f"look at the path: by default there are {_PATHS}",
}


def dialect_of(url: str, chosen: str | None) -> str:
    """Return the protocol to use: the chosen one, else the one named by the last part of the path.

    Raises:
        UsageError: neither names a protocol.
    """
    last = urlsplit(url).path.rstrip("/").rpartition("/")[2]
    named = chosen or _BY_PATH.get(last, last)
    if named in DIALECTS:
        return named
    path = urlsplit(url).path or "/"
    raise UsageError(
        f"the path {shown(path)} does not say which protocol to speak. By default a gateway serves"
        f" {_PATHS}; for a path of your own give --dialect {'|'.join(DIALECTS)}"
    )


def advice(status: int) -> str:
    """Return what to change after a rejected handshake, by its status."""
    text = _ADVICE.get(status)
    return f"; {text}" if text else ""
