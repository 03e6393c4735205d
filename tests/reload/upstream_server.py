"""A small upstream of a relay, in a thread: what it was asked for, what it was sent, and usage on request."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response
from websockets.sync.server import ServerConnection, serve

SLOW = "/slow"
"""The path whose handshakes take a second."""


@dataclass(frozen=True)
class Asked:
    """A handshake: the target, and the headers by their names in lower case."""

    target: str
    headers: dict[str, str]


class UpstreamServer:
    """Tells each client what its first message was, and from then on echoes what it is sent.

    A message `{"usage": …}` is answered with an event that reports that usage.
    """

    def __init__(self) -> None:
        self.url = ""
        self.asked: list[Asked] = []

    def admit(self, connection: ServerConnection, request: Request) -> Response | None:  # noqa: ARG002 - the library's
        """Note a handshake."""
        headers = {name.lower(): value for name, value in request.headers.raw_items()}
        self.asked.append(Asked(request.path, headers))
        if request.path.startswith(SLOW):
            time.sleep(1.0)
        return None

    def talk(self, connection: ServerConnection) -> None:
        """Serve one connection until it ends."""
        try:
            for message in connection:
                connection.send(_answer(message))
        except ConnectionClosed:
            pass


def _answer(message: str | bytes) -> str | bytes:
    if isinstance(message, bytes):
        return message
    event: Any = json.loads(message)
    if "usage" in event:
        return json.dumps({"type": "response.done", "response": {"usage": event["usage"]}})
    return message


@contextmanager
def upstream_server() -> Iterator[UpstreamServer]:
    """Serve on a free port of this machine until the block ends."""
    made = UpstreamServer()
    with serve(made.talk, "127.0.0.1", 0, process_request=made.admit, compression=None) as server:
        made.url = f"ws://127.0.0.1:{server.socket.getsockname()[1]}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield made
        finally:
            server.shutdown()
            thread.join()
