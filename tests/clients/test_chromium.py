"""The rules of the client in a real Chromium, with real pages, real sockets and the real gateway."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest

from tests.clients.browser import Browser, chromium
from tests.clients.chromium_page import Site, Tab, site_and_gateway, tab
from tests.clients.conversation import Conversation, transcripts
from tests.clients.fault_proxy import UNHARMED, Script, always
from tests.e2e.gateways import until
from tests.e2e.socketio_chromium import need_chromium

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

PATIENCE = 45.0
SOON = 7.0
"""Seconds that this machine may take for what the client does at once."""
LONG = {"speed": 0.05, "random": 0.999}
"""Time in which the first wait before an attempt lasts ten seconds."""
REFUSED = always(Script(refuse=True))
SILENT = always(Script(hold_down=0))


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


async def hears(one: Tab, where: Site, room: str, text: str) -> None:
    """A message comes."""
    await where.gateway.call("publish", channel=f"rooms:{room}", data=text)
    await one.reports.first(
        lambda record: record["kind"] == "message" and record["value"]["content"] == text
    )


async def another_attempt(one: Tab, within: float) -> None:
    """The proxy sees one more connection."""
    await asyncio.wait_for(one.proxy.accepted(len(one.proxy.connections) + 1), within)


async def test_pages_go_and_come(where: Site) -> None:
    """Pages are hidden, shown, offline, online, left and shown again, and their clients act as they must."""
    async with started() as browser:
        for wake in ("visible", "online"):
            async with tab(browser, where, f"wake-{wake}") as one:
                await a_wake_ends_the_wait(one, where, wake)
        async with tab(browser, where, "marked") as one:
            await offline_only_marks(one, where)
        async with tab(browser, where, "kept") as one:
            await back_forward_cache(one, where)


async def a_wake_ends_the_wait(one: Tab, where: Site, wake: str) -> None:
    """A page that becomes visible, or is online again, tries at once what it was to try in ten seconds."""
    await one.begin(**LONG)
    await one.join(f"wake-{wake}")
    await (one.hide() if wake == "visible" else one.network(online=False))
    one.proxy.cut_all()
    await one.state("waiting")
    attempt = asyncio.create_task(another_attempt(one, SOON))
    await asyncio.sleep(0)
    await (one.show() if wake == "visible" else one.network(online=True))
    await attempt
    await hears(one, where, f"wake-{wake}", "awake")


async def offline_only_marks(one: Tab, where: Site) -> None:
    """`offline` changes what the application is told, and closes nothing by itself."""
    await one.begin()
    await one.join("marked")
    start = len(one.reports.records)
    await one.page.evaluate("dispatchEvent(new Event('offline'))")
    assert (await one.reports.first("online", start))["online"] is False
    await hears(one, where, "marked", "still here")
    assert len(one.proxy.connections) == 1


async def back_forward_cache(one: Tab, where: Site) -> None:
    """A page that is left closes its link; when it is shown again it comes back, without a gap."""
    await one.begin()
    await one.join("kept")
    await hears(one, where, "kept", "1")
    await one.page.navigate(where.other)
    await until(lambda: not one.proxy.open)
    await where.gateway.call("publish", channel="rooms:kept", data="2")
    start = len(one.reports.records)
    await one.page.back()
    shown = await one.event("pageshow", start)
    assert shown["persisted"] is True
    await hears(one, where, "kept", "3")
    heard = [record["value"]["content"] for record in one.reports.all("message")]
    assert heard == ["1", "2", "3"]
    assert one.reports.all("gap") + one.reports.all("stopped") == []
    assert len(one.proxy.connections) == 2


@pytest.mark.long
async def test_sleep_and_silence(where: Site) -> None:
    """After a sleep a silent link is probed and given up; one that answers is kept; untouched it is found."""
    async with started() as browser:
        async with tab(browser, where, "sleeper") as one:
            await one.begin(speed=1)
            await one.join("sleeper")
            await one.hide()
            await one.do(do="leap", ms=60_000)
            await one.show()
            await asyncio.sleep(3.0)
            assert len(one.proxy.connections) == 1
            await one.hide()
            one.proxy.hold_all()
            await one.do(do="leap", ms=60_000)
            attempt = asyncio.create_task(another_attempt(one, 3.0 + SOON))
            await one.show()
            await attempt
            await hears(one, where, "sleeper", "awake")
        async with tab(browser, where, "untouched") as one:
            await one.begin(speed=20, luck=0.01)
            await one.join("untouched")
            one.proxy.hold_all()
            await another_attempt(one, 35 / 20 + SOON)
            await hears(one, where, "untouched", "found")


@pytest.mark.long
async def test_the_end(where: Site) -> None:
    """A terminal code is told once and followed by no attempt; `close` leaves no listener and no timer."""
    async with started() as browser:
        async with tab(browser, where, "ended") as one:
            await one.begin(speed=20)
            await one.join("ended")
            await where.gateway.call("revoke", user="ended")
            await one.reports.first("stopped")
            await one.hide()
            await one.show()
            await asyncio.sleep(2.0)
            assert len(one.proxy.connections) == 1
            assert len(one.reports.all("stopped")) == 1
        for plan in (UNHARMED, REFUSED, SILENT):
            async with tab(browser, where, "closer") as one:
                before = await one.listeners()
                one.proxy.plan = plan
                await one.begin()
                await one.do(do="join", room="closer", state=False)
                await asyncio.wait_for(one.proxy.accepted(1), PATIENCE)
                await one.done("closed", do="close")
                assert await one.listeners() == before
                await one.do(do="held")
                assert (await one.reports.first("held"))["timers"] == 0
                if plan is not SILENT:  # a link that is held tells the proxy of no end
                    await until(lambda: not one.proxy.open)


@pytest.mark.long
async def test_two_pages_do_not_come_back_together(where: Site) -> None:
    """Cut off at the same instant, again and again, their attempts lie apart."""
    rounds, apart = 4, 0
    async with (
        started() as browser,
        tab(browser, where, "ann") as ann,
        tab(browser, where, "bob") as bob,
    ):
        for one in (ann, bob):
            await one.begin(speed=4)
            await one.join("together")
        for number in range(rounds):
            for one in (ann, bob):
                one.proxy.plan = REFUSED if number % 2 == 0 else UNHARMED
                one.proxy.cut_all()
            await asyncio.gather(another_attempt(ann, PATIENCE), another_attempt(bob, PATIENCE))
            apart += abs(ann.proxy.attempts[-1] - bob.proxy.attempts[-1]) > 0.002
    assert apart >= rounds - 1


@pytest.mark.long
async def test_transcripts_in_a_page(where: Site) -> None:
    """The browser build does in each conversation what its transcript says."""
    async with started() as browser:
        for name, transcript in transcripts().items():
            if transcript["endpoint"] == "rooms":
                mark = f"chromium-{name}"
                async with tab(browser, where, f"user-{mark}") as one:
                    await one.begin(speed=5, luck=0.05, **transcript.get("options", {}))
                    await Conversation(transcript, one, one.proxy, where.gateway, mark).run()
