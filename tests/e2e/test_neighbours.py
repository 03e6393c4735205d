"""A real gateway and an office behind one address: whatever bad clients there do, colleagues come in."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from portward.security.tokens import sign
from tests.e2e.directory import COOKIE, Directory, directory
from tests.e2e.houses import ORIGIN
from tests.e2e.process import KEY, SECRET, Served, serving
from tests.e2e.roads import PATIENCE

SECONDS = 60.0
GUESSES = 5000
ALLOWED = 10
"""Refused credentials of an address at once; a hundred a minute after that."""
SETTINGS = """
[server]
port = 0
admin_port = 0
drain_timeout = "1s"
[tokens]
secrets = ["{secret}"]
[admin]
api_keys = ["{key}"]
[identity_provider]
url = "{provider}"
[endpoints.rooms]
credentials = ["message", "header", "query", "ticket"]
[endpoints.staff]
path = "/staff"
dialect = "rooms"
namespace = "rooms"
credentials = ["header"]
roles = ["staff"]
"""


def token(user: str, **claims: object) -> str:
    """A token of the gateway."""
    now = int(time.time())
    return sign({"sub": user, "iat": now, "exp": now + 3600, "roles": ["user"]} | claims, SECRET)


class Building:
    """The gateway as it is seen from one address, and who works there."""

    def __init__(self, served: Served, provider: Directory) -> None:
        self.served = served
        self.provider = provider
        self.base = served.url.rpartition("/")[0]
        self.begun = time.monotonic()

    async def status(self, path: str, *headers: str) -> int:
        """The status of a handshake, whose connection is dropped at once."""
        parts = urlsplit(self.base)
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        lines = (
            f"GET {path} HTTP/1.1",
            f"Host: {parts.netloc}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
            *headers,
        )
        try:
            writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
            return int((await asyncio.wait_for(reader.readline(), PATIENCE)).split()[1])
        finally:
            writer.close()

    async def guess(self, outcomes: Counter[int]) -> None:
        """Five thousand different tokens in a minute."""
        for number in range(GUESSES):
            await asyncio.sleep(
                max(0.0, self.begun + number * SECONDS / GUESSES - time.monotonic())
            )
            outcomes[await self.status("/rooms", f"Authorization: Bearer guess{number}")] += 1

    async def retry(self, path: str, header: str, outcomes: Counter[int]) -> None:
        """One client that tries again with the same credential every two seconds."""
        while time.monotonic() < self.begun + SECONDS:
            outcomes[await self.status(path, header, f"Origin: {ORIGIN}")] += 1
            await asyncio.sleep(2)


async def _open(url: str, **headers: str) -> ClientConnection:
    return await connect(url, origin=ORIGIN, additional_headers=headers, open_timeout=PATIENCE)  # type: ignore[arg-type]


async def by_header(building: Building, user: str) -> ClientConnection:
    """Rooms with a token in the header."""
    return await _open(f"{building.base}/rooms", Authorization=f"Bearer {token(user)}")


async def by_alerts(building: Building, user: str) -> ClientConnection:
    """Alerts with a token in the header."""
    return await _open(f"{building.base}/alerts", Authorization=f"Bearer {token(user)}")


async def by_query(building: Building, user: str) -> ClientConnection:
    """Alerts with a token in the address."""
    return await _open(f"{building.base}/alerts?token={token(user)}")


async def by_ticket(building: Building, user: str) -> ClientConnection:
    """Rooms with a ticket."""
    made = await building.served.call("ticket", token=token(user))
    return await _open(f"{building.base}/rooms?ticket={made['ticket']}")


async def by_cookie(building: Building, user: str) -> ClientConnection:
    """Live with a cookie that the provider knows and the gateway has never seen."""
    building.provider.login(f"cookie-{user}", user)
    return await _open(f"{building.base}/live", Cookie=f"{COOKIE}=cookie-{user}")


async def by_message(building: Building, user: str) -> ClientConnection:
    """Rooms with a token in the first message."""
    socket = await _open(f"{building.base}/rooms")
    envelope = {"type": "auth", "data": {"token": token(user)}, "timestamp": 0}
    await socket.send(json.dumps(envelope))
    while True:
        answer = json.loads(await asyncio.wait_for(socket.recv(), PATIENCE))
        if answer["type"] != "handshake":
            assert answer["type"] == "auth_success", answer
            return socket


WAYS: list[Callable[[Building, str], Awaitable[ClientConnection]]] = [
    by_header,
    by_alerts,
    by_query,
    by_ticket,
    by_cookie,
    by_message,
]


@pytest.fixture
async def building(tmp_path: Path) -> AsyncIterator[Building]:
    """A gateway with the limits it has by default, and an identity provider."""
    async with directory() as provider:
        given = SETTINGS.format(secret=SECRET, key=KEY, provider=provider.url)
        async with serving(tmp_path, given) as served:
            yield Building(served, provider)


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_sixty_colleagues_for_a_minute(building: Building) -> None:
    """Ten bad clients and a guesser for a minute: every colleague comes in at the first attempt."""
    expired, revoked = token("late", exp=int(time.time()) - 3600), token("gone", jti="gone")
    await building.served.call("revoke", jti="gone")
    guesses, bad = Counter[int](), {kind: Counter[int]() for kind in ("bad", "roleless", "cookie")}
    clients = [("/rooms", expired, "bad")] * 3 + [("/alerts", revoked, "bad")] * 3
    clients += [("/staff", token(f"user{number}"), "roleless") for number in range(2)]
    building.begun = time.monotonic()
    work = [
        asyncio.ensure_future(
            building.retry(path, f"Authorization: Bearer {credential}", bad[kind])
        )
        for path, credential, kind in clients
    ]
    for number in range(2):
        header = f"Cookie: {COOKIE}=logged-out-{number}"
        work.append(asyncio.ensure_future(building.retry("/live", header, bad["cookie"])))
    work.append(asyncio.ensure_future(building.guess(guesses)))
    inside = []
    for number in range(60):
        await asyncio.sleep(max(0.0, building.begun + number * 0.9 - time.monotonic()))
        try:
            async with asyncio.timeout(PATIENCE):
                inside.append(await WAYS[number % len(WAYS)](building, f"colleague{number}"))
        except InvalidStatus as refused:
            raise AssertionError((number, refused.response.status_code)) from None
    await asyncio.gather(*work)
    passed = time.monotonic() - building.begun
    assert [socket.close_code for socket in inside] == [None] * 60
    assert set(guesses) == {401, 429}
    assert guesses.total() == GUESSES
    assert guesses[401] <= ALLOWED + 100 * passed / 60
    assert set(bad["roleless"]) == {403}
    assert set(bad["bad"]) <= {401, 429}
    assert set(bad["cookie"]) <= {401, 429}
    # About ten colleagues, who are asked about again within a minute, and every ten seconds about two
    # cookies that were refused.
    assert len(building.provider.asked) <= 2 * 10 + 2 * (4 + passed / 10)
    for socket in inside:
        await socket.close()


async def test_bad_clients_and_good_ones(building: Building) -> None:
    """The same for a moment: refused clients are told so, guesses become 429, colleagues come in."""
    expired = f"Authorization: Bearer {token('late', exp=int(time.time()) - 3600)}"
    assert [await building.status("/rooms", expired) for _ in range(20)] == [401] * 20
    guesses = [
        await building.status("/alerts", f"Authorization: Bearer guess{number}")
        for number in range(60)
    ]
    passed = time.monotonic() - building.begun
    assert set(guesses) == {401, 429}
    assert guesses.count(401) <= ALLOWED + 100 * passed / 60
    for number, way in enumerate(WAYS):
        socket = await way(building, f"colleague{number}")
        await socket.close()
    assert await building.status("/rooms", expired) == 401
