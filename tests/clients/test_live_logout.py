"""A browser whose user is logged out stops at `live`: after a close code, or after five handshakes."""

import asyncio
from pathlib import Path

import pytest

from tests.clients.browser import chromium
from tests.clients.chromium_page import site_and_gateway, tab
from tests.e2e.live_client import TOPICS
from tests.e2e.provider_server import COOKIE, directory
from tests.e2e.socketio_chromium import need_chromium

pytestmark = [pytest.mark.long, pytest.mark.timeout(150)]

LONGEST = 30.0
SPEED = 20
UNOPENED = 5


@pytest.mark.parametrize(("refuse", "attempts"), [('refuse = "close"\n', 1), ("", UNOPENED)])
async def test_a_browser_that_is_logged_out_stops(
    tmp_path: Path, refuse: str, attempts: int
) -> None:
    """With `refuse = "close"` after the code of the first attempt, without it after five attempts."""
    need_chromium()
    async with directory() as provider, chromium() as browser:
        asked = f'[identity_provider]\nurl = "{provider.url}"\nrevalidate = "1s"\n{TOPICS}'
        with site_and_gateway(tmp_path, f"[endpoints.live]\n{refuse}{asked}") as where:
            provider.login("ann-1", "ann", "1")
            async with tab(browser, where, "ann", (COOKIE, "ann-1")) as one:
                await one.begin(speed=SPEED)
                await one.done("topic ready", do="topic", topic="event:1", state=False)
                await where.gateway.call("publish", channel="live:event:1", data={"n": 1}, key="k")
                heard = await one.reports.first("data")
                assert heard["value"]["data"] == {"n": 1}
                provider.logout("ann-1")
                stopped = await one.reports.first("stopped")
                assert stopped["temporary"] is False
                await asyncio.sleep(1.5 * LONGEST / SPEED)
                assert len(one.proxy.connections) == 1
            async with tab(browser, where, "ann", (COOKIE, "ann-1")) as one:
                await one.begin(speed=SPEED)
                await one.do(do="topic", topic="event:1", state=False)
                stopped = await one.reports.first("stopped")
                assert stopped["temporary"] is False
                assert (await one.reports.first("topic ready"))["error"] is not None
                await asyncio.sleep(1.5 * LONGEST / SPEED)
                assert len(one.proxy.connections) == attempts
                assert len(one.reports.all("stopped")) == 1
