"""An application with the gateway in it that says back whatever it hears, for clients that speak by hand.

python -m tests.e2e.socketio_app SETTINGS
"""

import asyncio
import sys
from typing import Any

from portward.app.gateway import Gateway
from portward.app.server import Server, serve
from portward.protocols.socketio.server import Socket
from portward.protocols.workspaces.api import SocketNamespace
from portward.settings import load


async def connected(socket: Socket, auth: dict[str, Any]) -> None:
    """Tell a newcomer what it said of itself."""
    await socket.emit("auth", auth)


async def message(socket: Socket, *arguments: Any) -> None:
    """Say it back as an event."""
    await socket.emit("message-back", *arguments)


def acknowledged(socket: Socket, *arguments: Any) -> Any:
    """Say it back as the acknowledgement."""
    return arguments


async def asked(socket: Socket, *arguments: Any) -> None:
    """Ask the client, and tell it what it answered."""
    answer = await socket.call("question", *arguments)
    await socket.emit("answered", *answer)


def prepare(namespace: SocketNamespace) -> None:
    """Handle everything in a namespace."""
    namespace.on("connect", connected)
    namespace.on("message", message)
    namespace.on("message-with-ack", acknowledged)
    namespace.on("ask-me", asked)


def started(gateway: Gateway, _: Server) -> None:
    """Set the handlers."""
    for name in ("/", "/custom"):
        prepare(gateway.workspaces.namespace(name))
    sys.stdout.write("prepared\n")
    sys.stdout.flush()


def announce(line: str) -> None:
    """Tell the test where it is."""
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(serve(load({}, sys.argv[1]).settings, announce=announce, started=started))
