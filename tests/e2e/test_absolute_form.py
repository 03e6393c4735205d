"""Targets in absolute form (RFC 9112, section 3.2.2) at a real process that answers two names alone."""

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest
import pytest_asyncio

from tests.e2e.listeners import PATIENCE
from tests.e2e.process import CONFIG, Served, serving

HOSTS = '\n[server]\nallowed_hosts = ["gate.example", "other.example"]\n'
UPGRADE = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)
POLL = "/socket.io/?EIO=4&transport=polling"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Served]:
    """A gateway that knows its names."""
    settings = CONFIG.replace("\n[server]\n", HOSTS)
    async with serving(tmp_path_factory.mktemp("absolute"), settings) as served:
        yield served


async def status(served: Served, target: str, *lines: str) -> int:
    """The status that a request of these lines is answered with."""
    address = urlsplit(served.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        head = "\r\n".join([f"GET {target} HTTP/1.1", *lines, "", ""])
        writer.write(head.encode())
        async with asyncio.timeout(PATIENCE):
            line = await reader.readline()
    finally:
        writer.close()
    return int(line.split()[1])


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("target", "host", "expected"),
    [
        ("/rooms", "gate.example", 101),
        ("/rooms", "evil.example", 403),
        ("http://gate.example/rooms", "gate.example", 101),
        ("http://gate.example/rooms", "evil.example", 101),
        ("https://other.example:443/rooms/", "evil.example", 101),
        ("HTTP://GATE.EXAMPLE/rooms", "evil.example", 101),
        ("http://evil.example/rooms", "gate.example", 403),
        ("http://evil.example/rooms", "other.example", 403),
        ("http://gate.example.evil.example/rooms", "gate.example", 403),
        ("http://gate.example@evil.example/rooms", "gate.example", 400),
        ("http://evil.example#gate.example/rooms", "gate.example", 400),
        ("http://gate.example//rooms", "gate.example", 404),
        ("ws://gate.example/rooms", "gate.example", 400),
        ("http:///rooms", "gate.example", 400),
    ],
)
async def test_the_authority_of_the_target_is_the_host(
    served: Served, target: str, host: str, expected: int
) -> None:
    """A handshake is judged by the name in its target, whatever `Host` says, and by `Host` without one."""
    assert await status(served, target, f"Host: {host}", *UPGRADE) == expected


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(
    ("authority", "host", "expected"),
    [("gate.example", "evil.example", 200), ("evil.example", "gate.example", 403)],
)
async def test_polling_is_judged_likewise(
    served: Served, authority: str, host: str, expected: int
) -> None:
    """A session of HTTP polling is opened by the name in the target, too."""
    assert await status(served, f"http://{authority}{POLL}", f"Host: {host}") == expected


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("hosts", [(), ("gate.example", "gate.example")])
async def test_a_request_needs_one_host_all_the_same(
    served: Served, hosts: tuple[str, ...]
) -> None:
    """A target in absolute form does not stand in for a missing or repeated `Host`."""
    lines = [f"Host: {host}" for host in hosts]
    assert await status(served, "http://gate.example/rooms", *lines, *UPGRADE) == 400
