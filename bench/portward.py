"""The gateway under measurement: every check and limit on, the limits too wide to be met."""

import http.client
import json
import sys
import time
from pathlib import Path
from typing import Any, Final

import jwt

from bench.load import Script, head, payload
from bench.processes import BenchError, Process
from bench.servers import (
    SECRET,
    Installed,
    Simple,
    Workshop,
    free_port,
    paced,
    socketio_client,
)

ROOM: Final = "bench"
API_KEY: Final = "a key for benches, which opens nothing at all"
USERS: Final = 50
"""Users behind the subscribers of P1. Each connection proves itself; a join is told once a user."""

_WIDE: Final = 'rate = "100000000/min"\nburst = 100000000\n'
_SETTINGS: Final = """
environment = "development"

[server]
host = "127.0.0.1"
port = {port}
admin_host = "127.0.0.1"
admin_port = {admin_port}
drain_timeout = "1s"

[gate]
max_connections = 15000
max_unauthenticated = 15000
max_per_user = 0
accept_rate = "1000000/s"

[engine]
url = "{engine}"

[tokens]
secrets = ["{secret}"]

[admin]
api_keys = ["{key}"]

[log]
format = "json"

[limits.connections]
max = 1000000

{limits}
[endpoints.door]
path = "/door"
dialect = "echo"
credentials = ["header"]

[endpoints.hall]
path = "/hall"
dialect = "rooms"
namespace = "rooms"
credentials = ["header"]

[endpoints.crowd]
path = "/crowd"
dialect = "rooms"
namespace = "crowd"

[endpoints.workspaces.limits.connections]
max = 1000000

[namespaces.crowd]
authorize = "authenticated"
"""


def settings(port: int, admin_port: int, engine: str = "memory://") -> str:
    """A settings file in which nothing is switched off and nothing is in the way."""
    names = ("attempts", "messages", "auth", "join", "history", "frames", "control_frames")
    return _SETTINGS.format(
        port=port,
        admin_port=admin_port,
        engine=engine,
        secret=SECRET,
        key=API_KEY,
        limits="".join(f"[limits.{name}]\n{_WIDE}\n" for name in names),
    )


def token(user: str, **more: str) -> str:
    """An HS256 token as an application would issue it."""
    now = int(time.time())
    claims = {
        "sub": user,
        "email": f"{user}@example.com",
        "roles": ["user"],
        "iat": now,
        "exp": now + 3600,
        "jti": f"{user}-{time.monotonic_ns():x}",
    }
    return jwt.encode(claims | more, SECRET, algorithm="HS256")


def envelope(kind: str, **data: object) -> str:
    """One message of the rooms dialect."""
    return json.dumps({"type": kind, "data": data, "timestamp": 0}, separators=(",", ":"))


def member(user: str, *rooms: str, path: str = "/rooms", talk: str = "") -> Script:
    """Authenticates by the first message and joins the rooms, one after the other."""
    turns = ['"handshake"', envelope("auth", token=token(user)), '"auth_success"']
    for room in rooms:
        turns += [envelope("join", roomId=room), '"room_joined"']
    return Script(head(path), tuple(turns), talk)


def subscriber(index: int) -> Script:
    """One of the many in the one room of P1."""
    return member(f"user{index % USERS}", ROOM)


def visitor(index: int) -> Script:
    """Comes in with a token of its own at the handshake, and is told nothing more."""
    return Script(head("/door", Authorization=f"Bearer {token(f'visitor{index}')}"))


def guest(index: int) -> Script:
    """Comes in likewise, is greeted, and given a token to resume its session with."""
    request = head("/hall", Authorization=f"Bearer {token(f'guest{index}')}")
    return Script(request, ('"auth_success"',))


def resident(index: int) -> Script:
    """A user of its own, in a room of twenty."""
    return member(f"resident{index}", f"room{index // 20}")


def speaker(index: int) -> Script:
    """A user alone in a room, with something to say."""
    room = f"cell{index}"
    message = envelope("message", roomId=room, content=payload(128))
    return member(f"speaker{index}", room, talk=message)


def bystander(index: int, rooms: int) -> Script:
    """Holds some channels of its own, in which nothing happens."""
    own = (f"b{index}.{number}" for number in range(rooms))
    return member(f"bystander{index}", *own, path="/crowd")


def colleague(index: int) -> Script:
    """A Socket.IO client in the dashboard of the one workspace."""
    proof = token(f"user{index % USERS}", workspaceId="bench")
    return socketio_client(f'40{{"token":"{proof}"}}')


def write_settings(
    workshop: Workshop, engine: str = "memory://", name: str = "portward"
) -> tuple[Path, int, int]:
    """A settings file with free ports; the file, the public and the admin port."""
    port, admin_port = free_port(), free_port()
    file = workshop.folder / f"{name}.toml"
    file.write_text(settings(port, admin_port, engine))
    return file, port, admin_port


class Served(Installed):
    """`portward serve`, published to by its HTTP API on one kept connection."""

    def __init__(
        self, workshop: Workshop, engine: str = "memory://", name: str = "portward"
    ) -> None:
        super().__init__(workshop)
        file, port, self._admin_port = write_settings(workshop, engine, name)
        log = workshop.log(name)
        log.unlink(missing_ok=True)
        command = [sys.executable, "-m", "portward", "serve", "--config", str(file)]
        self.start(command, log, port, self._admin_port)

    def subscriber(self, index: int) -> Script:
        """A member of the one room."""
        return subscriber(index)

    def publish(self, count: int, rate: float, size: int) -> None:
        """Posts the messages."""
        connection = http.client.HTTPConnection("127.0.0.1", self._admin_port)
        body = json.dumps({"channel": f"rooms:{ROOM}", "data": payload(size)})
        headers = {"Content-Type": "application/json", "X-API-Key": API_KEY}

        def post() -> None:
            connection.request("POST", "/api/publish", body, headers)
            answer = connection.getresponse()
            said: dict[str, Any] = json.loads(answer.read())
            if "result" not in said:
                raise BenchError(f"the publication was refused: {said}")

        paced(count, rate, post)
        connection.close()


class Embedded(Simple):
    """The gateway as a library, published to by the program it is part of."""

    topic = "room"

    def __init__(self, workshop: Workshop) -> None:
        file, _, _ = write_settings(workshop)
        command: list[str | Path] = [sys.executable, "-m", "bench.embedded", file, self.topic]
        super().__init__(workshop, Process(command, log=workshop.log("embedded")))

    def subscriber(self, index: int) -> Script:
        """A member of the one room."""
        return subscriber(index)


class Workspace(Embedded):
    """The same with Socket.IO clients, to whose room events are emitted."""

    topic = "workspace"

    def subscriber(self, index: int) -> Script:
        """A member of the one workspace."""
        return colleague(index)
