"""Python's `websockets` on uvloop: its own `broadcast`, no compression.

`python websockets_server.py [check SECRET | echo]`, as in `ws_server.cjs`.
"""

import asyncio
import http
import json
import sys
import time

import jwt
import uvloop
from websockets.asyncio.server import ServerConnection, broadcast, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

connections: set[ServerConnection] = set()


async def hold(connection: ServerConnection) -> None:
    """Keeps a connection among the subscribers until it is closed."""
    connections.add(connection)
    try:
        await connection.wait_closed()
    finally:
        connections.discard(connection)


async def echo(connection: ServerConnection) -> None:
    """Sends every rooms message back to its sender."""
    try:
        async for text in connection:
            data = json.loads(text)["data"]
            now = int(time.time() * 1000)
            answer = {"type": "message", "data": data | {"timestamp": now}, "timestamp": now}
            await connection.send(json.dumps(answer))
    except ConnectionClosed:
        return


def check(_connection: ServerConnection, request: Request) -> Response | None:
    """Refuses a handshake without a valid HS256 token."""
    token = request.headers.get("Authorization", "").removeprefix("Bearer ")
    try:
        jwt.decode(token, sys.argv[2], algorithms=["HS256"], options={"require": ["sub", "exp"]})
    except jwt.InvalidTokenError:
        return Response(http.HTTPStatus.UNAUTHORIZED.value, "Unauthorized", Headers())
    return None


async def publish(count: int, rate: float, size: int) -> None:
    """Broadcasts `count` messages of `size` bytes, `rate` a second."""
    text = "~mark~".ljust(size, "x")
    start = time.monotonic()
    for message in range(count):
        broadcast(connections, text)
        await asyncio.sleep(max(0.0, start + (message + 1) / rate - time.monotonic()))
    print("done", flush=True)


async def main() -> None:
    """Serves until the standard input ends."""
    mode = sys.argv[1] if len(sys.argv) > 1 else ""
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    async with serve(
        echo if mode == "echo" else hold,
        "127.0.0.1",
        0,
        compression=None,
        backlog=4096,
        process_request=check if mode == "check" else None,
    ) as server:
        print("ready", next(iter(server.sockets)).getsockname()[1], flush=True)
        while line := await reader.readline():
            _, count, rate, size = line.split()
            await publish(int(count), float(rate), int(size))


if __name__ == "__main__":
    uvloop.run(main())
