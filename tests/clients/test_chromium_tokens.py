"""Tokens, a login that ends and the drain of a gateway, with the browser build in a real Chromium."""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.clients.browser import Browser, chromium
from tests.clients.chromium_page import Site, Tab, site_and_gateway, tab
from tests.clients.gateway import token
from tests.clients.programs import Record
from tests.e2e.gateways import until
from tests.e2e.socketio_chromium import need_chromium

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(300)]

SPEED = 10
TTL = 40.0
"""Seconds that a token lives: the gateway says at once that it ends, and it is renewed after fifteen."""
QUIET = 3.0
"""Seconds without an attempt; the longest wait before one is as long, in the time of these clients."""
LATE = 10.0
"""Seconds that this machine may take longer than the client waits."""


@pytest.fixture(scope="module")
def where(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A site and a gateway."""
    with site_and_gateway(tmp_path_factory.mktemp("chromium")) as running:
        yield running


@asynccontextmanager
async def started() -> AsyncIterator[Browser]:
    """A browser."""
    need_chromium()
    async with chromium() as browser:
        yield browser


def tokens_sent(one: Tab) -> list[str]:
    """The tokens in the messages that left the page, in their order."""
    found = [json.loads(text)["data"].get("token") for _, text in one.page.frames("FrameSent")]
    return [each for each in found if each is not None]


async def stays_stopped(one: Tab, code: str) -> None:
    """The end was told once; neither time nor the page being shown again brings an attempt or a question."""
    connections, asked = len(one.proxy.connections), len(one.reports.all("token wanted"))
    await one.hide()
    await one.show()
    await asyncio.sleep(QUIET)
    (stopped,) = one.reports.all("stopped")
    assert (stopped["code"], stopped["temporary"]) == (code, False)
    assert len(one.proxy.connections) == connections
    assert len(one.reports.all("token wanted")) == asked


class Source:
    """The first token, then an older one, an error and a new one for the first refresh, then no login."""

    def __init__(self, user: str) -> None:
        self.first = token(user, ttl=TTL)
        self.older = token(user, ttl=TTL + 60, age=60)
        self.newer = token(user, ttl=TTL, age=-1)
        self.asked: list[str] = []

    def __call__(self, question: Record) -> Record:
        """What is answered."""
        self.asked.append(question["reason"])
        answers: list[Record] = [
            {"do": "answer", "value": self.first},
            {"do": "answer", "value": self.older},
            {"do": "fail", "unauthorized": False},
            {"do": "answer", "value": self.newer},
        ]
        turn = len(self.asked) - 1
        return answers[turn] if turn < len(answers) else {"do": "fail", "unauthorized": True}


async def test_tokens_of_a_page(where: Site) -> None:
    """A token is asked for to connect and to refresh; an older one is not sent; without a login it stops."""
    async with started() as browser, tab(browser, where, "renewed") as one:
        one.tokens = source = Source("renewed")
        await one.begin(speed=SPEED, luck=0.1)
        await one.join("renewed")
        await until(lambda: source.newer in tokens_sent(one))
        await where.gateway.call("publish", channel="rooms:renewed", data="still here")
        await one.reports.first("message")
        await one.reports.first("stopped")
        assert source.asked == ["connect", *["refresh"] * 4]
        assert tokens_sent(one) == [source.first, source.newer]
        await stays_stopped(one, "unauthorized")
        assert len(one.proxy.connections) == 1


async def test_a_page_without_a_login(where: Site) -> None:
    """Where there is no login to begin with, no socket is opened at all."""
    async with started() as browser, tab(browser, where, "nobody") as one:
        one.tokens = lambda _: {"do": "fail", "unauthorized": True}
        await one.begin(speed=SPEED)
        await one.do(do="join", room="lobby", state=False)
        assert (await one.reports.first("join done"))["error"]["code"] == "unauthorized"
        await stays_stopped(one, "unauthorized")
        assert one.proxy.connections == []
        assert one.page.sockets == []


async def test_a_user_who_is_revoked(where: Site) -> None:
    """A page of a revoked user is told once, by its close code, and asks for no other token."""
    async with started() as browser, tab(browser, where, "revoked") as one:
        await one.begin(speed=SPEED)
        await one.join("revoked")
        await where.gateway.call("revoke", user="revoked")
        await one.reports.first("stopped")
        await stays_stopped(one, "force disconnect")
        assert len(one.proxy.connections) == 1


async def test_a_gateway_that_drains(tmp_path: Path) -> None:
    """The next attempt of a page comes when the gateway said: not before, and not much later."""
    with site_and_gateway(tmp_path) as own:
        async with started() as browser, tab(browser, own, "drained") as one:
            await one.begin(speed=1)
            await one.join("drained")
            start = len(one.reports.records)
            os.kill(own.gateway.pid, signal.SIGTERM)
            await one.state("waiting", start)
            await until(lambda: len(one.page.times("WillSendHandshakeRequest")) > 1)
            heard = [json.loads(text) for _, text in one.page.frames("FrameReceived")]
            (named,) = [
                each["data"]["retryMs"] / 1000 for each in heard if each["type"] == "shutdown"
            ]
            assert named >= 1  # longer than a first wait of the client's own
            waited = one.page.times("WillSendHandshakeRequest")[1] - one.page.times("Closed")[0]
            assert named <= waited <= named + max(0.25 * named, 0.5) + LATE
            assert one.reports.all("stopped") == []
