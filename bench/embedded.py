"""An application with the gateway in it that publishes on command.

python -m bench.embedded SETTINGS room|workspace
"""

import asyncio
import os
import sys
import time
from typing import TextIO

import uvloop

from bench.load import payload
from bench.portward import ROOM
from bench.servers import SOCKET_ROOM
from portward.app.gateway import Gateway
from portward.app.server import Server, serve
from portward.settings import load


async def publish(gateway: Gateway, count: int, rate: float, size: int) -> None:
    """Publishes `count` messages of `size` bytes, `rate` a second."""
    text = payload(size)
    update = {"action": "tick", "payload": text, "userId": "bench"}
    start = time.monotonic()
    for message in range(count):
        if sys.argv[2] == "room":
            await gateway.publish(f"rooms:{ROOM}", text)
        else:
            await gateway.workspaces.emit(SOCKET_ROOM, "dashboard_update", update)
        await asyncio.sleep(max(0.0, start + (message + 1) / rate - time.monotonic()))


async def obey(gateway: Gateway, server: Server, answers: TextIO) -> None:
    """Says where it listens, then does what the standard input asks for."""
    commands = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(commands), sys.stdin
    )
    print("ready", server.public.addresses[0][1], file=answers)
    while line := await commands.readline():
        _, count, rate, size = line.split()
        await publish(gateway, int(count), float(rate), int(size))
        print("done", file=answers)


async def main(answers: TextIO) -> None:
    """Serves until it is told to end."""
    tasks: list[asyncio.Task[None]] = []

    def started(gateway: Gateway, server: Server) -> None:
        tasks.append(asyncio.create_task(obey(gateway, server, answers)))

    await serve(
        load({}, sys.argv[1]).settings,
        announce=lambda line: print(line, file=sys.stderr),
        started=started,
    )


if __name__ == "__main__":
    # What anything else writes to the standard output must not be taken for an answer.
    with os.fdopen(os.dup(1), "w", buffering=1) as pipe:
        os.dup2(2, 1)
        uvloop.run(main(pipe))
