"""Which protocol an address stands for, and what a refused handshake there means."""

from typing import Final
from urllib.parse import urlsplit

from portward.cli.connect import plain, sockets
from portward.cli.errors import UsageError
from portward.cli.output import shown

DIALECTS: Final = ("rooms", *plain.DIALECTS, sockets.DIALECT, "echo")
_BY_PATH: Final = {"realtime": "relay", "socket.io": sockets.DIALECT}
"""Paths that are not called as what is spoken there."""
_PATHS: Final = "/rooms, /alerts, /live, /realtime and /socket.io/"
_ADVICE: Final = {
    401: "give --token or --sub, for live --cookie; `portward inspect TOKEN` says what is wrong with one",
    403: "the page's origin (--origin) or the user's roles are not allowed there",
    404: f"look at the path: by default there are {_PATHS}",
}


def dialect_of(url: str, chosen: str | None) -> str:
    """The protocol to speak: as chosen, else as the last part of the path is called.

    Raises:
        Usage: neither says so.
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
    """What to change after a refused handshake."""
    text = _ADVICE.get(status)
    return f"; {text}" if text else ""
