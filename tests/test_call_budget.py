"""How many Python calls one message and one handshake take, on the memory engine.

A call is an event `call` of `sys.setprofile` in a module of the product, in the thread of the event loop: a
function or method, a property, a comprehension where the interpreter makes a frame for it, each start
and each resumption of a generator or coroutine, and a constructor made by `dataclass`. Functions
written in C do not count, nor does Python code of other packages.
"""

import asyncio
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from io import StringIO
from types import FrameType
from typing import Any

import msgspec
import pytest

from portward.app.gateway import Gateway
from portward.node.sessions.clock import LoopClock
from portward.settings.endpoint import CredentialSource
from portward.telemetry.telemetry import make_telemetry
from portward.transports.listener import Listener
from portward.transports.listener_state import ListenerState
from tests.running_gateway import settings
from tests.transports.running_listener import TEXT, Client, handshake, masked, until

MESSAGE_CALLS = 70
MESSAGE_MODULES = 29
HANDSHAKE_CALLS = 130
TOKEN_HANDSHAKE_CALLS = 270

Call = tuple[str, str]
"""A module, and the qualified name of a function in it."""


def observed(calls: list[Call], frame: FrameType, event: str, _: Any) -> None:
    """Note a call in the product."""
    module = frame.f_globals.get("__name__", "")
    if event == "call" and module.startswith("portward."):
        calls.append((module.removeprefix("portward."), frame.f_code.co_qualname))


@contextmanager
def counted() -> Iterator[list[Call]]:
    """Collect the calls of this thread within the block."""
    calls: list[Call] = []
    before = sys.getprofile()
    sys.setprofile(lambda *given: observed(calls, *given))
    try:
        yield calls
    finally:
        sys.setprofile(before)


def table(calls: list[Call]) -> str:
    """Describe the calls: each module with their number, and its functions in the order of their calls."""
    modules = Counter(module for module, _ in calls)
    lines = [f"{len(calls)} calls in {len(modules)} modules:"]
    for module, count in modules.most_common():
        functions = Counter(function for where, function in calls if where == module)
        named = (f"{name} x{n}" if n > 1 else name for name, n in functions.items())
        lines.append(f"{count:4}  {module}: {', '.join(named)}")
    return "\n".join(lines)


class Site:
    """A gateway that listens on a real port, on the real clock."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        self.state = ListenerState(gateway.front, gateway.node.clock, max_sockets=100)
        self.listener = Listener(self.state, "127.0.0.1", 0)

    async def enter(self, user: str = "") -> tuple[Client, list[Call]]:
        """A client that was let in, and the calls from the accept of its socket to the 101."""
        token = self.gateway.token(user, roles=["user"]) if user else ""
        request = handshake("/rooms", **({"Authorization": f"Bearer {token}"} if user else {}))
        port = self.listener.addresses[0][1]
        with counted() as calls:
            client = await Client.to(port)
            await client.send(request)
            head = await client.head()
        assert head[0] == "HTTP/1.1 101 Switching Protocols"
        return client, calls


async def told(client: Client, kind: str) -> dict[str, Any]:
    """The next message of this type."""
    while True:
        _, payload = await asyncio.wait_for(client.frame(), 30)
        message: dict[str, Any] = msgspec.json.decode(payload)
        if message["type"] == kind:
            return message


def said(kind: str, **data: Any) -> bytes:
    """A message of a client, as a frame."""
    return masked(
        TEXT, msgspec.json.encode({"type": kind, "data": data, "timestamp": 0, "id": "x"})
    )


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    """Serve `/rooms`, which takes a token in the header or in the first message."""
    sources = (CredentialSource.MESSAGE, CredentialSource.HEADER)
    given = settings(rooms={"credentials": sources})
    telemetry = make_telemetry(given, LoopClock(), StringIO())
    async with Gateway(given, telemetry=telemetry) as gateway:
        site = Site(gateway)
        await site.listener.start()
        try:
            yield site
        finally:
            site.listener.close()


async def test_a_message(site: Site) -> None:
    """A message is decoded, limited, allowed, stored, delivered to its sender and another, and answered."""
    (ann, _), (bob, _) = await site.enter("ann"), await site.enter("bob")
    for client in (ann, bob):
        await client.send(said("join", roomId="lobby"))
        await told(client, "room_joined")
    for _ in range(2):  # the first message makes the stream
        with counted() as calls:
            await ann.send(said("message", roomId="lobby", content="hello"))
            ack = await told(ann, "ack")
            assert (await told(bob, "message"))["data"]["id"] == ack["data"]["messageId"]
    modules = {module for module, _ in calls}
    assert len(calls) <= MESSAGE_CALLS, table(calls)
    assert len(modules) <= MESSAGE_MODULES, table(calls)
    ann.leave()
    bob.leave()


@pytest.mark.parametrize(
    ("user", "budget"), [("", HANDSHAKE_CALLS), ("ann", TOKEN_HANDSHAKE_CALLS)]
)
async def test_a_handshake(site: Site, user: str, budget: int) -> None:
    """A connection is accepted, checked, opened and greeted; with a token its user is authenticated too."""
    for _ in range(2):  # the second one finds the caches of addresses filled
        client, calls = await site.enter(user)
        assert await told(client, "auth_success" if user else "handshake")
        client.leave()
        await until(lambda: not site.state.sockets)
    assert len(calls) <= budget, table(calls)
