"""Gateways for Socket.IO clients: in this process, and as processes that can be restarted."""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from portward.app.gateway import Gateway
from tests.e2e.gateways import PROCESS, TOKENS, UNLIMITED, own_listener
from tests.e2e.process import Served
from tests.e2e.socketio_client import Tabs, browsing

ROLES: Final = '[roles]\nagent = ["dashboard.*", "approvals.decide"]\nviewer = ["dashboard.look"]\n'
CROWDED: Final = "[endpoints.workspaces.limits.connections]\nmax = 0\n"
FREE: Final = TOKENS + UNLIMITED + ROLES + CROWDED
"""Nobody's limits get in the way."""
REAL: Final = PROCESS + FREE
"""The same for a process."""

DASHBOARD: Final = "workspace:w1:dashboard"
APPROVALS: Final = "workspace:w1:approvals"


class SocketIoGateway:
    """A running gateway and clients for it. `url` begins with `http://`."""

    def __init__(self, gateway: Gateway, url: str, tabs: Tabs) -> None:
        self.gateway = gateway
        self.url = url
        self.tabs = tabs


@asynccontextmanager
async def socketio_gateway(toml: str = FREE) -> AsyncIterator[SocketIoGateway]:
    """A gateway with these settings, and a Node process."""
    async with own_listener(toml) as place, browsing() as tabs:
        yield SocketIoGateway(place.gateway, place.base.replace("ws:", "http:"), tabs)


def free_port() -> int:
    """A port that nobody has."""
    while True:
        with socket.create_server(("127.0.0.1", 0)) as found:
            port: int = found.getsockname()[1]
        if port >= 20000:
            return port


def on_port(toml: str, port: int) -> str:
    """The settings of a process, with a port of its own."""
    return toml.replace("\nport = 0\n", f"\nport = {port}\n", 1)


def home(served: Served) -> str:
    """Where a process serves, for Socket.IO clients."""
    return served.url.replace("ws:", "http:")


def own_folder(folder: Path, name: str) -> Path:
    """A folder for one of several processes."""
    made = folder / name
    made.mkdir()
    return made
