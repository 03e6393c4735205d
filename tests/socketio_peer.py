"""A Socket.IO client without a transport: packets in and out of a gateway in this process."""

import asyncio
import json
from collections.abc import Callable, Mapping
from typing import Any

from msgspec.structs import replace

from portward.app.gateway import Gateway
from portward.settings import Settings
from portward.settings.formats import UNLIMITED
from portward.settings.limits import Limits, RateLimit
from portward.settings.presets import ENDPOINTS, NAMESPACES
from portward.testing import MemoryClient
from portward.testing.gateway import request
from portward.wire.message import WireMessage
from tests.running_gateway import RoutedGate, RunningGateway, session_of, settings, settle

PATH = "/socket.io/"
ROLES = {"agent": ("dashboard.*", "approvals.decide"), "reader": ("dashboard.read",)}
ENDLESS = RateLimit(rate=UNLIMITED)
UNLIMITED_LIMITS = Limits(messages=ENDLESS, auth=ENDLESS, join=ENDLESS, attempts=ENDLESS)


def workspaces_settings(
    *,
    endpoint: Mapping[str, Any] | None = None,
    namespace: Mapping[str, Any] | None = None,
    **sections: Any,
) -> Settings:
    """Settings with roles for workspaces, and changes to their endpoint and their namespace."""
    given = settings(**{"roles": ROLES, **sections})
    changed = replace(ENDPOINTS["workspaces"], **(endpoint or {}))
    family = replace(NAMESPACES["workspaces"], **(namespace or {}))
    return replace(
        given,
        endpoints={**given.endpoints, "workspaces": changed},
        namespaces={**given.namespaces, "workspaces": family},
    )


async def until(condition: Callable[[], object]) -> None:
    """Let the gateway go on until something is so.

    Raises:
        AssertionError: it never is.
    """
    for _ in range(10_000):
        if condition():
            return
        await asyncio.sleep(0)
    raise AssertionError("it never came")


class SocketPeer(MemoryClient):
    """One Engine.IO connection. `packets` are the texts that came, `blobs` the bytes, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.packets: list[str] = []
        self.blobs: list[bytes] = []
        self._next = 0

    def _take(self, message: WireMessage) -> None:
        for payload, binary in message.parts():
            if binary:
                self.blobs.append(payload)
            else:
                assert payload.startswith(b"4")
                self.packets.append(payload[1:].decode())

    # -- as the client

    def put(self, text: str, *attachments: bytes) -> None:
        """Send a packet as it is, and wait for nothing."""
        self.send_bytes(text.encode(), binary=False)
        for each in attachments:
            self.send_bytes(each, binary=True)

    async def say(self, text: str, *attachments: bytes) -> None:
        """Send a packet as it is."""
        self.put(text, *attachments)
        await settle()

    async def enter(self, auth: Mapping[str, Any] | None = None, nsp: str = "/") -> None:
        """Send a CONNECT."""
        place = "" if nsp == "/" else f"{nsp},"
        await self.say(f"0{place}{json.dumps(auth) if auth is not None else ''}")

    async def emit(self, event: str, *arguments: Any, nsp: str = "/") -> None:
        """Emit an event that waits for no acknowledgement."""
        place = "" if nsp == "/" else f"{nsp},"
        await self.say(f"2{place}{json.dumps([event, *arguments])}")

    async def call(self, event: str, *arguments: Any, nsp: str = "/") -> Any:
        """Emit an event and return what it is acknowledged with; None when it is not."""
        place = "" if nsp == "/" else f"{nsp},"
        number, self._next = self._next, self._next + 1
        await self.say(f"2{place}{number}{json.dumps([event, *arguments])}")
        head = f"3{place}{number}["
        found = [packet for packet in self.packets if packet.startswith(head)]
        if not found:
            return None
        (answer,) = found
        self.packets.remove(answer)
        arguments = tuple(json.loads(answer[len(head) - 1 :]))
        return arguments[0] if len(arguments) == 1 else arguments

    def events(self, name: str, nsp: str = "/") -> list[Any]:
        """The first argument of every event of this name that came."""
        head = "2" if nsp == "/" else f"2{nsp},"
        parsed = [
            json.loads(each[len(head) :]) for each in self.packets if each.startswith(f"{head}[")
        ]
        return [
            arguments[0] if arguments else None for event, *arguments in parsed if event == name
        ]

    @property
    def alive(self) -> bool:
        """Whether the gateway has not closed."""
        return self.closed is None

    def forget(self) -> list[str]:
        """Drop what came so far, and return it."""
        came, self.packets = self.packets, []
        return came


async def reach(gateway: Gateway, path: str = PATH, **headers: str) -> SocketPeer:
    """Open a connection, and say nothing yet."""
    admission = await RoutedGate(gateway.node).admit(request(path, **headers))
    peer = SocketPeer()
    peer.attach(admission.open(peer))
    await peer.settle()
    return peer


async def member(
    running: RunningGateway,
    user: str,
    *rooms: str,
    workspace: str = "w1",
    roles: tuple[str, ...] = ("agent",),
    peer: str = "127.0.0.1",
    ttl: float = 3600.0,
) -> SocketPeer:
    """A client of a workspace, in these of its rooms."""
    client = await reach(running.gateway, peer=peer)
    token = running.token(user, roles=roles, ttl=ttl, workspaceId=workspace)
    await client.enter({"token": token})
    assert client.packets[0].startswith('0{"sid":')
    for room in rooms:
        assert await client.call("join_room", {"room": room}) == {"joined": room}
    return client


def rooms_of(client: SocketPeer) -> list[str]:
    """The channels a client is in, as the gateway has them."""
    return [str(channel) for channel in session_of(client).subscriptions]
