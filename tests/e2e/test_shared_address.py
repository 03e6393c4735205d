"""Bad clients and good ones share one address of a real gateway: the good ones are admitted."""

import asyncio
import json
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from portward.model.limits import REVALIDATION_CACHE
from portward.security.credential_memory import FIRST_PAUSE, LONGEST_PAUSE
from portward.security.tokens import sign
from portward.settings import Settings
from tests.e2e.gateways import ORIGIN
from tests.e2e.listeners import PATIENCE
from tests.e2e.process import KEY, SECRET, Served, serving
from tests.e2e.provider_server import COOKIE, QUESTION, Directory, directory

SECONDS = 60.0
GUESSES = 5000
MESSAGE_GUESSES = 10
"""Of so many guesses one comes by first message, the others by header, query and ticket."""
ALLOWED = 10
"""Refused credentials of an address at once; a hundred a minute after that."""
WITHIN = 5.0
"""Seconds from a colleague's first byte until the colleague is in."""
CROWD_AT = 10.0
"""Seconds after which sixty colleagues come at once: the guesser is answered 429 by then."""
REVALIDATE = Settings().identity_provider.revalidate
LOGGED_OUT = ("logged-out-0", "logged-out-1")
_STATUSES = {"authentication_failed": 401, "auth_rate_limited": 429}
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
        self.tickets: dict[str, str] = {}
        """Those that were fetched in advance, by user."""

    async def ticket(self, user: str) -> str:
        """A ticket of a user, from the admin API."""
        made = await self.served.call("ticket", token=token(user))
        return str(made["ticket"])

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

    async def until(self, seconds: float) -> None:
        """Wait until so many seconds have passed since the beginning."""
        await asyncio.sleep(max(0.0, self.begun + seconds - time.monotonic()))

    async def guess(self, outcomes: Counter[int], early: Counter[int]) -> None:
        """Five thousand different credentials in a minute, by every way; `early` are those answered in it."""
        for number in range(GUESSES):
            await self.until(number * SECONDS / GUESSES)
            status = await self.one_guess(number)
            outcomes[status] += 1
            early[status] += time.monotonic() < self.begun + SECONDS

    async def one_guess(self, number: int) -> int:
        """The status a guess is answered with; that of a first message is translated."""
        guess = f"guess{number}"
        match number % MESSAGE_GUESSES:
            case 0:
                return await self.guess_by_message(guess)
            case 1:
                return await self.status(f"/alerts?token={guess}")
            case 2:
                return await self.status(f"/rooms?ticket={guess}")
            case 3:
                return await self.status("/alerts", f"Authorization: Bearer {guess}")
        return await self.status("/rooms", f"Authorization: Bearer {guess}")

    async def guess_by_message(self, guess: str) -> int:
        """401 for a first message whose token is refused, 429 where too many were."""
        async with await _open(f"{self.base}/rooms") as socket:
            await socket.send(_auth(guess))
            async for text in socket:
                answer = json.loads(text)
                if answer["type"] == "error":
                    return _STATUSES[answer["data"]["code"]]
        raise AssertionError((guess, socket.close_code))

    async def retry(self, path: str, header: str, outcomes: Counter[int]) -> None:
        """One client that tries again with the same credential every two seconds."""
        while time.monotonic() < self.begun + SECONDS:
            outcomes[await self.status(path, header, f"Origin: {ORIGIN}")] += 1
            await asyncio.sleep(2)


def _auth(credential: str) -> str:
    return json.dumps({"type": "auth", "data": {"token": credential}, "timestamp": 0})


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
    """Rooms with a ticket, which the application has fetched before."""
    made = building.tickets.pop(user, None) or await building.ticket(user)
    return await _open(f"{building.base}/rooms?ticket={made}")


async def by_cookie(building: Building, user: str) -> ClientConnection:
    """Live with a cookie that the provider knows and the gateway has never seen."""
    building.provider.login(f"cookie-{user}", user)
    return await _open(f"{building.base}/live", Cookie=f"{COOKIE}=cookie-{user}")


async def by_message(building: Building, user: str) -> ClientConnection:
    """Rooms with a token in the first message."""
    socket = await _open(f"{building.base}/rooms")
    await socket.send(_auth(token(user)))
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


def crowding() -> float:
    """How much longer all takes here than on a machine that has nothing else to do."""
    return max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))


class Colleagues:
    """Those who come in with good credentials, each within `WITHIN` seconds and at the first attempt."""

    def __init__(self, building: Building) -> None:
        self.building = building
        self.inside: list[ClientConnection] = []
        self.since: dict[str, float] = {}
        """When a cookie was first shown, by the cookie."""

    async def come(self, number: int) -> None:
        """One of them connects, by one of the ways."""
        way = WAYS[number % len(WAYS)]
        if way is by_cookie:
            self.since[f"cookie-colleague{number}"] = time.monotonic()
        try:
            async with asyncio.timeout(WITHIN * crowding()):
                self.inside.append(await way(self.building, f"colleague{number}"))
        except InvalidStatus as refused:
            raise AssertionError((number, refused.response.status_code)) from None

    async def all(self) -> None:
        """Sixty at once when the guesser has long been refused; then one after another until the end."""
        for number in range(60):
            if WAYS[number % len(WAYS)] is by_ticket:
                user = f"colleague{number}"
                self.building.tickets[user] = await self.building.ticket(user)
        await self.building.until(CROWD_AT)
        await asyncio.gather(*(self.come(number) for number in range(60)))
        for number in range(60, 110):
            await self.building.until(CROWD_AT + WITHIN + 0.9 * (number - 60))
            await self.come(number)


def most_calls(passed: float) -> int:
    """How often a refused cookie can be asked about: the pause after each answer doubles, up to a bound."""
    calls, pause = 1, FIRST_PAUSE
    while passed >= pause:
        calls, passed, pause = calls + 1, passed - pause, min(2 * pause, LONGEST_PAUSE)
    return calls


def most_checks(passed: float) -> int:
    """How often a good one can be: at the handshake, then once in a period, for the first time early."""
    period = REVALIDATE - REVALIDATION_CACHE
    return 1 + max(0, 1 + int((passed - period / 2) // period))


@pytest.mark.long
@pytest.mark.timeout(300)
async def test_sixty_colleagues_for_a_minute(building: Building) -> None:
    """Ten bad clients and a guesser for a minute: every colleague comes in at the first attempt."""
    expired, revoked = token("late", exp=int(time.time()) - 3600), token("gone", jti="gone")
    await building.served.call("revoke", jti="gone")
    guesses, early = Counter[int](), Counter[int]()
    bad = {kind: Counter[int]() for kind in ("bad", "roleless", "cookie")}
    clients = [("/rooms", f"Authorization: Bearer {expired}", "bad")] * 3
    clients += [("/alerts", f"Authorization: Bearer {revoked}", "bad")] * 3
    clients += [
        ("/staff", f"Authorization: Bearer {token(f'user{number}')}", "roleless")
        for number in range(2)
    ]
    clients += [("/live", f"Cookie: {COOKIE}={name}", "cookie") for name in LOGGED_OUT]
    colleagues = Colleagues(building)
    building.begun = time.monotonic()
    async with asyncio.TaskGroup() as work:
        for path, header, kind in clients:
            work.create_task(building.retry(path, header, bad[kind]))
        work.create_task(building.guess(guesses, early))
        work.create_task(colleagues.all())
    passed = time.monotonic() - building.begun
    assert [socket.close_code for socket in colleagues.inside] == [None] * 110
    assert set(guesses) == {401, 429}
    assert guesses.total() == GUESSES
    assert early[401] <= ALLOWED + 100
    assert guesses[401] <= ALLOWED + 100 * passed / 60
    assert set(bad["roleless"]) == {403}
    assert set(bad["bad"]) <= {401, 429}
    assert set(bad["cookie"]) <= {401, 429}
    check_calls(building, colleagues, passed)
    for socket in colleagues.inside:
        await socket.close()


def check_calls(building: Building, colleagues: Colleagues, passed: float) -> None:
    """The identity provider was asked about cookies alone, and about none of them more than it has to be."""
    assert {path for path, _ in building.provider.asked} == {QUESTION}
    asked = Counter(header.partition("=")[2] for _, header in building.provider.asked)
    now = time.monotonic()
    bounds = dict.fromkeys(LOGGED_OUT, most_calls(passed))
    bounds |= {cookie: most_checks(now - since) for cookie, since in colleagues.since.items()}
    assert set(asked) == set(bounds)
    too_often = {cookie: calls for cookie, calls in asked.items() if calls > bounds[cookie]}
    assert not too_often, bounds


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
