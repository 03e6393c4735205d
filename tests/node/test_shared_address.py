"""Bad clients and sixty good ones share one address for a minute: all good ones are admitted."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from msgspec.structs import replace

from portward.model.handshake_errors import HandshakeRejected, HandshakeRejection
from portward.settings import Settings
from portward.settings.endpoint import CredentialSource
from portward.testing import MemoryClient, connect
from tests.node.fake_provider import ORIGIN, FakeProvider, with_cookies, with_provider
from tests.running_gateway import CREDENTIALS, RunningGateway, ask, settings, settle

pytestmark = pytest.mark.p0

SECONDS = 60
GUESSES = 25
"""Tokens that are guessed in a second."""
COLLEAGUES = ("header", "query", "ticket", "message", "alerts", "cookie")


def office() -> Settings:
    """The default settings; rooms take every credential, and a second endpoint wants a role."""
    tree = with_cookies(endpoints=settings(rooms={"credentials": CREDENTIALS}).endpoints)
    staff = replace(tree.endpoints["rooms"], path="/staff", roles=("staff",))
    live = replace(tree.endpoints["live"], credentials=(CredentialSource.COOKIE,))
    return replace(tree, endpoints={**tree.endpoints, "staff": staff, "live": live})


@asynccontextmanager
async def opened(
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[tuple[RunningGateway, FakeProvider]]:
    """The gateway, and the people the identity provider knows."""
    async with with_provider(monkeypatch, office()) as (running, people):
        people.names |= {f"user{number}" for number in range(60)}
        yield running, people


async def outcome(running: RunningGateway, path: str, **headers: str) -> str:
    """What a handshake comes to; whoever is let in leaves again."""
    try:
        client = await connect(running.gateway, path, **headers)
    except HandshakeRejected as refused:
        return str(refused.refusal.status)
    await settle()
    client.leave()
    await settle()
    return "101"


async def by_message(running: RunningGateway, token: str) -> str:
    """What a first message comes to."""
    client = await running.client()
    await ask(client, "auth", token=token)
    answer = "auth_success" if client.all("auth_success") else client.last("error")["code"]
    client.leave()
    await settle()
    return answer


class Office:
    """The ten clients whose credentials are bad, one way or another."""

    def __init__(self, running: RunningGateway) -> None:
        self._house = running
        self._bad: list[tuple[str, str]] = []
        self.outcomes: dict[str, Counter[str]] = {}

    async def begin(self) -> None:
        """Make the credentials: expired, revoked, of somebody without the role, logged out."""
        running = self._house
        self._bad = [("expired", running.token(f"e{number}", ttl=1)) for number in range(3)]
        self._bad += [("revoked", running.token(f"r{number}")) for number in range(3)]
        self._bad += [("roleless", running.token(f"n{number}")) for number in range(2)]
        self._bad += [("logged out", f"gone{number}") for number in range(2)]
        await running.advance(40)
        for number in range(3):
            await running.gateway.revoke(user=f"r{number}")

    async def retry(self) -> None:
        """All of them try again, in the handshake and by message."""
        for kind, credential in self._bad:
            counted = self.outcomes.setdefault(kind, Counter())
            if kind == "logged out":
                cookie = {"cookie": f"session={credential}", "origin": ORIGIN}
                counted[await outcome(self._house, "/live", **cookie)] += 1
                continue
            path = "/staff" if kind == "roleless" else "/rooms"
            bearer = {"authorization": f"Bearer {credential}"}
            counted[await outcome(self._house, path, **bearer)] += 1
            if kind == "expired":
                counted[await by_message(self._house, credential)] += 1


async def colleague(running: RunningGateway, number: int) -> bool:
    """One who has a good credential and was never here before: whether the first attempt succeeds."""
    way, user = COLLEAGUES[number % len(COLLEAGUES)], f"user{number}"
    token = running.token(user)
    match way:
        case "message":
            return await by_message(running, token) == "auth_success"
        case "cookie":
            given = {"cookie": f"session={user}", "origin": ORIGIN}
            return await outcome(running, "/live", **given) == "101"
        case "ticket":
            path = f"/rooms?ticket={await running.gateway.ticket(token)}"
            return await outcome(running, path) == "101"
        case "query":
            return await outcome(running, f"/rooms?token={token}") == "101"
    path = "/alerts" if way == "alerts" else "/rooms"
    return await outcome(running, path, authorization=f"Bearer {token}") == "101"


@pytest.mark.parametrize("guessing", ["header", "query", "ticket", "message"])
async def test_an_office(monkeypatch: pytest.MonkeyPatch, guessing: str) -> None:
    """Every colleague comes in at the first attempt, whatever the others at the address do."""
    async with opened(monkeypatch) as (running, people):
        bad, guesses, came = Office(running), Counter[str](), []
        await bad.begin()
        held: MemoryClient | None = None
        for second in range(SECONDS):
            for number in range(GUESSES):
                guess = f"guess{second}.{number}"
                if guessing == "message":
                    if held is None or not held.open:
                        held = await running.client()
                    before = len(held.received)
                    await ask(held, "auth", token=guess)
                    guesses[held.received[before]["data"]["code"]] += 1
                elif guessing == "header":
                    guesses[await outcome(running, "/rooms", authorization=f"Bearer {guess}")] += 1
                else:
                    name = "token" if guessing == "query" else guessing
                    guesses[await outcome(running, f"/rooms?{name}={guess}")] += 1
                running.clock.advance(1 / GUESSES)
            if second % 2 == 0:
                await bad.retry()
            came.append(await colleague(running, second))
        assert came == [True] * 60
        refused, limited = (
            ("authentication_failed", "auth_rate_limited")
            if guessing == "message"
            else ("401", "429")
        )
        assert set(guesses) == {refused, limited}
        assert guesses.total() == SECONDS * GUESSES
        assert 90 <= guesses[refused] <= 110
        assert set(bad.outcomes["roleless"]) == {"403"}
        assert set(bad.outcomes["revoked"]) <= {"401", "429"}
        assert set(bad.outcomes["logged out"]) <= {"401", "429"}
        assert bad.outcomes["revoked"]["401"] >= 30
        # Ten colleagues, and two cookies that were asked about seven or eight times.
        assert len(people.asked) <= 10 + 2 * 9


async def test_an_office_without_a_guesser(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bad clients alone are told each time what is wrong, never that they are too many."""
    async with opened(monkeypatch) as (running, _):
        bad = Office(running)
        await bad.begin()
        for second in range(SECONDS // 2):
            await running.advance(2)
            await bad.retry()
            assert await colleague(running, 2 * second)
        assert bad.outcomes == {
            "expired": Counter({"401": 90, "authentication_failed": 90}),
            "revoked": Counter({"401": 90}),
            "roleless": Counter({"403": 60}),
            "logged out": Counter({"401": 60}),
        }


async def test_guesses_are_bounded_by_the_wider_prefix_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of 5,000 guesses from one /64 at most 110 are answered as such; a /48 has sixteen times as many."""
    async with opened(monkeypatch) as (running, _):
        statuses = Counter[HandshakeRejection]()
        for number in range(5000):
            running.clock.advance(60 / 5000)
            peer = f"2001:db8:0:1::{number:x}"
            statuses[await running.refusal(peer=peer, authorization=f"Bearer g{number}")] += 1
        assert set(statuses) == {HandshakeRejection.UNAUTHENTICATED, HandshakeRejection.RATE}
        assert 100 <= statuses[HandshakeRejection.UNAUTHENTICATED] <= 110
        token = running.token("ann")
        peer = "2001:db8:0:1::ffff"
        assert (await connect(running.gateway, peer=peer, authorization=f"Bearer {token}")).open
